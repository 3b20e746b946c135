//! `[pool.NAME]` and its members: what stands for what, and by which rules.
//!
//! What a member does not say, its pool says: `check` and `port`. A pool's members are probed whether a zone uses the pool or
//! not, so that they are known when one does.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::check::HOUR;
use super::finding::Place;
use super::raw::{Item, Table, Value};
use super::section::{Section, alike};
use super::sites::judge_name;
use crate::geo::{Fence, SiteMaps, Sites};
use crate::health;
use crate::target::{
    CheckKind, Definitions, Face, Failback, Hosted, NamedCheck, Pool, PoolMember, Pools, Select, Share, WhenNoneUp,
};
use crate::wire::Name;

/// Most members of a pool.
const MEMBERS_MAX: usize = Pool::MEMBERS_MAX;
/// Most addresses of a member, and of all members of a pool.
const ADDRESSES_MAX: usize = 64;
const ALL_ADDRESSES_MAX: usize = Pool::ADDRESSES_MAX;
/// Highest weight: with all members and the parts of slow start it fits the sums that are drawn from.
const WEIGHT_MAX: usize = 10_000;
/// TTL of records that say none, and that pools reckon with, seconds.
const TTL: u32 = 30;
/// A share that grows must be seen by caches in some steps.
const SLOW_START_TTLS: u32 = 4;
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// Those that need no more than their name.
const PLAIN: [Select; 8] = [
    Select::All,
    Select::First,
    Select::Random,
    Select::Weighted,
    Select::Hashed,
    Select::CHashed,
    Select::Closest,
    Select::RegionThenRest,
];

/// What pools refer to.
pub(super) type Known<'k> = (&'k Definitions, &'k Sites, &'k SiteMaps);

/// The pools below `[pool]`.
pub(super) fn pools(root: &mut Section<'_>, health: &health::Config, known: Known<'_>, fence: &Fence) -> Pools {
    let named = root.named("pool");
    let places: Vec<(String, Place)> = named.iter().map(|(name, at, _)| (name.clone(), at.clone())).collect();
    let names: BTreeSet<String> = places.iter().map(|(name, _)| name.clone()).collect();
    let pool = |(name, at, table)| pool(root, (name, &at, table), health, known, &names, fence);
    let pools: Pools = named.into_iter().map(pool).collect::<Vec<_>>().into_iter().collect();
    if let Some(circle) = pools.circle()
        && let Some((_, at)) = places.iter().find(|(name, _)| **name == *circle.name)
    {
        let message = format!("the fallback of the pool `{}` leads back to it", circle.name);
        root.findings.error(at, message, "let `when_none_up` of one of them name no pool");
        return Pools::NONE; // what walks along it would not come to an end
    }
    pools
}

fn pool(
    root: &mut Section<'_>,
    (name, at, table): (String, &Place, Table),
    health: &health::Config,
    (checks, sites, maps): Known<'_>,
    names: &BTreeSet<String>,
    fence: &Fence,
) -> Pool {
    let mut section = root.below("pool", &name, table);
    judge_name(&mut section, &name, at, "a pool");
    let select_at = section.place("select").unwrap_or_else(|| at.clone());
    let (select, nearest) = select(&mut section, at, maps);
    let check = check_name(&mut section, checks);
    let port = port(&mut section);
    let answers = answers(&mut section, &select_at, &select, nearest);
    let min_up = share(&mut section, "min_up", Share::Count(1));
    let max_withdraw = share(&mut section, "max_withdraw", Share::Percent(50));
    let ttl = section.given_number("ttl", 1..=86_400).map(|ttl| ttl as u32);
    let ttl_min_at = section.place("ttl_min");
    let ttl_min = section.number("ttl_min", 10.min(ttl.unwrap_or(TTL)) as usize, 1..=86_400) as u32;
    if let Some(at) = ttl_min_at.filter(|_| ttl_min > ttl.unwrap_or(u32::MAX)) {
        let message = format!("{} is above `ttl`", section.spell("ttl_min"));
        section.findings.error(&at, message, "lower it, or raise `ttl`");
    }
    let slow_start = slow_start(&mut section, &select, ttl.unwrap_or(TTL));
    let when_none_up = when_none_up(&mut section, names);
    let alpn = section.list("alpn", "write protocols such as [\"h2\", \"h3\"]", protocol).map_or_else(Vec::new, |(_, list)| list);
    let from = From { health, checks, sites, fence, check: check.as_ref(), port, select: &select };
    let mut members = members(&mut section, at, &from);
    members.sort_by_key(|member| member.level); // stable: within a level as they were written
    judge_select(&mut section, &select_at, &select, sites, &members);
    judge_levels(&mut section, at, min_up, &members);
    let mut pool = Pool {
        name: name.into(),
        members,
        select,
        answers,
        min_up,
        when_none_up,
        max_withdraw,
        slow_start,
        failback: Failback::After(Duration::ZERO),
        ttl,
        ttl_min,
        alpn,
    };
    pool.failback = failback(&mut section, &pool);
    section.finish(&[]);
    pool
}

