//! `[site.NAME]` and `[geo.map.NAME]`: where targets are, and who should get which of them.
//!
//! Codes of places are read in either case and kept in lower case, as databases are. What a map has in a file of its own
//! can be read again without the rest of the configuration ([`read_again`]): that file is often another program's, and what
//! an operator is in the middle of writing must not be taken in because of it.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::non_empty;
use super::finding::{Findings, Place};
use super::nets;
use super::raw::{Item, Value};
use super::section::{NamedItem, Section, alike};
use super::stamp::Stamp;
use crate::answers::Options;
use crate::geo::{Location, Net, NetError, Order, Rules, Site, SiteId, SiteMap, SiteMaps, Sites};
use crate::program::Atlas;

const NAME: &str = "write letters, digits, `-`, `_` and `.`, at most 63 of them, the first a letter or digit";
const ORDER: &str = "write names of sites, the best first, such as [\"eu-1\", \"us-1\"]; [] is none of them";
const COORDINATES: &str = "write latitude and longitude in degrees, such as [52.5, 13.4]";

const CONTINENTS: [&str; 7] = ["af", "an", "as", "eu", "na", "oc", "sa"];
/// ISO 3166-1 as of 2024, and XK, which databases have for Kosovo.
const COUNTRIES: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC \
    CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD \
    GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH \
    KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW \
    MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC \
    SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY \
    UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// A map with networks in a file.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    map: String,
    /// Those of the configuration, without the file's.
    rules: Rules,
    /// Where the file is named.
    at: Place,
    path: PathBuf,
    stamp: Option<Stamp>,
}

impl Listed {
    pub(super) fn file(&self) -> (&Path, Option<Stamp>) {
        (&self.path, self.stamp)
    }
}

// -------- sites

/// The sites below `[site]`.
pub(super) fn sites(root: &mut Section<'_>) -> Sites {
    let named = root.named("site");
    if let Some((_, at, _)) = named.get(Sites::MAX) {
        root.findings.error(at, format!("there are more than {} sites", Sites::MAX), "remove those that no map names");
    }
    let site = |(name, at, table): (String, Place, _)| {
        let mut section = root.below("site", &name, table);
        judge_name(&mut section, &name, &at, "a site");
        site(section, &name)
    };
    Sites::new(named.into_iter().map(site).collect::<Vec<_>>())
}

fn site(mut section: Section<'_>, name: &str) -> Site {
    let region = |text: &str| if text.is_empty() { Err("no name") } else { Ok(text.into()) };
    let region = section.parsed("region", "write a name of your own, such as \"eu\"", region).map(|(_, region)| region);
    let location = coordinates(&mut section);
    let capacity = section.given_number("capacity", 1..=1_000_000).and_then(|capacity| u32::try_from(capacity).ok());
    section.finish(&[]);
    Site { name: name.into(), region, location, capacity }
}

fn coordinates(section: &mut Section<'_>) -> Option<Location> {
    let (spelled, Item { at, value }) = (section.spell("coordinates"), section.item("coordinates")?);
    let degrees = |item: &Item| match item.value {
        Value::Float(degrees) => Some(degrees),
        Value::Integer(degrees) => Some(degrees as f64),
        _ => None,
    };
    let pair = match &value {
        Value::Array(items) => items.iter().map(degrees).collect::<Option<Vec<f64>>>(),
        _ => None,
    };
    let Some([latitude, longitude]) = pair.as_deref() else {
        section.findings.error(&at, format!("{spelled} is no pair of numbers"), COORDINATES);
        return None;
    };
    let location = Location::new(*latitude, *longitude);
    if location.is_none() {
        let message =
            format!("{spelled} is [{latitude}, {longitude}], which is beyond 90 degrees of latitude or 180 of longitude");
        section.findings.error(&at, message, COORDINATES);
    }
    location
}

pub(super) fn judge_name(section: &mut Section<'_>, name: &str, at: &Place, what: &str) {
    let usable = (1..=63).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !usable {
        section.findings.error(at, format!("`{}` is no name for {what}", name.escape_debug()), NAME);
    }
}

// -------- maps

