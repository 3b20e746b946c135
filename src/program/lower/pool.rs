//! `pool('web')`: a choice among the members of a pool of the configuration, and what of them the record's type shows.
//!
//! | type of the record | what a member gives |
//! | --- | --- |
//! | A, AAAA | its addresses of that family that are up |
//! | CNAME | its `host` |
//! | SRV (RFC 2782) | one record: ten times its level as the priority, its weight, port and `host` |
//! | SVCB, HTTPS (RFC 9460) | one record: its level as the priority, or its position where the first is selected, from 1; its `host`, or `.`, the record's own name; its port, the pool's protocols, and as hints its addresses of each family of which all are up |

use std::net::IpAddr;
use std::sync::Arc;

use super::super::plan::{Candidate, Given, Plan, PoolMember, PoolPlan, Steer};
use super::super::syntax::Expr;
use super::names::closest;
use super::{Call, Lowering};
use crate::program::compile::Atlas;
use crate::target::{self, Membership, Pool, Select, Standing, WhenNoneUp};
use crate::wire::RecordType;

/// What pools are good for.
const TYPES: [RecordType; 6] =
    [RecordType::A, RecordType::AAAA, RecordType::CNAME, RecordType::SRV, RecordType::SVCB, RecordType::HTTPS];

impl Lowering<'_> {
    /// `pool(name)`.
    pub(super) fn pool(&mut self, call: Call<'_>) -> Option<Plan> {
        let arguments = self.arguments(call, 1..=1)?;
        let name = self.text(&arguments[0], "the name of a pool")?;
        let Some(rtype) = self.rtype else {
            let message = "a pool gives nothing but the answer of a record whose type and text loading knows";
            return self.error(call.offset, message, "write the name out: `pool('web')`, and not in a snippet");
        };
        let defaults = self.defaults;
        let Some(pool) = defaults.pools.get(&name) else {
            let remedy = match closest(&name, defaults.pools.names()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "name a [pool.NAME] of the configuration".to_owned(),
            };
            let message = format!("there is no pool `{}` in the configuration", name.escape_debug());
            return self.error(arguments[0].offset, message, remedy);
        };
        if !TYPES.contains(&rtype) {
            let message = format!("a pool gives no {rtype} records");
            let types = TYPES.map(|rtype| rtype.to_string()).join(", ");
            return self.error(call.offset, message, format!("use one of {types} as the record's type"));
        }
        self.pool_plan(&arguments[0], pool, rtype, true).map(|plan| Plan::Pool(Box::new(plan)))
    }

    /// The pool's part of a plan; its fallbacks lead to no circle, which the configuration saw to. One that is only a fallback
    /// may have nothing of the type.
    fn pool_plan(&mut self, at: &Expr, pool: &Arc<Pool>, rtype: RecordType, is_first: bool) -> Option<PoolPlan> {
        let name: Arc<str> = (*pool.name).into();
        let mut first = 0u16;
        let mut members = Vec::with_capacity(pool.members.len());
        for (position, member) in pool.members.iter().enumerate() {
            let standing = |face: u16| Standing { pool: Arc::clone(&name), face };
            let faces: Vec<usize> =
                (0..member.faces.len() as u16).map(|face| self.standings.number(standing(first + face))).collect();
            first += member.faces.len() as u16;
            members.push(self.pool_member(at, (pool, member, position), &faces, rtype)?);
        }
        let is_looked_up = |member: &target::PoolMember| member.hosted.is_some();
        if is_first && members.iter().all(|member| member.gives.is_empty()) && !pool.members.iter().any(is_looked_up) {
            let lacking = match rtype {
                RecordType::A | RecordType::AAAA => "has an address of that family",
                _ => "has a `host`",
            };
            let message = format!("no member of the pool `{}` {lacking}, so it gives no {rtype} records", pool.name);
            return self.error(at.offset, message, "complete the members, or take the record out");
        }
        let (otherwise, fixed) = match &pool.when_none_up {
            WhenNoneUp::Pool(other) => {
                let other = self.defaults.pools.get(other)?;
                (Some(Box::new(Plan::Pool(Box::new(self.pool_plan(at, other, rtype, false)?)))), Vec::new())
            }
            WhenNoneUp::Fixed(texts) => {
                let fits = texts.iter().filter(|text| fits(text, rtype));
                let numbers = fits.map(|text| self.intern_member(at.offset, text.to_string()));
                (None, numbers.collect::<Option<_>>()?)
            }
            _ => (None, Vec::new()),
        };
        let steer = self.steer(pool);
        Some(PoolPlan {
            pool: Arc::clone(pool),
            members: members.into(),
            otherwise,
            fixed: fixed.into(),
            steer: steer.map(Arc::new),
            single: rtype == RecordType::CNAME,
        })
    }

    fn pool_member(
        &mut self,
        at: &Expr,
        (pool, member, position): (&Pool, &target::PoolMember, usize),
        faces: &[usize],
        rtype: RecordType,
    ) -> Option<PoolMember> {
        let mut gives = Vec::new();
        let of = Membership { pool: (*pool.name).into(), member: position as u16 };
        match rtype {
            RecordType::A | RecordType::AAAA => {
                let is_wanted = |address: IpAddr| address.is_ipv4() == (rtype == RecordType::A);
                for (face, &standing) in member.faces.iter().zip(faces).filter(|(face, _)| is_wanted(face.address)) {
                    let text = self.intern_given(at.offset, face.address.to_string(), &of)?;
                    gives.push(Given { standings: [standing].into(), texts: [text].into() });
                }
            }
            RecordType::SVCB | RecordType::HTTPS => {
                let variants = [(false, false), (true, false), (false, true), (true, true)];
                let texts = variants.map(|hints| self.intern_given(at.offset, service(pool, member, position, hints), &of));
                let texts = texts.into_iter().collect::<Option<_>>()?;
                gives.push(Given { standings: faces.into(), texts });
            }
            _ => {
                if let Some(host) = &member.host {
                    let text = match rtype {
                        RecordType::SRV => {
                            let Some(port) = member.port else {
                                let message = format!("the member `{}` of the pool `{}` has no port", member.name, pool.name);
                                return self.error(at.offset, message, "give it one, or the pool");
                            };
                            format!("{} {} {port} {host}", u32::from(member.level) * 10, member.weight.min(65535))
                        }
                        _ => host.to_string(),
                    };
                    let text = self.intern_given(at.offset, text, &of)?;
                    gives.push(Given { standings: faces.into(), texts: [text].into() });
                }
            }
        }
        let standings = member.faces.iter().zip(faces).map(|(face, &at)| (at, face.address.is_ipv6())).collect();
        let sites = &self.defaults.atlas().sites;
        let site = member.site.as_ref().and_then(|site| sites.find(site));
        let location = site.and_then(|id| sites.get(id)?.location);
        let place = |face: &target::Face| Candidate { address: face.address, member: position as u16, location };
        let candidate = member.faces.first().map(place);
        Some(PoolMember { gives: gives.into(), standings, level: member.level, site, candidate })
    }

    /// What of the client decides, where its place does.
    fn steer(&self, pool: &Pool) -> Option<Steer> {
        let Atlas { sites, maps } = self.defaults.atlas();
        match &pool.select {
            Select::Map(map) => maps.get(map).map(|map| Steer::Map(Arc::clone(map))),
            Select::RegionThenRest => {
                let named = |member: &target::PoolMember| sites.get(sites.find(member.site.as_ref()?)?);
                let mut regions: Vec<Box<str>> = pool.members.iter().filter_map(|member| named(member)?.region.clone()).collect();
                regions.sort_unstable();
                regions.dedup();
                let number = |region: &str| regions.iter().position(|known| **known == *region);
                let located = pool.members.iter().filter_map(|member| {
                    let site = named(member)?;
                    Some((site.location?, number(site.region.as_deref()?)? as u16))
                });
                let mut located: Vec<_> = located.collect();
                located.sort_by(|(one, _), (other, _)| {
                    let degrees = |at: &crate::geo::Location| (at.latitude(), at.longitude());
                    degrees(one).partial_cmp(&degrees(other)).unwrap_or(std::cmp::Ordering::Equal)
                });
                located.dedup();
                let of: Box<[_]> =
                    pool.members.iter().map(|member| Some(number(named(member)?.region.as_deref()?)? as u16)).collect();
                Some(Steer::Region { located: located.into(), regions: regions.into(), of })
            }
            _ => None,
        }
    }
}