/// How members are chosen; and how many, where `closest:N` says so.
fn select(section: &mut Section<'_>, at: &Place, maps: &SiteMaps) -> (Select, Option<u16>) {
    let by_map = Select::Map("".into());
    let known = || PLAIN.iter().chain([&by_map]);
    let names: Vec<String> = known().map(|select| format!("\"{}\"", select.as_str())).collect();
    let remedy = format!("write one of {}", names.join(", "));
    let map = section.text("map", "write the name of a [geo.map.NAME]");
    let parse = |text: &str| {
        if let Some(select) = known().find(|select| select.as_str() == text) {
            return Ok((select.clone(), None));
        }
        let count = text.strip_prefix("closest:").and_then(|count| count.parse().ok()).filter(|count| *count > 0);
        count.map(|count| (Select::Closest, Some(count))).ok_or("no way to choose")
    };
    let (select, nearest) = section.parsed("select", &remedy, parse).map_or((Select::All, None), |(_, select)| select);
    match (select, map) {
        (Select::Map(_), Some((at, map))) => {
            if maps.get(&map).is_none() {
                let message = format!("there is no map `{}`", map.escape_debug());
                unknown(section, &at, message, ("geo.map", &map), maps.names());
            }
            (Select::Map(map.into()), None)
        }
        (Select::Map(_), None) => {
            let message = format!("{} is missing, by which members are chosen", section.spell("map"));
            section.findings.error(at, message, "write the name of a [geo.map.NAME]");
            (Select::All, None)
        }
        (select, Some((at, _))) => {
            let message = format!("{} means nothing with select = \"{}\"", section.spell("map"), select.as_str());
            section.findings.error(&at, message, "write select = \"map\", or remove it");
            (select, nearest)
        }
        (select, None) => (select, nearest),
    }
}

/// What `select` needs of members and sites.
fn judge_select(section: &mut Section<'_>, at: &Place, select: &Select, sites: &Sites, members: &[PoolMember]) {
    let of = |member: &PoolMember| member.site.as_ref().and_then(|site| sites.get(sites.find(site)?));
    let lacking = match select {
        Select::Map(_) => members.iter().find(|member| member.site.is_none()).map(|member| (member, "has no site")),
        Select::RegionThenRest => {
            let known = |member: &&PoolMember| of(member).is_some_and(|site| site.region.is_some() && site.location.is_some());
            members.iter().find(|member| !known(member)).map(|member| (member, "has no site with a region and coordinates"))
        }
        _ => None,
    };
    if let Some((member, lacks)) = lacking {
        let message = format!("the member `{}` {lacks}, by which select = \"{}\" chooses", member.name, select.as_str());
        section.findings.error(at, message, "complete the member and its site, or choose in another way");
    }
    if !select.is_weighted()
        && let Some(member) = members.iter().find(|member| member.weight != 1)
    {
        let message = format!("the weight of the member `{}` means nothing with select = \"{}\"", member.name, select.as_str());
        section.findings.warning(at, message, "write select = \"weighted\", or remove it");
    }
}

/// Levels that could never serve, and addresses beyond count.
fn judge_levels(section: &mut Section<'_>, at: &Place, min_up: Share, members: &[PoolMember]) {
    let smallest = members.chunk_by(|one, other| one.level == other.level).min_by_key(|level| level.len());
    if let Some(level) = smallest.filter(|level| min_up.at_least(level.len()) > level.len()) {
        let message = format!("level {} has {} members, and `min_up` asks for more", level[0].level, level.len());
        section.findings.error(at, message, "lower it, write a share such as \"50%\", or add members");
    }
    let addresses = members.iter().map(|member| member.faces.len()).sum::<usize>();
    if addresses > ALL_ADDRESSES_MAX {
        section.findings.error(at, format!("a pool of {addresses} addresses"), format!("write at most {ALL_ADDRESSES_MAX}"));
    }
}

