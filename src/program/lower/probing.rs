//! The options that say how targets are probed: what a check is, and how its results are judged.
//!
//! Those of PowerDNS have its meaning (spec 4.3, 5.4). leeward's own, which PowerDNS ignores:
//!
//! | option | value | meaning |
//! | --- | --- | --- |
//! | `timeout`, `interval` | seconds with a fraction | PowerDNS reads the whole seconds only, and 0.5 as 0 |
//! | `minimumSuccesses` | 1 and up, default 1 | passes in a row, down → up |
//! | `forgetAfter` | 1 and up, default 1 | passes in a row after which an up target's failures no longer count |
//! | `retryInterval` | seconds with a fraction | from a surprise to the next probe; not given: the interval, as PowerDNS |
//! | `slow` | seconds with a fraction | a target whose passes take longer has half of its weight, for selectors that look at it |
//! | `tripwire` | `'true'` | an idle connection is held to the target, whose end has it probed at once: a crash is noticed in milliseconds |
//! | `damped` | `'true'` | `[health]`'s preset `damped`, where the five before say nothing else; and flap damping |
//! | `tlsVerify` | `'true'` | the certificate must be valid for the URL's host by the system's trust store |
//! | `method` | `'GET'`, `'HEAD'`, `'POST'`, ... | the request's method, default `'GET'` |
//! | `body` | a text | the request's body; its Content-Type is for `headers` to say |
//! | `regexmatch` | a pattern | must match in the first 64 KiB of the body, beside `stringmatch` where both are given |
//!
//! | `check` | a name | the check `[check.NAME]` of the configuration is what is probed |
//!
//! A named check gives everything that the table does not: options beside it replace what it says, wherever they stand. In
//! `ifportup` the whole question is the definition's, at the address's own port, else the definition's, else the call's; in
//! functions of URLs the URL is the call's, and the definition, which must be of HTTP, says how it is asked and what is
//! expected. Names are of the configuration, which the operator writes: so a zone may use commands and files of this host
//! that it could not name itself.
//!
//! `headers` go to the URL's own host and not to where a redirect leads; what they and `body` hold is shown to nobody.
//!
//! `source` must be of the family of all addresses, where checks have addresses. That this host has it is seen when the
//! probe runs; until then nothing is known of the targets.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use super::super::compile::Defaults;
use super::super::number;
use super::super::plan::Function;
use super::super::syntax::{Expr, Field, Kind};
use super::names::closest;
use super::{Lowering, describe};
use crate::target::{CheckKind, CheckSpec, Codes, Content, HttpCheck, Judgement, NamedCheck, Pattern, Scheme};

/// Shortest and longest `timeout`.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(3600);
/// Shortest and longest `interval`.
const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(86_400);

/// Shortest and longest `retryInterval`.
const RETRY: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(86_400);

/// Shortest and longest `slow`.
const SLOW: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);

/// Longest text of an option, octets.
const TEXT_MAX: usize = 1024;
/// Most `headers`.
const HEADERS_MAX: usize = 64;

/// What the options say of the probe, defaults filled in.
pub(super) struct Probing {
    timeout: Duration,
    interval: Duration,
    judging: Judging,
    /// Where probes come from, and the place where that is said.
    source: Option<(IpAddr, usize)>,
    /// The request and what is expected, for a URL that is filled in later.
    http: HttpCheck,
    /// The definition that the option `check` names.
    named: Option<NamedCheck>,
}

/// What the options say of how results are judged.
struct Judging {
    fall: Option<u16>,
    rise: Option<u16>,
    forget: Option<u16>,
    retry: Option<Duration>,
    slow: Option<Duration>,
    tripwire: Option<bool>,
    damped: bool,
    /// What stands for what is not said.
    base: Judgement,
    /// The same, if it is to be damped.
    preset: Judgement,
}

impl Judging {
    fn over(base: Judgement, preset: Judgement) -> Self {
        Self { fall: None, rise: None, forget: None, retry: None, slow: None, tripwire: None, damped: false, base, preset }
    }

    fn judgement(&self) -> Judgement {
        let base = if self.damped { self.preset } else { self.base };
        Judgement {
            fall: self.fall.unwrap_or(base.fall),
            rise: self.rise.unwrap_or(base.rise),
            forget: self.forget.unwrap_or(base.forget),
            retry: self.retry.or(base.retry),
            slow: self.slow.or(base.slow),
            tripwire: self.tripwire.unwrap_or(base.tripwire),
            ..base
        }
    }
}