/// The maps below `[geo.map]`, and those of them that have networks in files; `placed`: whether there are databases.
pub(super) fn maps(geo: &mut Section<'_>, sites: &Sites, placed: bool) -> (SiteMaps, Vec<Listed>) {
    let (mut maps, mut listed) = (SiteMaps::default(), Vec::new());
    for (name, at, table) in geo.named("map") {
        let mut section = geo.below("map", &name, table);
        judge_name(&mut section, &name, &at, "a map");
        let rules = rules(&mut section, &at, sites);
        if !placed && by_place(&rules) {
            let message = format!("the map `{name}` has rules by place, and there are no databases that say where clients are");
            section.findings.warning(&at, message, "name some in `[geo] databases`, or remove the rules");
        }
        let file = section.path("nets_file", "write the path of a file with a network and its sites in each line");
        let file = file.and_then(|(at, path)| Some((non_empty(&mut section, "nets_file", &at, path)?, at)));
        let mut networks = Vec::new();
        if let Some((path, named)) = file {
            let stamp;
            (stamp, networks) = nets::read(&path, &named, sites, section.findings);
            listed.push(Listed { map: name.clone(), rules: rules.clone(), at: named, path, stamp });
        }
        maps = with(&maps, &name, Rules { listed: networks, ..rules }, &at, section.findings);
        section.finish(&[]);
    }
    (maps, listed)
}

/// Reads the files of networks again, and makes their maps of what they say now.
pub(super) fn read_again(listed: &mut [Listed], answering: &mut Options, findings: &mut Findings) {
    for Listed { map, rules, at, path, stamp } in listed {
        let networks;
        let Atlas { sites, maps } = answering.checks.atlas().clone();
        (*stamp, networks) = nets::read(path, at, &sites, findings);
        let rules = Rules { listed: networks, ..rules.clone() };
        let maps = with(&maps, map, rules, at, findings);
        answering.checks.atlas = Some(Arc::new(Atlas { sites, maps }));
    }
}

fn with(maps: &SiteMaps, name: &str, rules: Rules, at: &Place, findings: &mut Findings) -> SiteMaps {
    match SiteMap::new(rules) {
        Ok(map) => maps.with(name, map),
        Err(error) => {
            findings.error(at, format!("the map `{name}` cannot be made: {error}"), "give more of its rules the same order");
            maps.clone()
        }
    }
}

fn by_place(rules: &Rules) -> bool {
    let Rules { continents, countries, subdivisions, systems, default: _, networks: _, listed: _ } = rules;
    !(continents.is_empty() && countries.is_empty() && subdivisions.is_empty() && systems.is_empty())
}

/// The rules of a map that begins at `at`, but for those in a file.
fn rules(section: &mut Section<'_>, at: &Place, sites: &Sites) -> Rules {
    section.require("default", at, ORDER);
    let spelled = section.spell("default");
    let default = section.item("default").map(|item| order(item, &spelled, sites, section.findings));
    let continents = ruled(section, "continent", sites, "write AF, AN, AS, EU, NA, OC or SA", continent);
    let countries = ruled(section, "country", sites, "write a code of ISO 3166-1, such as DE", country);
    let subdivisions = ruled(section, "subdivision", sites, "write a code of ISO 3166-2, such as \"US-CA\"", subdivision);
    let systems = ruled(section, "as", sites, "write its number, such as 64500", system);
    let networks = ruled(section, "networks", sites, "write a network such as \"192.0.2.0/24\"", |text| {
        text.parse::<Net>().map_err(|error: NetError| error.to_string())
    });
    let codes = countries.iter().map(|(country, _, at)| (country, at));
    for (country, at) in codes.chain(subdivisions.iter().map(|((country, _), _, at)| (country, at))) {
        doubt(country, at, section.findings);
    }
    let mut nested: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for ((country, part), order, _) in subdivisions {
        nested.entry(country).or_default().insert(part, order);
    }
    Rules {
        default: default.unwrap_or_default(),
        continents: continents.into_iter().map(|(code, order, _)| (code, order)).collect(),
        countries: countries.into_iter().map(|(code, order, _)| (code, order)).collect(),
        subdivisions: nested,
        systems: systems.into_iter().map(|(number, order, _)| (number, order)).collect(),
        networks: networks.into_iter().map(|(net, order, _)| (net, order)).collect(),
        listed: Vec::new(),
    }
}