fn answers(section: &mut Section<'_>, at: &Place, select: &Select, nearest: Option<u16>) -> Option<u16> {
    const ANSWERS: &str = "write how many members an answer has at most, or \"all\"";
    let default = match select {
        Select::All | Select::RegionThenRest | Select::Map(_) => None,
        Select::Closest => nearest.or(Some(1)),
        _ => Some(1),
    };
    let spelled = section.spell("answers");
    let answers = match section.item("answers") {
        None => default,
        Some(Item { value: Value::Integer(number), .. }) if (1..=4096).contains(&number) => u16::try_from(number).ok(),
        Some(Item { value: Value::Text(text), .. }) if text == "all" => None,
        Some(Item { at, .. }) => {
            section.findings.error(&at, format!("{spelled} is no number of members"), ANSWERS);
            default
        }
    };
    if *select == Select::Hashed && answers != Some(1) {
        section.findings.error(at, format!("{spelled} is not 1, and select = \"hashed\" gives one member"), "write \"chashed\"");
    }
    answers
}

/// A number of members, or a percentage of them.
fn share(section: &mut Section<'_>, key: &'static str, default: Share) -> Share {
    let spelled = section.spell(key);
    let Some(Item { at, value }) = section.item(key) else { return default };
    let percent = |text: &str| text.strip_suffix('%')?.trim_end().parse().ok().filter(|percent| (1..=100).contains(percent));
    let read = match &value {
        Value::Integer(number) => u16::try_from(*number).ok().filter(|&count| count > 0).map(Share::Count),
        Value::Text(text) => percent(text).map(Share::Percent),
        _ => None,
    };
    if read.is_none() {
        let message = format!("{spelled} is no number of members and no share of them");
        section.findings.error(&at, message, "write a number such as 2, or a share such as \"50%\"");
    }
    read.unwrap_or(default)
}

fn slow_start(section: &mut Section<'_>, select: &Select, ttl: u32) -> Duration {
    let default = if select.spreads() { Duration::from_secs(120) } else { Duration::ZERO };
    let default = if default < Duration::from_secs(u64::from(SLOW_START_TTLS * ttl)) { Duration::ZERO } else { default };
    let (at, slow_start) = section.duration("slow_start", default, Duration::ZERO..=HOUR * 24);
    let Some(at) = at.filter(|_| !slow_start.is_zero()) else { return slow_start };
    let least = Duration::from_secs(u64::from(SLOW_START_TTLS * ttl));
    if !select.spreads() && !select.is_weighted() {
        let message = format!("{} means nothing with select = \"{}\"", section.spell("slow_start"), select.as_str());
        section.findings.error(&at, message, "remove it: there are no shares that could grow");
    } else if slow_start < least {
        let least = humantime::format_duration(least);
        let message =
            format!("{} is shorter than {least}, four times the TTL: caches would not see it", section.spell("slow_start"));
        section.findings.error(&at, message, "allow a longer time, or give the pool a lower `ttl`");
    }
    slow_start
}

fn failback(section: &mut Section<'_>, pool: &Pool) -> Failback {
    const FAILBACK: &str = "write a time such as \"5m\", or \"manual\"";
    let default = if pool.has_preference() { Failback::After(Duration::from_secs(300)) } else { Failback::After(Duration::ZERO) };
    let parse = |text: &str| match text {
        "manual" => Ok(Failback::Manual),
        _ => humantime::parse_duration(text).ok().filter(|wait| *wait <= WEEK).map(Failback::After).ok_or("no such time"),
    };
    let Some((at, failback)) = section.parsed("failback_after", FAILBACK, parse) else { return default };
    if failback != Failback::After(Duration::ZERO) && !pool.has_preference() {
        let message = format!("{} means nothing: no member is preferred to another", section.spell("failback_after"));
        section.findings.warning(&at, message, "give members levels, or write select = \"first\"");
    }
    failback
}