/// An option of the probe.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Name {
    Timeout,
    Interval,
    MinimumFailures,
    MinimumSuccesses,
    ForgetAfter,
    RetryInterval,
    Slow,
    Tripwire,
    Damped,
    Source,
    StringMatch,
    RegexMatch,
    BytesLimit,
    HttpCode,
    UserAgent,
    Headers,
    Method,
    Body,
    TlsVerify,
    Check,
}

/// How the options are spelled.
pub(super) const NAMES: [(&str, Name); 20] = [
    ("timeout", Name::Timeout),
    ("interval", Name::Interval),
    ("minimumFailures", Name::MinimumFailures),
    ("minimumSuccesses", Name::MinimumSuccesses),
    ("forgetAfter", Name::ForgetAfter),
    ("retryInterval", Name::RetryInterval),
    ("slow", Name::Slow),
    ("tripwire", Name::Tripwire),
    ("damped", Name::Damped),
    ("source", Name::Source),
    ("stringmatch", Name::StringMatch),
    ("regexmatch", Name::RegexMatch),
    ("byteslimit", Name::BytesLimit),
    ("httpcode", Name::HttpCode),
    ("useragent", Name::UserAgent),
    ("headers", Name::Headers),
    ("method", Name::Method),
    ("body", Name::Body),
    ("tlsVerify", Name::TlsVerify),
    ("check", Name::Check),
];

impl Name {
    /// The option that is spelled so.
    pub(super) fn find(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|&(_, known)| known)
    }

    /// Whether only checks of URLs have it.
    fn of_urls(self) -> bool {
        let of_the_probe = [Self::Timeout, Self::Interval, Self::Source, Self::Check];
        let of_the_judgement = [
            Self::MinimumFailures,
            Self::MinimumSuccesses,
            Self::ForgetAfter,
            Self::RetryInterval,
            Self::Slow,
            Self::Tripwire,
            Self::Damped,
        ];
        !of_the_probe.contains(&self) && !of_the_judgement.contains(&self)
    }
}

/// A URL as a check needs it.
pub(super) struct Location {
    pub(super) scheme: Scheme,
    pub(super) host: Box<str>,
    pub(super) port: u16,
    pub(super) path: Box<str>,
}

/// An option's value that has been read as text.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) name: &'a str,
    pub(super) offset: usize,
    pub(super) text: &'a str,
}

impl Probing {
    pub(super) fn new(defaults: &Defaults) -> Self {
        Self {
            timeout: defaults.timeout,
            interval: defaults.interval,
            judging: Judging::over(Judgement::AT_ONCE, defaults.damped),
            source: None,
            http: Self::request(),
            named: None,
        }
    }

    /// The request of a URL that is not known yet.
    fn request() -> HttpCheck {
        HttpCheck::get(Scheme::Http, "", "/")
    }

    /// As a check of the configuration says.
    fn of(named: &NamedCheck, preset: Judgement) -> Self {
        let http = if let CheckKind::Http(http) = &named.kind { HttpCheck::clone(http) } else { Self::request() };
        let &NamedCheck { timeout, interval, judgement, .. } = named;
        let judging = Judging::over(judgement, preset);
        Self { timeout, interval, judging, source: None, http, named: Some(named.clone()) }
    }

    /// What is asked of `address` by a call that gives `port` and no URL, and at which port.
    pub(super) fn at(&self, address: IpAddr, own: Option<u16>, port: u16) -> (u16, CheckKind) {
        match &self.named {
            // Without a port there is one identity, whatever port is served.
            Some(named) if !named.kind.has_port() => (0, named.kind.clone()),
            Some(named) => (own.or(named.port).unwrap_or(port), named.kind_at(address)),
            None => (own.unwrap_or(port), CheckKind::Tcp),
        }
    }

    /// The kind of check that asks for a URL; `weighs` where the answer's number is the target's weight.
    pub(super) fn http(&self, location: Location, weighs: bool) -> CheckKind {
        let Location { scheme, host, path, .. } = location;
        CheckKind::Http(Arc::new(HttpCheck { scheme, host, path, weighs, ..self.http.clone() }))
    }
}

