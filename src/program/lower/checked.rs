//! `ifportup` and `ifurlup`: groups of addresses, each with a check.

use url::{Host, Url};

use super::super::address;
use super::super::number;
use super::super::parser::{Expr, Kind};
use super::super::plan::{Checked, Function, Plan, Target};
use super::list::Entries;
use super::options::Options;
use super::probing::Location;
use super::{Call, Lowering};
use crate::target::{CheckKind, Scheme};

/// Longest URL, octets. Each check holds its own copy.
const URL_MAX: usize = 2048;

/// An address as written.
struct Written {
    offset: usize,
    target: address::Target,
}

impl Lowering<'_> {
    /// `ifportup(port, addresses[, options])`.
    pub(super) fn if_port_up(&mut self, call: Call<'_>) -> Option<Plan> {
        let arguments = self.arguments(call, 2..=3)?;
        let port = self.port(&arguments[0]);
        let groups = self.groups(&arguments[1], call.function);
        let options = self.options(call.function, arguments.get(2));
        let (port, options) = (port?, options?);
        self.checked(call.function, groups?, &options, |_, written| (written.target.port.unwrap_or(port), CheckKind::Tcp))
    }

    /// `ifurlup(url, addresses[, options])`.
    pub(super) fn if_url_up(&mut self, call: Call<'_>) -> Option<Plan> {
        let arguments = self.arguments(call, 2..=3)?;
        let location = self.url(&arguments[0]);
        let groups = self.groups(&arguments[1], call.function);
        let options = self.options(call.function, arguments.get(2));
        let (location, options) = (location?, options?);
        let (port, kind) = (location.port, options.probing.http(location, false));
        self.checked(call.function, groups?, &options, |lowering, written| {
            lowering.warn_port(written, port);
            (port, kind.clone())
        })
    }

    fn warn_port(&mut self, written: &Written, port: u16) {
        if written.target.port.is_some_and(|own| own != port) {
            let message = format!("the address's own port is ignored, the URL's is {port}");
            self.warn(written.offset, message, "write the port in the URL");
        }
    }

    /// Numbers the members and checks. `probe` gives an address's port and kind of check.
    fn checked(
        &mut self,
        function: Function,
        groups: Vec<Vec<Written>>,
        options: &Options,
        probe: impl Fn(&mut Self, &Written) -> (u16, CheckKind),
    ) -> Option<Plan> {
        let mut numbered = Vec::with_capacity(groups.len());
        for group in groups {
            let targets = group.iter().map(|written| {
                let (port, kind) = probe(self, written);
                let address = written.target.address;
                let check = self.check(&options.probing, Some(address), port, kind)?;
                Some(Target { address, member: self.intern_member(written.offset, address.to_string())?, check })
            });
            numbered.push(targets.collect::<Option<_>>()?);
        }
        Some(Plan::Checked(Checked { function, groups: numbered.into(), selector: options.selector, backup: options.backup }))
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

    /// A flat list of addresses, or a list of such lists in order of preference.
    fn groups(&mut self, expression: &Expr, function: Function) -> Option<Vec<Vec<Written>>> {
        let entries = self.ordered(expression, &format!("the addresses of `{function}`"))?;
        let tables = entries.values().filter(|value| matches!(value.kind, Kind::Table(_))).count();
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
        let written: Vec<Option<Written>> = entries.values().map(|value| self.address(value)).collect();
        let written = written.into_iter().collect::<Option<_>>()?;
        fits.then_some(written)
    }

    /// Addresses beside groups: reports the first that is out of line, and whatever is wrong with the rest.
    fn mixed<T>(&mut self, entries: &Entries<'_>) -> Option<T> {
        let is_table = |value: &Expr| matches!(value.kind, Kind::Table(_));
        for value in entries.values() {
            if is_table(value) {
                self.group_of(value);
            } else {
                self.address(value);
            }
        }
        let grouped = entries.values().next().is_some_and(is_table);
        let odd = entries.values().find(|value| is_table(value) != grouped)?;
        self.error(odd.offset, "addresses and groups of addresses in one list", "put every address into a group, or none")
    }

    fn address(&mut self, expression: &Expr) -> Option<Written> {
        let (offset, text) = (expression.offset, self.text(expression, "an address")?);
        let Some(target) = address::parse(&text) else {
            let message = format!("`{}` is not an address", text.escape_debug());
            return self.error(offset, message, "write a numeric IPv4 or IPv6 address");
        };
        if target.unusual {
            let message = format!("`{}` is read as {}", text.escape_debug(), target.address);
            self.warn(offset, message, "write four decimal numbers between dots");
        }
        Some(Written { offset, target })
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
