//! An answer and how it came about, for people and for programs: what [`answers::explain`] traced, joined with what the
//! engine knows of each check.
//!
//! A pure function, so that the running server and `leeward explain --offline` say the same. Every step is a sentence
//! and its parts. Nothing is decided here a second time: what was drawn is read from the reply itself.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use std::collections::BTreeSet;

use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::serialize::binary::BinEncodable;

use crate::answers::{self, AnswerSet, Asked, Explanation, Found, Prepared, Snapshot, Trace, ZoneEntry, ZoneState};
use crate::geo::{NetMap, Rule};
use crate::health::CheckView;
use crate::program::{Atlas, Consulted, Draw, Failure, Program, Selector, Step, Stood, Visit};
use crate::target::{
    CheckId, CheckKind, Definitions, Face, Outcome, Pool, PoolMember, Select, Status, StatusTable, Value, WhenNoneUp,
};
use crate::wire::{Field, NameRef, layout};

use super::forms::{Clock, ExplainForm, ExtendedErrorForm, MemberForm, QuestionForm, ResultForm, StepForm};

/// The option code of an extended error (RFC 8914 2).
const EXTENDED_ERROR: u16 = 15;

/// What stands for something that is not shown.
const DOTS: &str = "…";

/// Answers `asked` from `snapshot` and says why; `checks` tell what is known of the targets beyond their status.
#[must_use]
pub fn explain_form(snapshot: &Arc<Snapshot>, asked: &Asked, checks: &[CheckView], clock: &Clock) -> ExplainForm {
    let explanation = answers::explain(snapshot, asked);
    let checks = checks.iter().map(|check| (check.id, check)).collect();
    let teller = Teller { snapshot, asked, checks, clock, statuses: Cell::new(&snapshot.statuses) };
    let form = ExplainForm {
        generation: explanation.generation.0,
        question: question(asked),
        client: effective_client(snapshot, asked),
        seed: asked.seed,
        why: explanation.traces.iter().flat_map(|trace| teller.trace(trace)).collect(),
        ..ExplainForm::default()
    };
    with_reply(form, &explanation)
}

fn question(asked: &Asked) -> QuestionForm {
    QuestionForm {
        name: asked.name.to_string(),
        rtype: asked.rtype.to_string(),
        client: asked.client.to_string(),
        subnet: asked.subnet.map(|subnet| format!("{}/{}", subnet.network, subnet.source)),
    }
}

fn effective_client(snapshot: &Snapshot, asked: &Asked) -> String {
    let subnet = asked.subnet.filter(|_| snapshot.options.ecs).map(|subnet| subnet.network);
    subnet.unwrap_or(asked.client).to_canonical().to_string()
}

// -------- the reply

/// Adds what the reply says.
fn with_reply(mut form: ExplainForm, explanation: &Explanation<'_>) -> ExplainForm {
    let message = match Message::from_vec(&explanation.reply) {
        Ok(message) => message,
        Err(error) => {
            form.why.push(step("failure", format!("the reply cannot be shown: {error}")));
            return form;
        }
    };
    let meta = &message.metadata;
    let flags = [
        (true, "qr"),
        (meta.authoritative, "aa"),
        (meta.truncation, "tc"),
        (meta.recursion_desired, "rd"),
        (meta.recursion_available, "ra"),
    ];
    form.flags = flags.into_iter().filter(|(set, _)| *set).map(|(_, name)| name.to_owned()).collect();
    form.rcode = crate::wire::Rcode(meta.response_code.into()).to_string();
    form.answers = message.answers.iter().map(record_text).collect();
    form.authority = message.authorities.iter().map(record_text).collect();
    form.additional = message.additionals.iter().map(record_text).collect();
    if let Some(edns) = &message.edns {
        form.subnet_scope = match edns.option(EdnsCode::Subnet) {
            Some(EdnsOption::Subnet(subnet)) => Some(subnet.scope_prefix()),
            _ => None,
        };
        form.extended_error = edns.option(EdnsCode::Unknown(EXTENDED_ERROR)).and_then(extended_error);
    }
    form
}