impl Lowering<'_> {
    /// The number of the check that does `kind` at `address`, or where the URL's host leads.
    pub(super) fn check(&mut self, probing: &Probing, address: Option<IpAddr>, port: u16, kind: CheckKind) -> Option<usize> {
        if let (Some((source, offset)), Some(address)) = (probing.source, address)
            && source.is_ipv4() != address.is_ipv4()
        {
            let message = format!("from the source {source} there is no way to {address}, which is of the other family");
            return self.error(offset, message, "give each family a call of its own");
        }
        let named = || probing.named.as_ref().and_then(|named| named.source_for(address?));
        let source = probing.source.map(|(source, _)| source).or_else(named);
        let spec = CheckSpec { address, port, source, kind, timeout: probing.timeout };
        Some(self.checks.number((spec, probing.judging.judgement(), probing.interval)))
    }

    /// What the options begin with: a named check, where one is named, else the defaults.
    pub(super) fn base(&mut self, function: Function, check: Option<&Expr>) -> Option<Probing> {
        let Some(value) = check else { return Some(Probing::new(self.defaults)) };
        let name = self.option_text("check", value)?;
        let given = Given { name: "check", offset: value.offset, text: &name };
        let defaults = self.defaults;
        let Some(named) = defaults.named.get(&name) else {
            let remedy = match closest(&name, defaults.named.names()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "name a [check.NAME] of the configuration".to_owned(),
            };
            return self.bad(given, "and the configuration has no check of that name", &remedy);
        };
        if function != Function::IfPortUp && !matches!(named.kind, CheckKind::Http(_)) {
            let what = format!("a check of kind {}, and `{function}` asks for a URL", named.kind.as_str());
            return self.bad(given, &what, "use `ifportup`, or a check of kind http or https");
        }
        Some(Probing::of(named, defaults.damped))
    }

    /// Takes in the option `known`, which is spelled `name` at `offset`.
    pub(super) fn set_probing(
        &mut self,
        known: Name,
        function: Function,
        (offset, name): (usize, &str),
        value: &Expr,
        probing: &mut Probing,
    ) -> Option<()> {
        let ignored = known.of_urls() && function == Function::IfPortUp;
        if ignored {
            self.warn(offset, format!("`{function}` ignores the option `{name}`"), "remove it");
        }
        if known == Name::Headers {
            probing.http.headers = self.headers(value)?;
            return Some(());
        }
        let text = self.option_text(name, value)?;
        if ignored {
            return Some(());
        }
        self.set(known, Given { name, offset: value.offset, text: &text }, probing)
    }

    fn set(&mut self, known: Name, given: Given<'_>, probing: &mut Probing) -> Option<()> {
        let http = &mut probing.http;
        match known {
            Name::Timeout => probing.timeout = self.seconds(given, TIMEOUT)?,
            Name::Interval => probing.interval = self.seconds(given, INTERVAL)?,
            Name::MinimumFailures => probing.judging.fall = Some(self.in_a_row(given)?),
            Name::MinimumSuccesses => probing.judging.rise = Some(self.in_a_row(given)?),
            Name::ForgetAfter => probing.judging.forget = Some(self.in_a_row(given)?),
            Name::RetryInterval => probing.judging.retry = Some(self.seconds(given, RETRY)?),
            Name::Slow => probing.judging.slow = Some(self.seconds(given, SLOW)?),
            Name::Tripwire => probing.judging.tripwire = Some(self.flag(given)?),
            Name::Damped => probing.judging.damped = self.flag(given)?,
            Name::Source => probing.source = Some((self.source(given)?, given.offset)),
            Name::StringMatch => http.body = Some(self.short(given)?).filter(|text| !text.is_empty()),
            Name::RegexMatch => http.pattern = Some(self.pattern(given)?),
            Name::BytesLimit => {
                let limit = self.whole(given, 0..=u64::from(u32::MAX))?;
                http.limit = u32::try_from(limit).ok().filter(|&limit| limit > 0);
            }
            Name::HttpCode => {
                http.status = Codes::only(u16::try_from(self.whole(given, 100..=999)?).unwrap_or(u16::MAX));
            }
            Name::UserAgent => http.user_agent = self.user_agent(given)?,
            // The one is read as a table, the other before all else.
            Name::Headers | Name::Check => {}
            Name::Method => http.method = self.method(given)?,
            Name::Body => http.content = Content(self.short(given)?),
            Name::TlsVerify => http.verify = self.flag(given)?,
        }
        Some(())
    }

    /// What no single option shows: `table` is where the options begin.
    pub(super) fn check_probing(&mut self, probing: &Probing, table: usize) -> Option<()> {
        if let Some(slow) = probing.judging.slow.filter(|&slow| slow >= probing.timeout) {
            let message =
                format!("`slow` ({} s) is not below the time limit of the probe, so nothing is slow", slow.as_secs_f64());
            self.warn(table, message, "use a shorter time, or a longer `timeout`");
        }
        let HttpCheck { method, content, body, pattern, .. } = &probing.http;
        if !content.0.is_empty() && (method == Method::GET || method == Method::HEAD) {
            return self.error(table, format!("the option `body` with the method {method}"), "add `method='POST'`");
        }
        if method == Method::HEAD && (body.is_some() || pattern.is_some()) {
            return self.error(table, "an answer to HEAD has no body in which to find anything", "use the method GET");
        }
        Some(())
    }

    /// `'true'`, as PowerDNS spells what is on; anything else is off.
    pub(super) fn truth(&mut self, name: &str, offset: usize, text: &str) -> bool {
        if !matches!(text, "true" | "false") {
            let message = format!("the option `{name}` is `{}`, which counts as off", text.escape_debug());
            self.warn(offset, message, "write 'true', or leave it out");
        }
        text == "true"
    }

    /// A flag that must not be off by mistake.
    fn flag(&mut self, given: Given<'_>) -> Option<bool> {
        match given.text {
            "true" => Some(true),
            "false" => Some(false),
            _ => self.bad(given, "neither 'true' nor 'false'", "write 'true' or 'false'"),
        }
    }

    fn bad<T>(&mut self, given: Given<'_>, what: &str, remedy: &str) -> Option<T> {
        let message = format!("the option `{}` is `{}`, {what}", given.name, given.text.escape_debug());
        self.error(given.offset, message, remedy)
    }

    /// Seconds, to a thousandth. PowerDNS reads the integer at the front; a fraction after it is what leeward adds.
    fn seconds(&mut self, given: Given<'_>, allowed: RangeInclusive<Duration>) -> Option<Duration> {
        let seconds = match fraction(given.text) {
            Some(seconds) => seconds,
            None => Duration::from_secs(self.whole(given, 0..=allowed.end().as_secs())?),
        };
        if seconds > *allowed.end() {
            return self.bad(given, "too long", &format!("write seconds, at most {}", allowed.end().as_secs()));
        }
        if seconds < *allowed.start() {
            let counts = if seconds.is_zero() { Duration::from_secs(1) } else { *allowed.start() };
            let message = format!("the {} of {} seconds counts as {}", given.name, seconds.as_secs_f64(), counts.as_secs_f64());
            self.warn(given.offset, message, format!("write seconds, at least {}", allowed.start().as_secs_f64()));
            return Some(counts);
        }
        Some(seconds)
    }

    fn in_a_row(&mut self, given: Given<'_>) -> Option<u16> {
        let results = self.whole(given, 0..=u64::from(u16::MAX))?;
        Some(u16::try_from(results).unwrap_or(u16::MAX).max(1))
    }

    /// The integer at the front of the text, which must be in `range`.
    pub(super) fn whole(&mut self, given: Given<'_>, range: RangeInclusive<u64>) -> Option<u64> {
        let Given { name, offset, text } = given;
        let Some(prefix) = number::integer_prefix(text) else {
            return self.bad(given, "not a number", "write a whole number");
        };
        match u64::try_from(prefix.value) {
            Ok(value) if range.contains(&value) => {
                if !prefix.whole {
                    let message = format!("the option `{name}` is `{}`, of which {value} counts", text.escape_debug());
                    self.warn(offset, message, "write a whole number");
                }
                Some(value)
            }
            _ => {
                let message = format!("the option `{name}` is {}", prefix.value);
                self.error(offset, message, format!("write a number from {} to {}", range.start(), range.end()))
            }
        }
    }

    fn source(&mut self, given: Given<'_>) -> Option<IpAddr> {
        match given.text.parse::<IpAddr>() {
            Ok(source) if source.is_multicast() => self.bad(given, "a multicast address", "write an address of this host"),
            Ok(source) => Some(source),
            Err(_) => self.bad(given, "not an address", "write a numeric address of this host, without a port"),
        }
    }

    fn pattern(&mut self, given: Given<'_>) -> Option<Pattern> {
        let text = self.short(given)?;
        match Pattern::new(&text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                // What is wrong stands on the last line, below a picture of the pattern.
                let what = error.to_string();
                let what = what.lines().last().unwrap_or_default().trim_start_matches("error: ");
                let remedy = "write a regular expression as https://docs.rs/regex describes them";
                self.error(given.offset, format!("the option `{}` is no pattern: {what}", given.name), remedy)
            }
        }
    }

    fn method(&mut self, given: Given<'_>) -> Option<Method> {
        let known = HttpCheck::METHODS.into_iter().find(|method| method.as_str() == given.text);
        known.or_else(|| {
            let all = HttpCheck::METHODS.each_ref().map(Method::as_str);
            let remedy = match closest(&given.text.to_ascii_uppercase(), all) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("use one of {}", all.join(", ")),
            };
            self.bad(given, "not a method", &remedy)
        })
    }

    fn user_agent(&mut self, given: Given<'_>) -> Option<Box<str>> {
        if given.text.chars().any(char::is_control) {
            return self.error(given.offset, format!("the option `{}` holds control characters", given.name), "remove them");
        }
        self.short(given)
    }

    fn short(&mut self, given: Given<'_>) -> Option<Box<str>> {
        if given.text.len() > TEXT_MAX {
            let message = format!("the option `{}` is longer than {TEXT_MAX} octets", given.name);
            return self.error(given.offset, message, "use a shorter text");
        }
        Some(given.text.into())
    }

    /// The table `headers`, by name.
    fn headers(&mut self, table: &Expr) -> Option<Box<[(HeaderName, HeaderValue)]>> {
        let Kind::Table(fields) = &table.kind else {
            return self.misplaced(table, "the option `headers`", "a table of names and values");
        };
        let fields = fields.iter().filter(|field| field.value.kind != Kind::Nil);
        let headers: Vec<Option<_>> = fields.map(|field| self.header(field)).collect();
        let mut headers: Vec<(HeaderName, HeaderValue)> = headers.into_iter().collect::<Option<_>>()?;
        headers.sort_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        if let Some(twice) = headers.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return self.error(table.offset, format!("the header `{}` is given twice", twice[0].0), "remove one");
        }
        if headers.len() > HEADERS_MAX {
            return self.error(table.offset, format!("more than {HEADERS_MAX} headers"), "remove some");
        }
        Some(headers.into())
    }

    fn header(&mut self, field: &Field) -> Option<(HeaderName, HeaderValue)> {
        let Some(key) = &field.key else {
            return self.error(field.value.offset, "a header without a name", "write `['Name']='value'`");
        };
        let written = self.text(key, "the name of a header")?;
        let Ok(name) = HeaderName::from_bytes(written.replace('_', "-").as_bytes()) else {
            let message = format!("`{}` cannot be the name of a header", written.escape_debug());
            return self.error(key.offset, message, "use letters, digits and hyphens");
        };
        if HttpCheck::OWN_HEADERS.contains(&name) {
            let message = format!("the header `{name}` is what the probe itself says");
            return self.error(key.offset, message, "remove it");
        }
        if let Kind::Boolean(_) = field.value.kind {
            let message = format!("the header `{name}` has {} as value, which rejects the whole table", describe(&field.value));
            return self.error(field.value.offset, message, "write a string");
        }
        let text = self.text(&field.value, &format!("the header `{name}`"))?;
        match HeaderValue::from_str(&text) {
            Ok(mut value) if text.len() <= TEXT_MAX => {
                value.set_sensitive(true);
                Some((name, value))
            }
            Ok(_) => {
                let message = format!("the header `{name}` is longer than {TEXT_MAX} octets");
                self.error(field.value.offset, message, "use a shorter value")
            }
            Err(_) => self.error(field.value.offset, format!("the header `{name}` holds control characters"), "remove them"),
        }
    }
}

