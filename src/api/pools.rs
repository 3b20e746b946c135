//! Pools: what their members count as, and having those come back who wait for it.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};

use super::ask::Ask;
use super::forms::{Clock, LookupForm, PoolAddressForm, PoolForm, PoolMemberForm, PoolsForm};
use super::overrides;
use super::problem::Problem;
use super::routes::{Params, Reply, Shared, json};
use crate::control::{Action, PoolView};
use crate::health::{Moment, Overrides, Subject};
use crate::target::{Failback, Host, Status};

/// `GET /api/v1/pools`
pub(super) async fn list(State(shared): State<Shared>, uri: Uri) -> Reply {
    Params::of(&uri).finish()?;
    let (pools, words) = (shared.ask(Ask::Pools).await?, shared.ask(Ask::Overrides).await?);
    let generation = shared.node.published.load().generation;
    let (now, wall) = (shared.node.clock)();
    let clock = Clock { now, wall };
    let lookup = |name: &str| lookup(&shared.node.hosts.get(name), &clock);
    let pools = pools.iter().map(|(view, statuses)| form(view, statuses, &words, lookup)).collect();
    json(generation, &PoolsForm { generation: generation.0, pools })
}

/// `POST /api/v1/pools/{name}/failback`
pub(super) async fn fail_back(State(shared): State<Shared>, Path(name): Path<String>, headers: HeaderMap, uri: Uri) -> Reply {
    if !shared.ask(Ask::Pools).await?.iter().any(|(view, _)| *view.pool.name == *name) {
        let detail = format!("there is no pool '{}'; 'leeward pools' shows those that there are", name.escape_debug());
        return Err(Problem::new(StatusCode::NOT_FOUND, "no_such_pool", "No such pool", detail));
    }
    overrides::order(&shared, &("pool".to_owned(), name), &headers, Params::of(&uri), Action::FailBack).await
}

fn lookup(host: &Host, clock: &Clock) -> LookupForm {
    let heard = host.heard.map(Moment::at);
    LookupForm {
        at: heard.map(|at| clock.text(at)),
        age_seconds: heard.map(|at| clock.now.since(at).as_secs_f64()),
        trouble: host.trouble.as_deref().map(str::to_owned),
    }
}

fn form(view: &PoolView, statuses: &[Status], words: &Overrides, lookup: impl Fn(&str) -> LookupForm) -> PoolForm {
    let PoolView { pool, waiting, .. } = view;
    let frozen = Subject::pool(&pool.name).is_some_and(|subject| words.get(subject).is_some());
    let mut stood = pool.faces().zip(statuses).zip(waiting).peekable();
    let members = pool.members.iter().enumerate().map(|(at, member)| {
        let mut addresses = Vec::new();
        while let Some((((_, face), status), waits)) = stood.next_if(|(((of, _), _), _)| *of == at) {
            addresses.push(PoolAddressForm {
                address: face.address.to_string(),
                status: status.value.to_string(),
                basis: status.basis.to_string(),
                drain: status.drain,
                waiting: *waits,
                share: f64::from(status.weight) / f64::from(Status::SOUND.weight),
                check: face.check.spec.key().to_string(),
                probe: face.check.spec.to_string(),
            });
        }
        PoolMemberForm {
            name: member.name.to_string(),
            site: member.site.as_deref().map(str::to_owned),
            host: member.host.as_deref().map(str::to_owned),
            lookup: member.host.as_deref().filter(|_| member.hosted.is_some()).map(&lookup),
            port: member.port,
            level: member.level,
            weight: member.weight,
            addresses,
        }
    });
    PoolForm {
        name: pool.name.to_string(),
        select: pool.select.as_str().to_owned(),
        answers: pool.answers,
        failback: match pool.failback {
            Failback::Manual => "manual".to_owned(),
            Failback::After(wait) => humantime::format_duration(wait).to_string(),
        },
        frozen,
        members: members.collect(),
    }
}
