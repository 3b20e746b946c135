//! `ifportup`, `ifurlup`, `ifurlextup` and `pickselfweighted`: groups of addresses, each with a check.

use url::{Host, Url};

use super::super::address;
use super::super::number;
use super::super::plan::{Checked, Function, Plan, Target};
use super::super::syntax::{Expr, Field, Kind};
use super::list::Entries;
use super::options::Options;
use super::place::Member;
use super::probing::Location;
use super::{Call, Lowering};
use crate::target::{CheckKind, Scheme};

/// Longest URL, octets. Each check holds its own copy.
const URL_MAX: usize = 2048;

/// An address as written.
struct Written {
    offset: usize,
    member: Member,
}

/// Addresses in order of preference, each with the number of its check.
type Groups = Vec<Vec<(Written, usize)>>;

impl Lowering<'_> {
    /// `ifportup(port, addresses[, options])`.
    pub(super) fn if_port_up(&mut self, call: Call<'_>) -> Option<Plan> {
        let arguments = self.arguments(call, 2..=3)?;
        let port = self.port(&arguments[0]);
        let groups = self.groups(&arguments[1], call.function);
        let options = self.options(call.function, arguments.get(2));
        let (port, options) = (port?, options?);
        let probe = |written: &Written| options.probing.at(written.member.target.address, written.member.target.port, port);
        let groups = self.probed(groups?, &options, probe)?;
        self.checked(call, groups, &options)
    }

    /// `ifurlup(url, addresses[, options])`.
    pub(super) fn if_url_up(&mut self, call: Call<'_>) -> Option<Plan> {
        let (groups, options) = self.url_groups(call, false)?;
        self.checked(call, groups, &options)
    }

    /// `pickselfweighted(url, addresses[, options])` (spec 4.4); selectors mean nothing here.
    pub(super) fn pick_self_weighted(&mut self, call: Call<'_>) -> Option<Plan> {
        let (groups, _) = self.url_groups(call, true)?;
        let targets = groups.into_iter().flatten().map(|(written, check)| self.target(&written, check));
        Some(Plan::SelfWeighted(targets.collect::<Option<_>>()?))
    }

    fn url_groups(&mut self, call: Call<'_>, weighted: bool) -> Option<(Groups, Options)> {
        let arguments = self.arguments(call, 2..=3)?;
        let location = self.url(&arguments[0]);
        let groups = self.groups(&arguments[1], call.function);
        let options = self.options(call.function, arguments.get(2));
        let (location, groups, options) = (location?, groups?, options?);
        let port = location.port;
        groups.iter().flatten().for_each(|written| self.warn_port(written, port));
        let kind = options.probing.http(location, weighted);
        let groups = self.probed(groups, &options, |_| (port, kind.clone()))?;
        Some((groups, options))
    }

    fn warn_port(&mut self, written: &Written, port: u16) {
        if written.member.target.port.is_some_and(|own| own != port) {
            let message = format!("the address's own port is ignored, the URL's is {port}");
            self.warn(written.offset, message, "write the port in the URL");
        }
    }

    /// `ifurlextup({{[address]=url, ...}, ...}[, options])` (spec 4.3): within a group by the text of the addresses.
    pub(super) fn if_url_ext_up(&mut self, call: Call<'_>) -> Option<Plan> {
        let arguments = self.arguments(call, 1..=2)?;
        let entries = self.ordered(&arguments[0], "the groups of `ifurlextup`")?;
        if entries.items.is_empty() {
            self.warn_empty(&arguments[0], call.function);
        }
        let options = self.options(call.function, arguments.get(1))?;
        let groups: Vec<Option<_>> = entries.values().map(|group| self.external_group(group, &options)).collect();
        let groups = groups.into_iter().collect::<Option<Vec<_>>>()?;
        self.checked(call, groups, &options)
    }

    fn external_group(&mut self, group: &Expr, options: &Options) -> Option<Vec<(Written, usize)>> {
        let Kind::Table(fields) = &group.kind else { return self.misplaced(group, "a group of `ifurlextup`", "a table") };
        let fits = self.check_length(fields.len(), group.offset);
        let targets: Vec<Option<_>> = fields.iter().map(|field| self.external_target(field, options)).collect();
        let mut targets = targets.into_iter().collect::<Option<Vec<(String, Written, usize)>>>().filter(|_| fits)?;
        targets.sort_by(|left, right| left.0.cmp(&right.0));
        Some(targets.into_iter().map(|(_, written, check)| (written, check)).collect())
    }

    fn external_target(&mut self, field: &Field, options: &Options) -> Option<(String, Written, usize)> {
        let Some(key) = &field.key else {
            let message = "an element of a group of `ifurlextup` has no address";
            return self.error(field.value.offset, message, "write `['192.0.2.1']='https://192.0.2.1/health'`");
        };
        let (text, member, location) = (self.text(key, "an address"), self.member_fields(key), self.url(&field.value));
        let (text, member, location) = (text?, member?, location?);
        let port = location.port;
        let check = self.check(&options.probing, None, port, options.probing.http(location, false))?;
        Some((text, Written { offset: key.offset, member }, check))
    }

    /// Numbers the checks. `probe` gives an address's port and kind of check.
    fn probed(
        &mut self,
        groups: Vec<Vec<Written>>,
        options: &Options,
        probe: impl Fn(&Written) -> (u16, CheckKind),
    ) -> Option<Groups> {
        let mut check = |written: Written| {
            let (port, kind) = probe(&written);
            let check = self.check(&options.probing, Some(written.member.target.address), port, kind)?;
            Some((written, check))
        };
        groups.into_iter().map(|group| group.into_iter().map(&mut check).collect()).collect()
    }

    /// Numbers the members.
    fn checked(&mut self, call: Call<'_>, groups: Groups, options: &Options) -> Option<Plan> {
        let mut numbered = Vec::with_capacity(groups.len());
        for group in groups {
            let targets = group.into_iter().map(|(written, check)| self.target(&written, check));
            numbered.push(targets.collect::<Option<Box<[Target]>>>()?);
        }
        self.look_over(call, &numbered, options);
        self.check_sums(call, &numbered, options)?;
        Some(Plan::Checked(Checked {
            function: call.function,
            groups: numbered.into(),
            selector: options.selector,
            backup: options.backup,
            metric: options.metric,
            fail_incomplete: options.fail_incomplete,
        }))
    }

    fn target(&mut self, written: &Written, check: usize) -> Option<Target> {
        let Member { target, weight, location } = written.member;
        let member = self.intern_member(written.offset, target.address.to_string())?;
        Some(Target { address: target.address, member, check, weight, location })
    }

    /// What is odd about the groups as a whole.
    fn look_over(&mut self, call: Call<'_>, groups: &[Box<[Target]>], options: &Options) {
        let offset = call.arguments.get(1).map_or(call.offset, |list| list.offset);
        let weighted = groups.iter().flatten().any(|target| target.weight != 1);
        if weighted && !options.selector.is_weighted() && !options.backup.is_weighted() {
            let message = format!("`{}` does not look at weights with the selector `{}`", call.function, options.selector);
            self.warn(offset, message, "use the selector `wrandom`, `whashed`, `chashed` or `namehashed`");
        }
        let mut before = std::collections::HashSet::new();
        for (number, group) in groups.iter().enumerate() {
            let checks: Vec<usize> = group.iter().map(|target| target.check).collect();
            if number > 0 && !checks.is_empty() && checks.iter().all(|check| before.contains(check)) {
                let message = format!("group {} is never reached: its checks are all in groups before it", number + 1);
                self.warn(offset, message, "remove the group, or give it other addresses");
            }
            before.extend(checks);
        }
    }

    /// The weights of a group are summed up where they decide.
    fn check_sums(&mut self, call: Call<'_>, groups: &[Box<[Target]>], options: &Options) -> Option<()> {
        let sums = options.selector.sums() || options.backup.sums();
        let sum = |group: &[Target]| group.iter().map(|target| u64::from(target.weight)).sum::<u64>();
        if sums && groups.iter().any(|group| sum(group) > u64::from(u32::MAX)) {
            let offset = call.arguments.get(1).map_or(call.offset, |list| list.offset);
            return self.error(offset, format!("the weights of a group add up to more than {}", u32::MAX), "use smaller weights");
        }
        Some(())
    }

    /// A port, clamped to 16 bits as PowerDNS does.
    fn port(&mut self, expression: &Expr) -> Option<u16> {
        let number = match &expression.kind {
            Kind::Number(number) => Some(*number),
            Kind::Text(text) => std::str::from_utf8(text).ok().and_then(number::from_text),
            _ => return self.misplaced(expression, "the port", "a number"),
        };
        let Some(number) = number else {
            return self.error(expression.offset, "the port is not a number", "write a number from 1 to 65535");
        };
        let port = number.trunc().clamp(0.0, 65535.0) as u16;
        if f64::from(port) != number || port == 0 {
            let message = format!("the port {} counts as {port}", number::to_text(number));
            self.warn(expression.offset, message, "write a whole number from 1 to 65535");
        }
        Some(port)
    }

    /// A flat list of members, or a list of such lists in order of preference.
    fn groups(&mut self, expression: &Expr, function: Function) -> Option<Vec<Vec<Written>>> {
        let entries = self.ordered(expression, &format!("the addresses of `{function}`"))?;
        let tables = entries.values().filter(|value| is_group(value)).count();
        let groups = if tables == 0 {
            vec![self.group(&entries, expression.offset)]
        } else if tables == entries.items.len() {
            entries.values().map(|group| self.group_of(group)).collect()
        } else {
            return self.mixed(&entries);
        };
        let groups = groups.into_iter().collect::<Option<Vec<_>>>()?;
        if groups.iter().all(Vec::is_empty) {
            self.warn_empty(expression, function);
        }
        Some(groups)
    }

    fn group_of(&mut self, expression: &Expr) -> Option<Vec<Written>> {
        let entries = self.ordered(expression, "a group of addresses")?;
        self.group(&entries, expression.offset)
    }

    fn group(&mut self, entries: &Entries<'_>, offset: usize) -> Option<Vec<Written>> {
        let fits = self.check_length(entries.items.len(), offset);
        let written: Vec<Option<Written>> = entries.values().map(|value| self.written(value)).collect();
        let written = written.into_iter().collect::<Option<_>>()?;
        fits.then_some(written)
    }

    /// Addresses beside groups: reports the first that is out of line, and whatever is wrong with the rest.
    fn mixed<T>(&mut self, entries: &Entries<'_>) -> Option<T> {
        for value in entries.values() {
            if is_group(value) {
                self.group_of(value);
            } else {
                self.written(value);
            }
        }
        let grouped = entries.values().next().is_some_and(is_group);
        let odd = entries.values().find(|value| is_group(value) != grouped)?;
        self.error(odd.offset, "addresses and groups of addresses in one list", "put every address into a group, or none")
    }

    fn written(&mut self, expression: &Expr) -> Option<Written> {
        Some(Written { offset: expression.offset, member: self.member_fields(expression)? })
    }

    /// An address: text, or leeward's own `{weight, address}` and `{weight=.., address=.., lat=.., lon=..}`.
    pub(super) fn member_fields(&mut self, expression: &Expr) -> Option<Member> {
        let Kind::Table(fields) = &expression.kind else {
            return Some(Member { target: self.address(expression)?, weight: 1, location: None });
        };
        let field = |name: &str, position: Option<f64>| {
            fields.iter().zip(1u32..).find_map(|(field, at)| {
                let named = match field.key.as_ref().map(|key| &key.kind) {
                    Some(Kind::Text(text)) => text == name.as_bytes(),
                    Some(Kind::Number(number)) => Some(*number) == position,
                    _ => field.key.is_none() && Some(f64::from(at)) == position,
                };
                named.then_some(&field.value)
            })
        };
        for other in fields.iter().filter_map(|field| field.key.as_ref()) {
            if matches!(&other.kind, Kind::Text(text) if !MEMBER_FIELDS.contains(&&**text)) {
                self.warn(other.offset, "a member has no such field", "write weight, address, lat and lon");
            }
        }
        let Some(address) = field("address", Some(2.0)) else {
            return self.error(expression.offset, "a member without an address", "write `{10, '192.0.2.1'}`");
        };
        let weight = field("weight", Some(1.0)).map_or(Some(1), |weight| self.weight(weight));
        let location = match (field("lat", None), field("lon", None)) {
            (Some(latitude), Some(longitude)) => Some(self.location(latitude, longitude)?),
            (None, None) => None,
            _ => return self.error(expression.offset, "a member with half a place", "write both lat and lon, in degrees"),
        };
        Some(Member { target: self.address(address)?, weight: weight?, location })
    }

    fn address(&mut self, expression: &Expr) -> Option<address::Target> {
        let (offset, text) = (expression.offset, self.text(expression, "an address")?);
        let Some(target) = address::parse(&text) else {
            let message = format!("`{}` is not an address", text.escape_debug());
            return self.error(offset, message, "write a numeric IPv4 or IPv6 address");
        };
        if target.unusual {
            let message = format!("`{}` is read as {}", text.escape_debug(), target.address);
            self.warn(offset, message, "write four decimal numbers between dots");
        }
        Some(target)
    }

    fn url(&mut self, expression: &Expr) -> Option<Location> {
        let text = self.text(expression, "the URL")?;
        if text.len() > URL_MAX {
            return self.error(expression.offset, format!("the URL is longer than {URL_MAX} octets"), "use a shorter one");
        }
        let example = "write a URL such as `https://www.example.com/health`";
        let url = match Url::parse(&text) {
            Ok(url) => url,
            Err(error) => {
                return self.error(expression.offset, format!("`{}` is not a URL: {error}", text.escape_debug()), example);
            }
        };
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => return self.error(expression.offset, format!("the URL's scheme is `{other}`, not http or https"), example),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return self.error(expression.offset, "the URL holds a user name or password", "leave them out");
        }
        let host = url.host().as_ref().map(Host::to_string).unwrap_or_default().into();
        let port = url.port().unwrap_or(scheme.default_port());
        let path = url.query().map_or_else(|| url.path().into(), |query| format!("{}?{query}", url.path()).into());
        Some(Location { scheme, host, port, path })
    }
}

const MEMBER_FIELDS: [&[u8]; 4] = [b"weight", b"address", b"lat", b"lon"];

/// Whether a table is a group of members, and not a member: that begins with a weight or names its fields.
fn is_group(expression: &Expr) -> bool {
    let Kind::Table(fields) = &expression.kind else { return false };
    let named = fields.iter().any(|field| matches!(field.key.as_ref().map(|key| &key.kind), Some(Kind::Text(_))));
    let weighted = match fields.as_slice() {
        [first, second] => matches!(first.value.kind, Kind::Number(_)) && matches!(second.value.kind, Kind::Text(_)),
        _ => false,
    };
    !named && !weighted
}