fn extended_error(option: &EdnsOption) -> Option<ExtendedErrorForm> {
    let EdnsOption::Unknown(_, data) = option else { return None };
    let (code, text) = data.split_first_chunk::<2>()?;
    Some(ExtendedErrorForm { code: u16::from_be_bytes(*code), text: String::from_utf8_lossy(text).into_owned() })
}

/// A record in presentation form, as the zone reader would take it back.
fn record_text(record: &Record) -> String {
    let rtype = crate::wire::RecordType(u16::from(record.record_type()));
    let names = layout(rtype).iter().filter(|field| matches!(field, Field::Name | Field::PlainName)).count();
    // With two names, the second may come out compressed against the first.
    match record.data.to_bytes() {
        Ok(rdata) if names < 2 => {
            format!("{} {} {} {rtype} {}", record.name, record.ttl, record.dns_class, crate::zone::rdata_to_text(rtype, &rdata))
        }
        _ => record.to_string(),
    }
}

// -------- the steps

struct Teller<'a> {
    snapshot: &'a Snapshot,
    asked: &'a Asked,
    checks: HashMap<CheckId, &'a CheckView>,
    clock: &'a Clock,
    /// What counts in the zone that the answer has come to.
    statuses: Cell<&'a StatusTable>,
}

fn step(kind: &str, text: String) -> StepForm {
    StepForm { step: kind.to_owned(), text, ..StepForm::default() }
}