fn when_none_up(section: &mut Section<'_>, names: &BTreeSet<String>) -> WhenNoneUp {
    const REMEDY: &str =
        "write \"all\", \"last\", \"empty\", \"nxdomain\", \"pool:NAME\", or addresses and names such as [\"192.0.2.1\"]";
    let spelled = section.spell("when_none_up");
    let Some(Item { at, value }) = section.item("when_none_up") else { return WhenNoneUp::All };
    let text = match value {
        Value::Text(text) => text,
        Value::Array(items) => return fixed(section, &spelled, items),
        other => {
            section.findings.error(&at, format!("{spelled} is {}, not a string or an array", other.kind()), REMEDY);
            return WhenNoneUp::All;
        }
    };
    match text.as_str() {
        "all" => WhenNoneUp::All,
        "last" => WhenNoneUp::Last,
        "empty" => WhenNoneUp::Empty,
        "nxdomain" => WhenNoneUp::Nxdomain,
        _ => match text.strip_prefix("pool:") {
            Some(name) if names.contains(name) => WhenNoneUp::Pool(name.into()),
            Some(name) => {
                let message = format!("{spelled} names the pool `{name}`, which there is not");
                unknown(section, &at, message, ("pool", name), names.iter().map(String::as_str));
                WhenNoneUp::All
            }
            None => {
                section.findings.error(&at, format!("{spelled} is \"{}\"", text.escape_debug()), REMEDY);
                WhenNoneUp::All
            }
        },
    }
}

fn fixed(section: &mut Section<'_>, spelled: &str, items: Vec<Item>) -> WhenNoneUp {
    let mut texts = Vec::new();
    for Item { at, value } in items {
        let text = if let Value::Text(text) = &value { address_or_name(text) } else { None };
        match text {
            Some(text) => texts.push(text),
            None => section.findings.error(&at, format!("{spelled} holds no address and no name"), "write \"192.0.2.1\""),
        }
    }
    WhenNoneUp::Fixed(texts)
}

/// In presentation form.
fn address_or_name(text: &str) -> Option<Box<str>> {
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address.to_string().into()),
        Err(_) => absolute(text),
    }
}

/// A name as records have it: absolute, whether it is written so or not.
fn absolute(text: &str) -> Option<Box<str>> {
    let name: Name = text.parse().ok()?;
    let text = name.to_string();
    let text = if text.ends_with('.') { text } else { format!("{text}.") };
    (text != ".").then(|| text.into())
}

fn protocol(text: &str) -> Result<Box<str>, &'static str> {
    let plain = |octet: u8| octet.is_ascii_graphic() && !b"\\\",".contains(&octet);
    if (1..=255).contains(&text.len()) && text.bytes().all(plain) { Ok(text.into()) } else { Err("no name of a protocol") }
}

fn check_name(section: &mut Section<'_>, checks: &Definitions) -> Option<String> {
    let (at, name) = section.text("check", "write the name of a [check.NAME]")?;
    if checks.get(&name).is_some() {
        return Some(name);
    }
    unknown(section, &at, format!("there is no check `{}`", name.escape_debug()), ("check", &name), checks.names());
    None
}

/// Says that nothing is called `name` below `[header]`, and which of those that are `known` was meant.
fn unknown<'k>(
    section: &mut Section<'_>,
    at: &Place,
    message: String,
    (header, name): (&str, &str),
    known: impl Iterator<Item = &'k str>,
) {
    let remedy = match alike(name, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("write [{header}.{name}]"),
    };
    section.findings.error(at, message, remedy);
}

fn port(section: &mut Section<'_>) -> Option<u16> {
    section.given_number("port", 1..=usize::from(u16::MAX)).and_then(|port| u16::try_from(port).ok())
}

/// What members are made with.
struct From<'f> {
    health: &'f health::Config,
    checks: &'f Definitions,
    sites: &'f Sites,
    fence: &'f Fence,
    /// The pool's check and port.
    check: Option<&'f String>,
    port: Option<u16>,
    select: &'f Select,
}

fn members(section: &mut Section<'_>, at: &Place, from: &From<'_>) -> Vec<PoolMember> {
    let tables = section.tables("member");
    if tables.is_empty() {
        section.findings.error(at, "the pool has no member", "write [[pool.NAME.member]]");
    }
    if let Some((at, _)) = tables.get(MEMBERS_MAX) {
        section.findings.error(at, format!("a pool of more than {MEMBERS_MAX} members"), "split it");
    }
    let mut members: Vec<PoolMember> = Vec::new();
    for (at, table) in tables {
        let Some(member) = member(section.within("member", table), &at, from) else { continue };
        let twice = members.iter().any(|known| known.name == member.name);
        let shared = members
            .iter()
            .flat_map(|known| &known.faces)
            .find(|known| member.faces.iter().any(|face| face.address == known.address));
        if twice {
            section.findings.error(&at, format!("a second member is called `{}`", member.name), "give each its own name");
        } else if let Some(face) = shared.filter(|_| !matches!(from.select, Select::Map(_))) {
            let message = format!("the member `{}` has the address {} of another", member.name, face.address);
            section.findings.warning(&at, message, "members that are one place are one member");
        }
        members.push(member);
    }
    members
}