/// The orders below `key`, by what `parse` makes of their names, each with its place. Those whose name is wrong are left out.
fn ruled<K: Clone + Eq + Hash>(
    section: &mut Section<'_>,
    key: &'static str,
    sites: &Sites,
    remedy: &str,
    parse: impl Fn(&str) -> Result<K, String>,
) -> Vec<(K, Order, Place)> {
    let (mut orders, mut seen) = (Vec::new(), HashMap::new());
    for NamedItem { name, spelled, at, item } in section.items_by_name(key) {
        let order = order(item, &spelled, sites, section.findings);
        match parse(&name) {
            Err(error) => section.findings.error(&at, format!("{spelled}: {error}"), remedy),
            Ok(key) => match seen.get(&key) {
                Some(first) => {
                    let message = format!("{spelled} is set twice, first at {first}");
                    section.findings.error(&at, message, "remove one");
                }
                None => {
                    seen.insert(key.clone(), at.clone());
                    orders.push((key, order, at));
                }
            },
        }
    }
    orders
}

fn order(item: Item, spelled: &str, sites: &Sites, findings: &mut Findings) -> Order {
    let Item { at, value } = item;
    let Value::Array(items) = value else {
        findings.error(&at, format!("{spelled} is {}, not an array of strings", value.kind()), ORDER);
        return Order::default();
    };
    let mut order: Vec<SiteId> = Vec::with_capacity(items.len());
    for Item { at, value } in items {
        let Value::Text(name) = value else {
            findings.error(&at, format!("{spelled} holds {}, not a string", value.kind()), ORDER);
            continue;
        };
        match sites.find(&name) {
            Some(site) if order.contains(&site) => {
                findings.error(&at, format!("{spelled} holds \"{name}\" twice"), "remove one");
            }
            Some(site) => order.push(site),
            None => {
                let (message, remedy) = no_such_site(&name, sites);
                findings.missing(&at, format!("{spelled}: {message}"), remedy);
            }
        }
    }
    order.into()
}

/// That there is no such site, and which was meant.
pub(super) fn no_such_site(name: &str, sites: &Sites) -> (String, String) {
    let names = || sites.iter().map(|(_, site)| &*site.name);
    let remedy = match alike(name, names()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None if sites.is_empty() => "there are no sites: add [site.NAME]".to_owned(),
        None if sites.len() > 20 => "add it as [site.NAME]".to_owned(),
        None => format!("the sites are {}", names().collect::<Vec<_>>().join(", ")),
    };
    (format!("there is no site \"{}\"", name.escape_debug()), remedy)
}

// -------- codes

fn continent(text: &str) -> Result<Box<str>, String> {
    let code = text.to_ascii_lowercase();
    CONTINENTS.contains(&&*code).then(|| code.into()).ok_or_else(|| "no continent has this code".to_owned())
}

fn country(text: &str) -> Result<Box<str>, String> {
    let formed = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    formed.then(|| text.to_ascii_lowercase().into()).ok_or_else(|| "the code of a country is two letters".to_owned())
}

/// The country, and its part.
fn subdivision(text: &str) -> Result<(Box<str>, Box<str>), String> {
    let wrong = || "the code of a subdivision is that of its country, `-`, and up to three letters or digits".to_owned();
    let (of, part) = text.split_once('-').ok_or_else(wrong)?;
    let formed = (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let of = country(of).map_err(|_| wrong())?;
    formed.then(|| (of, part.to_ascii_lowercase().into())).ok_or_else(wrong)
}

fn system(text: &str) -> Result<u32, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| "no autonomous system has this number".to_owned())
}

/// A country that ISO does not know may be a new one; more often it is a slip.
fn doubt(code: &str, at: &Place, findings: &mut Findings) {
    let upper = code.to_ascii_uppercase();
    if !COUNTRIES.split(' ').any(|known| known == upper) {
        let remedy = if code == "uk" { "write GB for the United Kingdom" } else { "see ISO 3166-1" };
        findings.warning(at, format!("no country is known to have the code {upper}, so the rule may never be met"), remedy);
    }
}