impl Teller<'_> {
    fn trace(&self, trace: &Trace<'_>) -> Vec<StepForm> {
        match trace {
            Trace::Zone(None) => vec![self.no_zone()],
            Trace::Zone(Some(entry)) => self.zone(entry),
            Trace::Found(found, name) => vec![node(*found, *name)],
            Trace::Follow(target) => {
                vec![StepForm { name: Some(target.to_string()), ..step("cname", format!("a CNAME leads to {target}")) }]
            }
            Trace::Program { set, trail, failure } => self.program(set, trail, failure.as_ref()),
        }
    }

    fn zone(&self, entry: &ZoneEntry) -> Vec<StepForm> {
        self.statuses.set(self.snapshot.statuses_of(entry.apex()));
        let frozen = !std::ptr::eq(self.statuses.get(), &raw const self.snapshot.statuses);
        let told = "the zone is frozen: its answers follow what was believed then, under what operators say";
        std::iter::once(zone(entry)).chain(frozen.then(|| step("frozen", told.to_owned()))).collect()
    }

    fn no_zone(&self) -> StepForm {
        let Asked { name, rtype, .. } = self.asked;
        let text = match self.snapshot.zones.find(name.as_ref()) {
            Some(_) => format!("{rtype} is not a type that a zone can answer: REFUSED"),
            None => format!("no zone that is served holds {name}: REFUSED"),
        };
        StepForm { found: Some("none".to_owned()), ..step("zone", text) }
    }

    fn program(&self, set: &AnswerSet, trail: &[Visit], failure: Option<&Failure>) -> Vec<StepForm> {
        let prepared = set.prepared();
        let (rtype, ttl) = (prepared.rtype(), prepared.ttl());
        let code = shown_code(prepared, &self.snapshot.options.checks.named);
        let head = StepForm {
            code: Some(code.clone()),
            tier: prepared.program().map(|program| program.tier().as_str().to_owned()),
            rtype: Some(rtype.to_string()),
            ttl: Some(ttl.seconds()),
            ..step("program", format!("the record program for {rtype}, TTL {ttl}: {code}"))
        };
        let mut steps = vec![head];
        match prepared.program() {
            Some(program) => {
                steps.extend(program.why_script().map(|why| step("tier", format!("it runs as a Lua script, for {why}"))));
                for visit in trail {
                    steps.extend(self.visit(set, program, *visit));
                }
                steps.extend(failure.map(|failure| step("failure", format!("{failure}: SERVFAIL"))));
            }
            None => steps.push(step("failure", "the program could not be compiled: SERVFAIL".to_owned())),
        }
        let bad = prepared.bad_members().map(|(member, error)| format!("{member} is not a value for {rtype}: {error}"));
        steps.extend(bad.map(|text| step("failure", text)));
        steps
    }

    /// What the run came by.
    fn visit(&self, set: &AnswerSet, program: &Program, visit: Visit) -> Vec<StepForm> {
        match visit {
            Visit::Test(test, holds) => {
                vec![step("test", format!("{}: {}", program.test_text(test), if holds { "yes" } else { "no" }))]
            }
            Visit::Piece(piece) => {
                let told = set.steps(piece, self.statuses.get(), &self.snapshot.places);
                told.iter().map(|told| self.program_step(set, program, told)).collect()
            }
        }
    }

    fn program_step(&self, set: &AnswerSet, program: &Program, told: &Step) -> StepForm {
        match told {
            Step::Constant { members } => {
                let members = named(program, members);
                StepForm { members, ..step("pick", "the program names its members outright: all are answered".to_owned()) }
            }
            Step::Group { function, group, up, targets } => StepForm {
                function: Some(function.to_string()),
                group: Some(group + 1),
                members: targets.iter().map(|seen| self.consulted(set, program, seen)).collect(),
                ..step("group", format!("{function}, group {}: {up} of {} available", group + 1, targets.len()))
            },
            Step::Selected { function, group, selector, members } => StepForm {
                function: Some(function.to_string()),
                group: Some(group + 1),
                selector: Some(selector.to_string()),
                draw: selected_by(*selector).map(str::to_owned),
                members: named(program, members),
                ..step(
                    "choice",
                    format!("group {} decides, selector {selector}: {}", group + 1, effect(*selector, members.len())),
                )
            },
            Step::FellBack { function, group, backup, members, excluded } => StepForm {
                function: Some(function.to_string()),
                group: Some(group + 1),
                selector: Some(backup.to_string()),
                draw: selected_by(*backup).map(str::to_owned),
                members: named(program, members),
                ..step("fallback", fallback_text(*group, *backup, members.len(), *excluded))
            },
            Step::Picked { function, draw, members } => StepForm {
                function: Some(function.to_string()),
                draw: draw.map(|draw| drawn_by(draw).to_owned()),
                members: named(program, members),
                ..step("pick", format!("{function}: {}", draw_text(*draw, members.len())))
            },
            Step::Weighed { function, draw, members } => StepForm {
                function: Some(function.to_string()),
                draw: Some(drawn_by(*draw).to_owned()),
                members: weighed(program, members),
                ..step("pick", format!("{function}: {}, by weight", draw_text(Some(*draw), members.len())))
            },
            Step::Viewed { networks, pairs } => self.viewed(program, networks, pairs),
            Step::Pooled { pool, members, serving } => self.pooled(pool, members, serving),
            Step::Failed { function: Some(function), reason } => {
                StepForm { function: Some(function.to_string()), ..step("failure", format!("{function}: {reason}: SERVFAIL")) }
            }
            Step::Failed { function: None, reason } => step("failure", format!("{reason}: SERVFAIL")),
        }
    }

    /// Which pair of a view the client is in.
    fn viewed(&self, program: &Program, networks: &NetMap<u16>, pairs: &[Box<[u16]>]) -> StepForm {
        let client = self.asked.subnet.map_or(self.asked.client.to_canonical(), |subnet| subnet.network);
        let found = networks.find(client);
        let pair = found.value.and_then(|at| Some((at, pairs.get(usize::from(at))?)));
        let (group, members, what) = match pair {
            None => (None, Vec::new(), "in none of the networks: the empty string".to_owned()),
            Some((at, members)) => {
                let what = format!("in the networks of pair {}: {}", at + 1, draw_text(Some(Draw::Chance), members.len()));
                (Some(usize::from(at) + 1), named(program, members), what)
            }
        };
        StepForm {
            function: Some("view".to_owned()),
            group,
            members,
            ..step("pick", format!("view: {client} is {what}; so is its whole /{}", found.scope))
        }
    }

    /// What a pool's members count as, and who is chosen among whom.
    fn pooled(&self, pool: &Pool, members: &[Stood], serving: &[u16]) -> StepForm {
        let stood = pool.members.iter().zip(members);
        let available = members.iter().filter(|stood| stood.available).count();
        let names: Vec<&str> =
            serving.iter().filter_map(|&at| pool.members.get(usize::from(at))).map(|member| &*member.name).collect();
        let select = pool.select.as_str();
        let decides = match names.as_slice() {
            [] => format!("no level has enough of them: when_none_up = {} decides", none_up(&pool.when_none_up)),
            [name] => format!("{name} serves"),
            _ => format!("select = \"{select}\" decides among {}", names.join(", ")),
        };
        let steered = self.steered(pool).map_or_else(String::new, |how| format!("; {how}"));
        StepForm {
            function: Some("pool".to_owned()),
            selector: Some(select.to_owned()),
            members: stood.flat_map(|(member, stood)| self.stood(member, stood)).collect(),
            ..step("pool", format!("pool {}: {available} of {} members available; {decides}{steered}", pool.name, members.len()))
        }
    }

    /// What the client's place says, where it decides.
    fn steered(&self, pool: &Pool) -> Option<String> {
        let client = self.asked.subnet.map_or(self.asked.client.to_canonical(), |subnet| subnet.network);
        let (Atlas { sites, maps }, place) = (self.snapshot.options.checks.atlas(), self.snapshot.places.find(client));
        match &pool.select {
            Select::Map(name) => {
                let map = maps.get(name)?;
                let found = map.find(client, place);
                let order = map.orders().get(usize::from(found.order))?;
                let names: Vec<&str> = order.iter().filter_map(|&id| sites.get(id)).map(|site| &*site.name).collect();
                let names = if names.is_empty() { "no site".to_owned() } else { names.join(", ") };
                Some(format!("the map {name} has for {client}: {names} (by its {})", rule(found.rule)))
            }
            Select::RegionThenRest => {
                let used = |site: &str| pool.members.iter().any(|member| member.site.as_deref() == Some(site));
                let near = sites.nearest(place.location?);
                let site = near.iter().filter_map(|&(id, _)| sites.get(id)).find(|site| used(&site.name))?;
                Some(format!("the nearest site to {client} is {}, of the region {}", site.name, site.region.as_deref()?))
            }
            _ => None,
        }
    }

    /// Each address of a pool's member.
    fn stood(&self, member: &PoolMember, stood: &Stood) -> Vec<MemberForm> {
        let known = member.faces.iter().zip(&stood.statuses);
        let form = |(face, status): (&Face, &Status)| {
            let key = face.check.spec.key();
            let view = self.checks.values().find(|view| view.key == key);
            let last = view.and_then(|view| view.last.as_ref());
            let mut notes = String::new();
            if status.drain {
                notes += ", drained";
            }
            match status.weight {
                0 => notes += ", in reserve",
                weight if weight < Status::SOUND.weight => {
                    notes += &format!(", {} % of its weight", u32::from(weight) * 100 / 256)
                }
                _ => {}
            }
            let (name, level, site) = (&member.name, member.level, member.site.as_deref());
            let at = site.map_or_else(String::new, |site| format!(" at {site}"));
            let text = format!("{name}{at}, level {level}: {} is {} ({}{notes})", face.address, status.value, status.basis);
            let age = last.map(|last| (outcome_text(&last.outcome), self.clock.now.since(last.at)));
            let measured = age.map_or_else(String::new, |(what, age)| format!(", {what} {:.1} s ago", age.as_secs_f64()));
            MemberForm {
                member: face.address.to_string(),
                text: format!("{text}: {}{measured}", face.check.spec),
                weight: Some(member.weight),
                status: Some(status.value.to_string()),
                basis: Some(status.basis.to_string()),
                check: Some(key.to_string()),
                probe: Some(face.check.spec.to_string()),
                last: last.map(|last| ResultForm::new(last, self.clock)),
            }
        };
        known.map(form).collect()
    }

    fn consulted(&self, set: &AnswerSet, program: &Program, seen: &Consulted) -> MemberForm {
        let member = member(program, seen.member);
        let view = set.checks().get(seen.check).and_then(|id| self.checks.get(id));
        let spec = program.checks().get(seen.check).map(|request| &request.spec);
        let last = view.and_then(|view| view.last.as_ref());
        let status = seen.status;
        let drained = if status.drain { ", drained" } else { "" };
        let probe = spec.map(ToString::to_string);
        let reported = Some(status.reported).filter(|&weight| weight > 0);
        let slow = if status.value == Value::Up && status.weight == Status::SLOW { ", slow: half of its weight" } else { "" };
        let mut text = format!("{member} is {} ({}{drained}{slow})", status.value, status.basis);
        if let Some(weight) = reported {
            text += &format!(", reports the weight {weight}");
        }
        if let Some(probe) = &probe {
            text += &format!(": {probe}");
        }
        if let Some(last) = last {
            let age = self.clock.now.since(last.at);
            text += &format!(", {} {:.1} s ago", outcome_text(&last.outcome), age.as_secs_f64());
        }
        MemberForm {
            member,
            text,
            weight: reported,
            status: Some(status.value.to_string()),
            basis: Some(status.basis.to_string()),
            check: spec.map(|spec| spec.key().to_string()),
            probe,
            last: last.map(|last| ResultForm::new(last, self.clock)),
        }
    }
}