fn member(mut section: Section<'_>, at: &Place, from: &From<'_>) -> Option<PoolMember> {
    const NAME: &str = "write a name of your own, such as \"eu-1\"";
    section.require("name", at, NAME);
    let name = section.text("name", NAME);
    if let Some((at, name)) = &name {
        judge_name(&mut section, name, at, "a member");
    }
    let site = site(&mut section, from.sites);
    let check = check_name(&mut section, from.checks);
    let port = port(&mut section).or(from.port);
    // Where nobody says more, a place gets what it can carry.
    let capacity = site.as_ref().and_then(|site| from.sites.get(from.sites.find(site)?)?.capacity);
    let usual = capacity.filter(|_| from.select.is_weighted()).map_or(1, |capacity| (capacity as usize).min(WEIGHT_MAX));
    let weight = section.number("weight", usual, 0..=WEIGHT_MAX) as u32;
    let level = section.number("level", 0, 0..=1000) as u16;
    let has_host = section.place("host").is_some();
    let host = section.parsed("host", "write a name such as \"eu-1.example.net\"", |text| absolute(text).ok_or("no name"));
    if !has_host {
        section.require("addresses", at, "write [\"192.0.2.1\", \"2001:db8::1\"], or a `host` whose addresses are looked up");
    }
    let is_looked_up = host.is_some() && section.place("addresses").is_none();
    let addresses = section.list("addresses", "write [\"192.0.2.1\", \"2001:db8::1\"]", |text| {
        text.parse::<IpAddr>().map_err(|_| "no address").and_then(|address| {
            let usable = !address.is_unspecified() && !address.is_multicast();
            if usable { Ok(address) } else { Err("no address that can be probed") }
        })
    });
    let named = named(from, check.as_ref());
    let mut faces = Vec::new();
    if let Some((at, addresses)) = addresses {
        if addresses.is_empty() || addresses.len() > ADDRESSES_MAX {
            let message = format!("{} holds {} addresses", section.spell("addresses"), addresses.len());
            section.findings.error(&at, message, format!("write 1 to {ADDRESSES_MAX}"));
        }
        for address in addresses {
            if let Some(why) = from.fence.forbids(address) {
                let message = format!("the address {address} may not be probed: {why}");
                section.findings.error(&at, message, "take it out, or change `[prober]`");
            }
            match named.request(address, port) {
                Some(check) => faces.push(Face { address, check }),
                None => {
                    let message = format!("nothing says at which port {address} is probed");
                    section.findings.error(&at, message, "write `port` or `check`, here or in the pool");
                    break;
                }
            }
        }
    }
    if let Some((at, host)) = host.as_ref().filter(|_| is_looked_up && named.kind.has_port() && named.port.or(port).is_none()) {
        let message = format!("nothing says at which port the addresses of {host} are probed");
        section.findings.error(at, message, "write `port` or `check`, here or in the pool");
    }
    section.finish(&[]);
    let (_, name) = name?;
    let hosted = is_looked_up.then(|| Hosted { check: named, port });
    let host = host.map(|(_, host)| host);
    Some(PoolMember { name: name.into(), site, faces, host, hosted, port, weight, level })
}

fn site(section: &mut Section<'_>, sites: &Sites) -> Option<Box<str>> {
    let (at, name) = section.text("site", "write the name of a [site.NAME]")?;
    if sites.find(&name).is_none() {
        let message = format!("there is no site `{}`", name.escape_debug());
        unknown(section, &at, message, ("site", &name), sites.iter().map(|(_, site)| &*site.name));
    }
    Some(name.into())
}

/// How addresses are probed: by the check that the member or the pool names, else with a TCP connection to the port.
fn named(from: &From<'_>, check: Option<&String>) -> NamedCheck {
    let tcp = || NamedCheck {
        kind: CheckKind::Tcp,
        port: None,
        sources: Vec::new(),
        timeout: from.health.timeout,
        interval: from.health.interval,
        judgement: from.health.judgement(),
    };
    check.or(from.check).and_then(|name| from.checks.get(name)).cloned().unwrap_or_else(tcp)
}