/// A decimal number with digits on both sides of its point, as seconds, to a thousandth.
fn fraction(text: &str) -> Option<Duration> {
    let (whole, part) = text.trim().split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    let seconds: f64 = text.trim().parse().ok()?;
    Some(Duration::from_millis((seconds * 1000.0).round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Compiled, Program, Settings, Severity, compile};
    use crate::target::{CheckRequest, Definitions};

    const URL: &str = "ifurlup('https://x/', {'192.0.2.1', '192.0.2.2'}, ";

    fn run(code: &str) -> Compiled {
        compile(code, &Settings { defaults: Defaults::default(), step_limit: 1000, shared: false })
    }

    fn program(code: &str) -> Program {
        let compiled = run(code);
        compiled.program.unwrap_or_else(|| panic!("{code}: {:#?}", compiled.findings))
    }

    fn asked(options: &str) -> Vec<CheckRequest> {
        program(&format!("{URL}{options})")).checks().to_vec()
    }

    fn http(options: &str) -> HttpCheck {
        match &asked(options)[0].spec.kind {
            CheckKind::Http(http) => HttpCheck::clone(http),
            _ => panic!("{options}"),
        }
    }

    /// Findings as `E message` and `W message`, places counted from the options' table.
    fn findings(options: &str) -> Vec<String> {
        let findings = run(&format!("{URL}{options})")).findings;
        let letter = |severity| if severity == Severity::Error { 'E' } else { 'W' };
        let line =
            |finding: &crate::program::Finding| (letter(finding.severity), finding.offset - URL.len(), finding.message.clone());
        findings.iter().map(line).map(|(letter, at, message)| format!("{letter} {at} {message}")).collect()
    }

    #[test]
    fn what_is_said_once_is_kept_once() {
        let checks = asked("{stringmatch='ok'}");
        let kinds: Vec<_> = checks.iter().map(|check| &check.spec.kind).collect();
        assert!(matches!(&kinds[..], [CheckKind::Http(one), CheckKind::Http(two)] if Arc::ptr_eq(one, two)));
    }

    #[test]
    fn times_have_fractions() {
        for (options, timeout, interval) in [
            ("{timeout=0.5, interval='0.25'}", 500, 250),
            ("{timeout='1.5', interval=2.0005}", 1500, 2001),
            ("{timeout=0.001, interval=0.01}", 50, 100),
            ("{timeout=0.0, interval=0}", 1000, 1000),
            ("{timeout='1.5s', interval='2.'}", 1000, 2000),
        ] {
            let check = &asked(options)[0];
            let seen = (check.spec.timeout.as_millis(), check.interval.as_millis());
            assert_eq!(seen, (timeout, interval), "{options}");
        }
        assert_eq!(findings("{timeout=0.5, interval=1.5}"), [""; 0]);
        assert_eq!(findings("{timeout=0.001}"), ["W 9 the timeout of 0.001 seconds counts as 0.05"]);
        assert_eq!(findings("{timeout='3600.5'}"), ["E 9 the option `timeout` is `3600.5`, too long"]);
        assert_eq!(findings("{interval='1.5s'}"), ["W 10 the option `interval` is `1.5s`, of which 1 counts"]);
    }

    #[test]
    fn thresholds_of_both_ways() {
        let judgement = |options| asked(options)[0].judgement;
        assert_eq!(judgement("{minimumFailures=3, minimumSuccesses='2'}"), Judgement { fall: 3, rise: 2, ..Judgement::AT_ONCE });
        assert_eq!(judgement("{minimumSuccesses=0, forgetAfter=0}"), Judgement::AT_ONCE);
        let retry = Some(Duration::from_millis(250));
        assert_eq!(judgement("{forgetAfter=10, retryInterval=0.25}"), Judgement { forget: 10, retry, ..Judgement::AT_ONCE });
        assert_eq!(judgement("{damped='false'}"), Judgement::AT_ONCE);
        let damped = Defaults::default().damped;
        assert_eq!(judgement("{damped='true'}"), damped);
        assert_eq!(judgement("{minimumSuccesses=4, damped='true'}"), Judgement { rise: 4, ..damped });
        let slow = Some(Duration::from_millis(1500));
        assert_eq!(judgement("{slow=1.5}"), Judgement { slow, ..Judgement::AT_ONCE });
        let late = "W 0 `slow` (2 s) is not below the time limit of the probe, so nothing is slow";
        assert_eq!(findings("{slow=2}"), [late]);
        assert_eq!(findings("{damped='yes'}"), ["E 8 the option `damped` is `yes`, neither 'true' nor 'false'"]);
        assert_eq!(findings("{retryInterval=0.01}"), ["W 15 the retryInterval of 0.01 seconds counts as 0.05"]);
    }

    #[test]
    fn a_source_is_an_address_of_the_targets_family() {
        assert_eq!(asked("{source='198.51.100.1'}")[1].spec.source, Some([198, 51, 100, 1].into()));
        let other = "from the source ::1 there is no way to 192.0.2.1, which is of the other family";
        assert_eq!(findings("{source='::1'}"), [format!("E 8 {other}")]);
        for bad in ["1", "198.51.100.1:80", "eth0", ""] {
            assert_eq!(findings(&format!("{{source='{bad}'}}")), [format!("E 8 the option `source` is `{bad}`, not an address")]);
        }
    }

    #[test]
    fn requests_are_put_together() {
        let check = http("{method='POST', body='a=b', tlsVerify='true', byteslimit=100, regexmatch='^ok', stringmatch='k'}");
        assert_eq!((check.method, &*check.content.0, check.verify, check.limit), (Method::POST, "a=b", true, Some(100)));
        let pattern = check.pattern.expect("given");
        assert_eq!((pattern.as_str(), check.body.as_deref()), ("^ok", Some("k")));
        let check = http("{byteslimit=0, tlsVerify='false'}");
        assert_eq!((check.limit, check.verify, check.method), (None, false, Method::GET));
    }

    #[test]
    fn headers_are_read_as_in_powerdns() {
        let check = http("{headers={['X_Token']='hush', Authorization='Bearer t', n=5, Host='y'}}");
        let seen: Vec<_> = check.headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap())).collect();
        assert_eq!(seen, ["authorization=Bearer t", "host=y", "n=5", "x-token=hush"]);
        assert!(check.headers.iter().all(|(_, value)| value.is_sensitive()));
        for (headers, wanted) in [
            ("{['Content-Length']='1'}", "E 11 the header `content-length` is what the probe itself says"),
            ("{Transfer_Encoding='x'}", "E 10 the header `transfer-encoding` is what the probe itself says"),
            ("{Connection='x'}", "E 10 the header `connection` is what the probe itself says"),
            ("{['a b']='x'}", "E 11 `a b` cannot be the name of a header"),
            ("{a='x\\r\\nb: c'}", "E 12 the header `a` holds control characters"),
            ("{a=true}", "E 12 the header `a` has a boolean as value, which rejects the whole table"),
            ("{a={}}", "E 12 the header `a` must be a string, not a table"),
            ("{'x'}", "E 10 a header without a name"),
            ("{a_b='x', ['A-B']='y'}", "E 9 the header `a-b` is given twice"),
            ("'x'", "E 9 the option `headers` must be a table of names and values, not a string"),
        ] {
            assert_eq!(findings(&format!("{{headers={headers}}}")), [wanted], "{headers}");
        }
        let many: String = (0..=HEADERS_MAX).map(|number| format!("h{number}='x',")).collect();
        assert_eq!(findings(&format!("{{headers={{{many}}}}}")), ["E 9 more than 64 headers"]);
    }

    fn named() -> Definitions {
        let http = HttpCheck { status: Codes::of([200..=299]), ..HttpCheck::get(Scheme::Http, "", "/health") };
        let second = Duration::from_secs(1);
        let web = NamedCheck {
            kind: CheckKind::Http(http.into()),
            port: Some(8080),
            sources: vec![[198, 51, 100, 1].into()],
            timeout: second,
            interval: 7 * second,
            judgement: Judgement { fall: 3, rise: 2, ..Judgement::AT_ONCE },
        };
        let plain = NamedCheck { kind: CheckKind::Tcp, port: None, ..web.clone() };
        [("web".into(), web), ("plain".into(), plain)].into_iter().collect()
    }

    fn with_names(code: &str) -> Result<Vec<String>, Vec<String>> {
        let defaults = Defaults { named: named(), ..Defaults::default() };
        let compiled = compile(code, &Settings { defaults, step_limit: 1000, shared: false });
        let line = |check: &CheckRequest| {
            let CheckRequest { spec, judgement: Judgement { fall, rise, .. }, interval } = check;
            format!("{spec} {:?}/{interval:?} {fall}/{rise}", spec.timeout)
        };
        match compiled.program {
            Some(program) => Ok(program.checks().iter().map(line).collect()),
            None => Err(compiled.findings.iter().map(|f| format!("{} {}; {}", f.offset, f.message, f.remedy)).collect()),
        }
    }

    #[test]
    fn a_named_check_is_the_question() {
        let asked = |code: &str| with_names(code).unwrap();
        assert_eq!(
            asked("ifportup(443, {'192.0.2.1', '192.0.2.2:81'}, {check='web'})"),
            [
                "http://192.0.2.1:8080/health at 192.0.2.1, status 200-299, from 198.51.100.1 1s/7s 3/2",
                "http://192.0.2.2:81/health at 192.0.2.2, status 200-299, from 198.51.100.1 1s/7s 3/2"
            ]
        );
        assert_eq!(
            asked("ifportup(443, {'2001:db8::1'}, {minimumFailures=1, check='plain', interval=2, timeout=0.5})"),
            ["tcp [2001:db8::1]:443 500ms/2s 1/2"]
        );
        assert_eq!(
            asked("ifurlup('https://x.test/y', {'192.0.2.1'}, {check='web', httpcode=204})"),
            ["https://x.test/y at 192.0.2.1, status 204, from 198.51.100.1 1s/7s 3/2"]
        );
    }

    #[test]
    fn a_name_that_is_not_there_is_an_error() {
        let wrong = |check: &str| with_names(&format!("ifportup(443, {{'192.0.2.1'}}, {{check={check}}})")).unwrap_err();
        let what = "and the configuration has no check of that name";
        assert_eq!(wrong("'wep'"), [format!("36 the option `check` is `wep`, {what}; did you mean `web`?")]);
        assert_eq!(
            wrong("'other'"),
            [format!("36 the option `check` is `other`, {what}; name a [check.NAME] of the configuration")]
        );
        assert_eq!(wrong("{}"), ["36 the option `check` must be a string, not a table; write a string"]);
        let url = with_names("ifurlup('http://x.test/', {'192.0.2.1'}, {check='plain'})").unwrap_err();
        let kind = "a check of kind tcp, and `ifurlup` asks for a URL; use `ifportup`, or a check of kind http or https";
        assert_eq!(url, [format!("48 the option `check` is `plain`, {kind}")]);
    }

    #[test]
    fn names_are_found_again() {
        let defaults = Defaults { named: named(), ..Defaults::default() };
        let settings = Settings { defaults, step_limit: 1000, shared: false };
        let names = |code: &str| {
            let program = compile(code, &settings).program.unwrap();
            let check = &program.checks()[0];
            named().names_of(&check.spec, check.judgement).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(names("ifportup(443, {'2001:db8::1'}, {check='web'})"), ["web"]);
        assert_eq!(names("ifportup(443, {'192.0.2.1'}, {check='plain'})"), ["plain"]);
        assert_eq!(names("ifportup(443, {'192.0.2.1'}, {check='plain', timeout=5})"), [""; 0], "changed");
        assert_eq!(names("ifportup(443, {'192.0.2.1'})"), [""; 0]);
    }

    #[test]
    fn what_makes_no_sense_is_reported() {
        for (options, wanted) in [
            ("{method='get'}", "E 8 the option `method` is `get`, not a method"),
            ("{body='x'}", "E 0 the option `body` with the method GET"),
            ("{method='HEAD', regexmatch='x'}", "E 0 an answer to HEAD has no body in which to find anything"),
            ("{regexmatch='('}", "E 12 the option `regexmatch` is no pattern: unclosed group"),
            ("{tlsVerify='yes'}", "E 11 the option `tlsVerify` is `yes`, neither 'true' nor 'false'"),
            ("{byteslimit=-1}", "E 12 the option `byteslimit` is -1"),
        ] {
            assert_eq!(findings(options), [wanted], "{options}");
        }
        let large = run(&format!("{URL}{{regexmatch='\\\\w{{1000}}'}})")).findings;
        assert!(large[0].message.contains("size limit"), "{large:?}");
    }

    #[test]
    fn a_port_has_no_request() {
        let code = "ifportup(80, {'192.0.2.1'}, {tlsVerify='true', headers={a='b'}, timeout=0.5, source='192.0.2.9'})";
        let ignored: Vec<_> = run(code).findings.into_iter().map(|finding| finding.message).collect();
        assert_eq!(ignored, ["tlsVerify", "headers"].map(|name| format!("`ifportup` ignores the option `{name}`")));
        let spec = program(code).checks()[0].spec.clone();
        assert_eq!((spec.timeout.as_millis(), spec.source), (500, Some([192, 0, 2, 9].into())));
    }
}