/// A program's code without what its checks send in headers and bodies, which may be secret: dots stand for it. Where that
/// is not found as it stands, being spelled with escapes, the dots stand for all; unless it is of a named check, and so not
/// in the code.
fn shown_code(prepared: &Prepared, named: &Definitions) -> String {
    let of_named: BTreeSet<&str> = named.iter().flat_map(|(_, check)| secrets(&check.kind)).collect();
    let mut code = prepared.code().to_owned();
    for request in prepared.program().iter().flat_map(|program| program.checks()) {
        for secret in secrets(&request.spec.kind) {
            match prepared.code().contains(secret) {
                true => code = code.replace(secret, DOTS),
                false if of_named.contains(secret) => {}
                false => return DOTS.to_owned(),
            }
        }
    }
    code
}

/// What a check sends that may be secret, and that a program could hold.
fn secrets(kind: &CheckKind) -> Vec<&str> {
    let CheckKind::Http(http) = kind else { return Vec::new() };
    let values = http.headers.iter().map(|(_, value)| value.to_str().unwrap_or_default()).chain([&*http.content.0]);
    values.filter(|value| !value.is_empty()).collect()
}

fn zone(entry: &ZoneEntry) -> StepForm {
    let apex = entry.apex();
    let (serial, text) = match &entry.state {
        ZoneState::Serving { zone, stale: false } => (Some(zone.serial()), format!("zone {apex} serial {}", zone.serial())),
        ZoneState::Serving { zone, stale: true } => {
            let serial = zone.serial();
            (Some(serial), format!("zone {apex} serial {serial}, the last-good copy: its file is bad"))
        }
        ZoneState::Failed(_) => (None, format!("zone {apex} could not be loaded and has no last-good copy: SERVFAIL")),
    };
    StepForm { zone: Some(apex.to_string()), serial: serial.map(|serial| serial.0), ..step("zone", text) }
}

