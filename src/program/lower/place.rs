//! Where clients are: tests of network and place, and the nearest of a list.

use super::super::address;
use super::super::choice::Metric;
use super::super::number;
use super::super::plan::{Candidate, Function, Plan, Test};
use super::super::syntax::{Expr, Kind};
use super::probing::Given;
use super::{Call, Lowering};
use crate::geo::{Attribute, Location, NetMap};

impl Lowering<'_> {
    /// `netmask(list)` (spec 4.7).
    pub(super) fn netmask(&mut self, call: Call<'_>) -> Option<Test> {
        let arguments = self.arguments(call, 1..=1)?;
        let nets = self.networks(&arguments[0], "the networks of `netmask`")?;
        Some(Test::Netmask(NetMap::first_match(nets.into_iter().map(|net| (net, true)))))
    }

    /// `asnum`, `country`, `continent` and `region` (spec 4.10): a value, or a list of them.
    pub(super) fn in_place(&mut self, call: Call<'_>, attribute: Attribute) -> Option<Test> {
        let arguments = self.arguments(call, 1..=1)?;
        let role = format!("the argument of `{}`", call.function);
        let texts = match &arguments[0].kind {
            Kind::Table(_) => {
                let entries = self.ordered(&arguments[0], &role)?;
                let texts: Vec<Option<String>> =
                    entries.values().map(|value| self.text(value, &format!("an element of {role}"))).collect();
                texts.into_iter().collect::<Option<Vec<_>>>()?
            }
            _ => vec![self.text(&arguments[0], &role)?],
        };
        for text in texts.iter().filter(|text| !is_plausible(attribute, text)) {
            let message = format!("`{}` is no {}", text.escape_debug(), call.function);
            self.warn(arguments[0].offset, message, plausible(call.function));
        }
        Some(Test::Place { attribute, values: texts.iter().map(|text| text.to_lowercase().into()).collect() })
    }

    /// `pickclosest(list[, options])` (spec 7.2); the options are leeward's own.
    pub(super) fn pick_closest(&mut self, call: Call<'_>) -> Option<Plan> {
        let arguments = self.arguments(call, 1..=2)?;
        let entries = self.ordered(&arguments[0], "the list of `pickclosest`")?;
        if entries.items.is_empty() {
            self.warn_empty(&arguments[0], call.function);
        }
        let fits = self.check_length(entries.items.len(), arguments[0].offset);
        let candidates: Vec<Option<Candidate>> = entries.values().map(|value| self.candidate(value)).collect();
        let candidates = candidates.into_iter().collect::<Option<Box<[_]>>>();
        let (metric, count) = self.distance_options(call.function, arguments.get(1))?;
        candidates.filter(|_| fits).map(|candidates| Plan::Closest { candidates, count, metric })
    }

    fn candidate(&mut self, expression: &Expr) -> Option<Candidate> {
        let member = self.member_fields(expression)?;
        let address = member.target.address;
        let number = self.intern_member(expression.offset, address.to_string())?;
        Some(Candidate { address, member: number, location: member.location })
    }

    /// A point on Earth: degrees north and east.
    pub(super) fn location(&mut self, latitude: &Expr, longitude: &Expr) -> Option<Location> {
        let (north, east) = (self.degrees(latitude, "a latitude")?, self.degrees(longitude, "a longitude")?);
        let location = Location::new(north, east);
        if location.is_none() {
            let message = format!("there is no point at {north}, {east} on Earth");
            return self.error(latitude.offset, message, "write a latitude of -90 to 90 and a longitude of -180 to 180");
        }
        location
    }

    fn degrees(&mut self, expression: &Expr, role: &str) -> Option<f64> {
        let number = match &expression.kind {
            Kind::Number(number) => Some(*number),
            Kind::Text(text) => str::from_utf8(text).ok().and_then(number::from_text),
            _ => None,
        };
        number.or_else(|| self.misplaced(expression, role, "a number of degrees"))
    }

    fn distance_options(&mut self, function: Function, table: Option<&Expr>) -> Option<(Metric, usize)> {
        let mut metric = Metric::default();
        let mut count = 1;
        for (offset, name, value) in self.named_fields(function, table)? {
            let text = self.option_text(&name, value)?;
            match name.as_str() {
                "distance" | "unknown" => self.set_metric(&name, value.offset, &text, &mut metric)?,
                "count" => {
                    let given = Given { name: &name, offset: value.offset, text: &text };
                    count = usize::try_from(self.whole(given, 1..=64)?).unwrap_or(1);
                }
                _ => self.unknown_option(offset, &name),
            }
        }
        Some((metric, count))
    }

    /// How distance is measured.
    pub(super) fn set_metric(&mut self, name: &str, offset: usize, text: &str, metric: &mut Metric) -> Option<()> {
        match (name, text) {
            ("distance", "flat") => metric.sphere = false,
            ("distance", "sphere") => metric.sphere = true,
            ("unknown", "origin") => metric.unknown_is_far = false,
            ("unknown", "far") => metric.unknown_is_far = true,
            _ => {
                let remedy = if name == "distance" { "write `flat` or `sphere`" } else { "write `origin` or `far`" };
                return self.error(offset, format!("the option `{name}` is `{}`", text.escape_debug()), remedy);
            }
        }
        Some(())
    }
}

/// An address with a place and a weight that may be written beside it.
pub(super) struct Member {
    pub(super) target: address::Target,
    pub(super) weight: u32,
    pub(super) location: Option<Location>,
}

fn is_plausible(attribute: Attribute, text: &str) -> bool {
    match attribute {
        Attribute::Asn => text.bytes().all(|octet| octet.is_ascii_digit()),
        Attribute::Country | Attribute::Continent => text.len() == 2 && text.bytes().all(|octet| octet.is_ascii_alphabetic()),
        _ => !text.is_empty(),
    }
}

const fn plausible(function: Function) -> &'static str {
    match function {
        Function::AsNum => "write the number alone, such as 64500",
        Function::Country => "write a code of ISO 3166-1 such as `US`",
        Function::Continent => "write one of AF, AN, AS, EU, NA, OC, SA",
        _ => "write a code of ISO 3166-2 without the country, such as `CA`",
    }
}