/// Whether a fixed text is data of the type.
fn fits(text: &str, rtype: RecordType) -> bool {
    match (text.parse::<IpAddr>(), rtype) {
        (Ok(address), RecordType::A) => address.is_ipv4(),
        (Ok(address), RecordType::AAAA) => address.is_ipv6(),
        (Err(_), RecordType::CNAME) => true,
        _ => false,
    }
}

/// An SVCB or HTTPS record in presentation form (RFC 9460 2.1), with hints for IPv4 and IPv6 or not.
fn service(pool: &Pool, member: &target::PoolMember, position: usize, (v4, v6): (bool, bool)) -> String {
    let priority = if pool.select == Select::First { position } else { usize::from(member.level) } + 1;
    let mut text = format!("{priority} {}", member.host.as_deref().unwrap_or("."));
    if !pool.alpn.is_empty() {
        text.push_str(&format!(" alpn={}", pool.alpn.join(",")));
    }
    if let Some(port) = member.port {
        text.push_str(&format!(" port={port}"));
    }
    for (key, wanted, is_v6) in [("ipv4hint", v4, false), ("ipv6hint", v6, true)] {
        let of_family = member.faces.iter().filter(|face| face.address.is_ipv6() == is_v6);
        let hints: Vec<String> = of_family.map(|face| face.address.to_string()).collect();
        if wanted && !hints.is_empty() {
            text.push_str(&format!(" {key}={}", hints.join(",")));
        }
    }
    text
}