fn node(found: Found, name: NameRef<'_>) -> StepForm {
    let (word, text) = match found {
        Found::Exact => ("exact", format!("the name {name} exists")),
        Found::Wildcard => ("wildcard", format!("the wildcard {name} covers the name")),
        Found::Cut => ("cut", format!("{name} is delegated")),
        Found::Dname => ("dname", format!("all names below {name} are redirected")),
        Found::None => ("none", format!("the name does not exist; its closest encloser is {name}")),
    };
    StepForm { found: Some(word.to_owned()), name: Some(name.to_string()), ..step("node", text) }
}

/// What of a client decided.
const fn rule(rule: Rule) -> &'static str {
    match rule {
        Rule::Network => "network",
        Rule::System => "autonomous system",
        Rule::Subdivision => "subdivision",
        Rule::Country => "country",
        Rule::Continent => "continent",
        Rule::Default => "default",
    }
}

/// As the configuration writes it.
fn none_up(what: &WhenNoneUp) -> String {
    match what {
        WhenNoneUp::All => "\"all\"".to_owned(),
        WhenNoneUp::Last => "\"last\"".to_owned(),
        WhenNoneUp::Empty => "\"empty\"".to_owned(),
        WhenNoneUp::Nxdomain => "\"nxdomain\"".to_owned(),
        WhenNoneUp::Pool(name) => format!("\"pool:{name}\""),
        WhenNoneUp::Fixed(texts) => format!("{texts:?}"),
    }
}

fn member(program: &Program, at: u16) -> String {
    program.members().get(usize::from(at)).map_or_else(String::new, ToString::to_string)
}

fn named(program: &Program, members: &[u16]) -> Vec<MemberForm> {
    let form = |&at: &u16| MemberForm { member: member(program, at), text: member(program, at), ..MemberForm::default() };
    members.iter().map(form).collect()
}

/// Members with their own weights, from running sums.
fn weighed(program: &Program, members: &[(u32, u16)]) -> Vec<MemberForm> {
    let mut before = 0;
    let form = |&(sum, at): &(u32, u16)| {
        let (member, weight) = (member(program, at), sum.saturating_sub(before));
        before = sum;
        MemberForm { text: format!("{member} weight {weight}"), member, weight: Some(weight), ..MemberForm::default() }
    };
    members.iter().map(form).collect()
}

fn outcome_text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Pass { .. } => "passed".to_owned(),
        Outcome::Fail(failure) => format!("failed ({failure})"),
        Outcome::Inconclusive(reason) => format!("inconclusive ({reason})"),
    }
}

const fn drawn_by(draw: Draw) -> &'static str {
    match draw {
        Draw::Chance => "chance",
        Draw::Client => "client",
        Draw::Name => "name",
    }
}

const fn selected_by(selector: Selector) -> Option<&'static str> {
    match selector {
        Selector::Random | Selector::WRandom => Some(drawn_by(Draw::Chance)),
        Selector::Hashed | Selector::WHashed | Selector::CHashed => Some(drawn_by(Draw::Client)),
        Selector::NameHashed => Some(drawn_by(Draw::Name)),
        Selector::Closest(_) => Some("place"),
        Selector::All | Selector::Empty | Selector::First => None,
    }
}

fn effect(selector: Selector, candidates: usize) -> String {
    match selector {
        _ if candidates == 0 => "no candidate: an empty answer".to_owned(),
        Selector::Random => draw_text(Some(Draw::Chance), candidates),
        Selector::Hashed => draw_text(Some(Draw::Client), candidates),
        Selector::WRandom => format!("{} and weight", draw_text(Some(Draw::Chance), candidates)),
        Selector::WHashed => format!("{} and weight", draw_text(Some(Draw::Client), candidates)),
        Selector::CHashed => format!("{} and weight, consistently", draw_text(Some(Draw::Client), candidates)),
        Selector::NameHashed => format!("{} and weight", draw_text(Some(Draw::Name), candidates)),
        Selector::Closest(1) => format!("the nearest of {candidates}"),
        Selector::Closest(count) => format!("the {count} nearest of {candidates}"),
        Selector::First => format!("the first of {candidates}"),
        Selector::All => draw_text(None, candidates),
        Selector::Empty => "an empty answer".to_owned(),
    }
}

fn draw_text(draw: Option<Draw>, candidates: usize) -> String {
    match draw {
        None => format!("all {candidates} are answered"),
        Some(Draw::Chance) => format!("one of {candidates}, at random"),
        Some(Draw::Client) => format!("one of {candidates}, by the hash of the client's address"),
        Some(Draw::Name) => format!("one of {candidates}, by the hash of the name"),
    }
}

fn fallback_text(group: usize, backup: Selector, candidates: usize, excluded: usize) -> String {
    let left_out = if excluded == 0 { String::new() } else { format!(" ({excluded} drained or forced down are left out)") };
    format!("no target is up: group {} decides, backupSelector {backup}{left_out}: {}", group + 1, effect(backup, candidates))
}

#[cfg(test)]
mod tests {
    use super::super::tests as testing;
    use super::*;
    use crate::program::{Defaults, Settings, compile};

    fn explained(name: &str, rtype: &str) -> ExplainForm {
        let node = testing::fake();
        let asked = Asked {
            name: crate::wire::Name::from_text(name.as_bytes(), Some(NameRef::ROOT)).unwrap(),
            rtype: rtype.parse().unwrap(),
            client: [192, 0, 2, 99].into(),
            subnet: None,
            seed: 7,
            now: crate::answers::Now::default(),
        };
        explain_form(&node.snapshot, &asked, &node.checks, &testing::clock_reading())
    }

    fn sentences(form: &ExplainForm) -> Vec<&str> {
        form.why.iter().map(|step| step.text.as_str()).collect()
    }

    #[test]
    fn a_program_is_told_from_the_zone_to_the_draw() {
        let form = explained("www.gslb.example", "A");
        assert_eq!((form.rcode.as_str(), form.flags.as_slice()), ("NOERROR", &["qr".to_owned(), "aa".to_owned()][..]));
        assert_eq!(form.answers, ["www.gslb.example. 30 IN A 192.0.2.1"]);
        assert_eq!(
            sentences(&form),
            [
                "zone gslb.example. serial 7",
                "the name www.gslb.example. exists",
                "the record program for A, TTL 30: ifportup(443, {'192.0.2.1', '192.0.2.2'})",
                "ifportup, group 1: 1 of 2 available",
                "group 1 decides, selector random: one of 1, at random",
            ]
        );
        let group = &form.why[3];
        assert_eq!(group.members[0].text, "192.0.2.1 is up (measured): tcp 192.0.2.1:443, passed 2.5 s ago");
        assert!(
            group.members[1].text.starts_with("192.0.2.2 is down (measured): tcp 192.0.2.2:443, failed (connection refused)")
        );
        assert_eq!(group.members[1].last.as_ref().and_then(|last| last.reason.as_deref()), Some("refused"));
    }

    #[test]
    fn what_a_request_carries_is_not_shown() {
        let shown = |options: &str| {
            let code = format!("ifurlup('http://x/hush', {{'192.0.2.1'}}, {options})");
            let settings = Settings { defaults: Defaults::default(), step_limit: 1000, shared: false };
            let compiled = compile(&code, &settings);
            let (rtype, ttl) = ("A".parse().unwrap(), crate::wire::Ttl::new(30).unwrap());
            shown_code(&Prepared::new(rtype, ttl, code.into(), compiled.program), &Definitions::NONE)
        };
        let plain = shown("{headers={['X-Token']='t0ken'}, method='POST', body='b0dy', useragent='me'}");
        let wanted = "{headers={['X-Token']='…'}, method='POST', body='…', useragent='me'})";
        assert!(plain.ends_with(wanted), "{plain}");
        assert_eq!(shown("{headers={a='\\116oken'}}"), "…", "spelled with an escape");
    }

    #[test]
    fn names_that_lead_nowhere_are_told_too() {
        let missing = explained("nope.gslb.example", "A");
        assert_eq!(missing.rcode, "NXDOMAIN");
        assert_eq!(sentences(&missing)[1], "the name does not exist; its closest encloser is gslb.example.");
        assert_eq!(missing.authority.len(), 1);
        let foreign = explained("example.org", "A");
        assert_eq!(
            (foreign.rcode.as_str(), sentences(&foreign)),
            ("REFUSED", vec!["no zone that is served holds example.org.: REFUSED"])
        );
        let transfer = explained("gslb.example", "AXFR");
        assert_eq!(sentences(&transfer), ["AXFR is not a type that a zone can answer: REFUSED"]);
    }

    #[test]
    fn rfc3597_unknown_types_are_shown() {
        let form = explained("odd.gslb.example", "TYPE999");
        assert_eq!(form.answers, ["odd.gslb.example. 30 IN TYPE999 \\# 2 abcd"]);
    }
}
