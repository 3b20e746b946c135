//! The parameters of SVCB and HTTPS records (RFC 9460; `dohpath` RFC 9461, `ech` RFC 9848, `ohttp` RFC 9540).
//!
//! Text is turned into the wire form of each value, sorted by key, and then the wire form is checked as a whole: so what
//! comes from text and what comes from `\#` meets the same rules, and there is one place that says what they are.
//!
//! An alias (priority 0) with parameters is taken as it is: clients must ignore them (RFC 9460 2.4.2), and so BIND and Knot
//! load it.
//!
//! A list is escaped twice: commas and backslashes within an item, then the character-string around it (RFC 9460 A.1).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::BASE64;

use super::super::lexer::Token;
use super::text::{ascii, base64, digits, quote, split_strings, u16_at, unescape};

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;
const DOHPATH: u16 = 7;
const OHTTP: u16 = 8;
/// Reserved as no key (RFC 9460 14.3.2).
const INVALID: u16 = 65_535;

const NAMES: &[(&str, u16)] = &[
    ("mandatory", MANDATORY),
    ("alpn", ALPN),
    ("no-default-alpn", NO_DEFAULT_ALPN),
    ("port", PORT),
    ("ipv4hint", IPV4HINT),
    ("ech", ECH),
    ("ipv6hint", IPV6HINT),
    ("dohpath", DOHPATH),
    ("ohttp", OHTTP),
];

/// What is wrong, and with which parameter.
#[derive(Debug)]
pub(super) struct Bad {
    /// The parameter as it was written, or as it would be.
    pub(super) key: String,
    pub(super) reason: &'static str,
}

fn bad<T>(key: u16, reason: &'static str) -> Result<T, Bad> {
    Err(Bad { key: name(key), reason })
}

// Text → wire ---------------------------------------------------------------------------------------------------------

/// Reads the words after the target; an error has the index of its word.
pub(super) fn read(words: &[Token<'_>]) -> Result<Vec<u8>, (usize, Bad)> {
    let mut values: BTreeMap<u16, (usize, Vec<u8>)> = BTreeMap::new();
    let mut next = 0;
    while let Some(word) = words.get(next) {
        let (parameter, taken) = Parameter::of(word, words.get(next + 1)).map_err(|bad| (next, bad))?;
        let value = parameter.encode().map_err(|bad| (next, bad))?;
        let len = value.len();
        if values.insert(parameter.key, (next, value)).is_some() {
            return Err((next, Bad { key: name(parameter.key), reason: "is given twice" }));
        }
        if len > usize::from(u16::MAX) {
            return Err((next, Bad { key: name(parameter.key), reason: "has a value longer than 65535 octets" }));
        }
        next += taken;
    }
    let mut out = Vec::new();
    for (key, (_, value)) in &values {
        out.extend(key.to_be_bytes());
        out.extend((value.len() as u16).to_be_bytes());
        out.extend_from_slice(value);
    }
    let word_of = |key: &str| values.iter().find(|(number, _)| name(**number) == key).map_or(0, |(_, (word, _))| *word);
    check(&out).map_err(|bad| (word_of(&bad.key), bad))?;
    Ok(out)
}

/// `key`, `key=value` or `key="value"`.
struct Parameter {
    key: u16,
    /// By its number rather than its name: the value is then the octets on the wire.
    numbered: bool,
    /// Decoded as a character-string.
    value: Option<Vec<u8>>,
}

impl Parameter {
    /// The parameter that starts with `word`, and how many words it takes.
    fn of(word: &Token<'_>, following: Option<&Token<'_>>) -> Result<(Self, usize), Bad> {
        let shown = || word.show();
        if word.quoted {
            return Err(Bad { key: shown(), reason: "must not be in quotes as a whole; write key=\"value\"" });
        }
        let equals = word.text.iter().position(|&byte| byte == b'=');
        let (key, raw) = match equals {
            Some(at) => (&word.text[..at], Some(&word.text[at + 1..])),
            None => (word.text, None),
        };
        let (key, numbered) = number(key).ok_or_else(|| Bad { key: shown(), reason: "is not a known key nor keyNNNNN" })?;
        let adjoining = following.filter(|next| next.quoted && adjoins(word, next));
        let (raw, taken) = match (raw, adjoining) {
            (Some([]), Some(string)) => (Some(string.text), 2),
            (_, Some(_)) => return Err(Bad { key: name(key), reason: "has a quote in the middle of its value" }),
            (raw, None) => (raw, 1),
        };
        let escape = || Bad { key: name(key), reason: "has a bad escape in its value" };
        let value = raw.map(|raw| unescape(raw).ok_or_else(escape)).transpose()?;
        Ok((Self { key, numbered, value }, taken))
    }

    /// The value on the wire.
    fn encode(&self) -> Result<Vec<u8>, Bad> {
        let key = self.key;
        let value = self.value.as_deref().unwrap_or_default();
        if self.numbered {
            return Ok(value.to_vec());
        }
        match key {
            NO_DEFAULT_ALPN | OHTTP if value.is_empty() => Ok(Vec::new()),
            NO_DEFAULT_ALPN | OHTTP => bad(key, "takes no value"),
            _ if value.is_empty() => bad(key, "needs a value"),
            MANDATORY => mandatory(value),
            ALPN => alpn(value),
            PORT => match digits(value).and_then(|port| u16::try_from(port).ok()) {
                Some(port) => Ok(port.to_be_bytes().into()),
                None => bad(key, "is not a number from 0 to 65535"),
            },
            IPV4HINT => addresses(key, value, |address: Ipv4Addr| address.octets().to_vec(), "is not a list of IPv4 addresses"),
            IPV6HINT => addresses(key, value, |address: Ipv6Addr| address.octets().to_vec(), "is not a list of IPv6 addresses"),
            ECH => base64(value).map_or_else(|| bad(key, "is not base 64"), Ok),
            _ => Ok(value.to_vec()),
        }
    }
}

/// Whether `next` starts where `word` ends.
fn adjoins(word: &Token<'_>, next: &Token<'_>) -> bool {
    word.at.line == next.at.line && word.at.column as usize + word.text.len() == next.at.column as usize
}

/// The key that a word names, and whether by its number.
fn number(text: &[u8]) -> Option<(u16, bool)> {
    let text = ascii(text)?;
    if let Some(&(_, key)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Some((key, false));
    }
    let number = text.strip_prefix("key")?;
    if number.is_empty() || (number.len() > 1 && number.starts_with('0')) {
        return None;
    }
    let key = u16::try_from(digits(number.as_bytes())?).ok()?;
    (key != INVALID).then_some((key, true))
}

fn mandatory(value: &[u8]) -> Result<Vec<u8>, Bad> {
    let mut keys = Vec::new();
    for item in value.split(|&byte| byte == b',') {
        match number(item) {
            Some((key, _)) => keys.push(key),
            None => return bad(MANDATORY, "names what is not a key"),
        }
    }
    keys.sort_unstable(); // in any order in the text, in order on the wire (RFC 9460 8)
    Ok(keys.into_iter().flat_map(u16::to_be_bytes).collect())
}

fn alpn(value: &[u8]) -> Result<Vec<u8>, Bad> {
    let mut out = Vec::new();
    for item in
        list(value).ok_or_else(|| Bad { key: name(ALPN), reason: "has a backslash before neither comma nor backslash" })?
    {
        let Some(len) = u8::try_from(item.len()).ok().filter(|&len| len > 0) else {
            return bad(ALPN, "has a protocol that is not 1 to 255 octets long");
        };
        out.push(len);
        out.extend(item);
    }
    Ok(out)
}

/// Items between commas, in which `\,` and `\\` are octets; `None` for any other backslash.
fn list(value: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut items = vec![Vec::new()];
    let mut octets = value.iter();
    while let Some(&octet) = octets.next() {
        let octet = match octet {
            b',' => {
                items.push(Vec::new());
                continue;
            }
            b'\\' => *octets.next().filter(|&&next| matches!(next, b',' | b'\\'))?,
            octet => octet,
        };
        items.last_mut()?.push(octet);
    }
    Some(items)
}

fn addresses<A: std::str::FromStr>(
    key: u16,
    value: &[u8],
    octets: impl Fn(A) -> Vec<u8>,
    otherwise: &'static str,
) -> Result<Vec<u8>, Bad> {
    let mut out = Vec::new();
    for item in value.split(|&byte| byte == b',') {
        match ascii(item).and_then(|item| item.parse().ok()) {
            Some(address) => out.extend(octets(address)),
            None => return bad(key, otherwise),
        }
    }
    Ok(out)
}

// The rules of the wire form ------------------------------------------------------------------------------------------

/// Whether the parameters are as they must be: sorted, each once, each value well formed, what is mandatory there.
pub(super) fn check(parameters: &[u8]) -> Result<(), Bad> {
    let malformed = || Bad { key: "list".into(), reason: "is not made of keys with their values" };
    let parameters = split(parameters).ok_or_else(malformed)?;
    if let Some((_, (key, _))) = parameters.iter().zip(parameters.iter().skip(1)).find(|((key, _), (next, _))| key >= next) {
        return bad(*key, "is given twice, or out of order");
    }
    for (key, value) in &parameters {
        check_value(*key, value)?;
    }
    let has = |key| parameters.iter().any(|(known, _)| *known == key);
    if has(NO_DEFAULT_ALPN) && !has(ALPN) {
        return bad(NO_DEFAULT_ALPN, "is given without alpn");
    }
    let mandatory = parameters.iter().find(|(key, _)| *key == MANDATORY).map(|(_, value)| *value);
    for key in mandatory.into_iter().flat_map(|value| value.chunks_exact(2)).filter_map(|key| u16_at(key, 0)) {
        if !has(key) {
            return bad(MANDATORY, "names a key that the record does not have");
        }
    }
    Ok(())
}

/// Keys with their values; `None` where the octets are not made of them.
fn split(mut parameters: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut found = Vec::new();
    while !parameters.is_empty() {
        let (key, len) = (u16_at(parameters, 0)?, u16_at(parameters, 2)?);
        let (value, rest) = parameters[4..].split_at_checked(len.into())?;
        found.push((key, value));
        parameters = rest;
    }
    Some(found)
}

fn check_value(key: u16, value: &[u8]) -> Result<(), Bad> {
    let well_formed = match key {
        MANDATORY => return check_mandatory(value),
        ALPN => !value.is_empty() && split_strings(value).is_some_and(|items| items.iter().all(|item| !item.is_empty())),
        NO_DEFAULT_ALPN | OHTTP => value.is_empty(),
        PORT => value.len() == 2,
        IPV4HINT => !value.is_empty() && value.len().is_multiple_of(4),
        IPV6HINT => !value.is_empty() && value.len().is_multiple_of(16),
        ECH => !value.is_empty(),
        // RFC 9461 5: a relative URI template in UTF-8 that has the variable "dns".
        DOHPATH => ascii(value).is_some_and(|path| path.starts_with('/') && has_dns_variable(path)),
        INVALID => return bad(key, "is reserved and no key"),
        _ => true,
    };
    match (well_formed, key) {
        (true, _) => Ok(()),
        (false, DOHPATH) => bad(key, "is not a path in UTF-8 with the variable dns, such as /dns-query{?dns}"),
        (false, _) => bad(key, "has a value that is not of its form"),
    }
}

/// Whether a URI template (RFC 6570) has an expression with the variable `dns`, such as `{?dns}`.
fn has_dns_variable(template: &str) -> bool {
    let expressions = template.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
    let variables = |expression: &str| expression.trim_start_matches(['?', '&', '+', '#', '.', '/', ';']).to_owned();
    expressions.map(|(expression, _)| variables(expression)).any(|names| names.split(',').any(|name| name == "dns"))
}

fn check_mandatory(value: &[u8]) -> Result<(), Bad> {
    let keys: Vec<u16> = value.chunks_exact(2).filter_map(|key| u16_at(key, 0)).collect();
    if keys.is_empty() || !value.len().is_multiple_of(2) {
        return bad(MANDATORY, "has a value that is not a list of keys");
    }
    if keys.contains(&MANDATORY) {
        return bad(MANDATORY, "names itself");
    }
    if !keys.is_sorted_by(|key, next| key < next) {
        return bad(MANDATORY, "names a key twice, or out of order");
    }
    Ok(())
}

// Wire → text ---------------------------------------------------------------------------------------------------------

fn name(key: u16) -> String {
    NAMES.iter().find(|(_, number)| *number == key).map_or_else(|| format!("key{key}"), |(name, _)| (*name).to_owned())
}

/// The parameters, a blank before each but the first.
pub(super) fn write(parameters: &[u8], text: &mut String) -> Option<()> {
    for (index, (key, value)) in split(parameters)?.into_iter().enumerate() {
        let gap = if index == 0 { "" } else { " " };
        write!(text, "{gap}{}", name(key)).ok()?;
        if !value.is_empty() {
            write!(text, "={}", value_text(key, value)?).ok()?;
        }
    }
    Some(())
}

fn value_text(key: u16, value: &[u8]) -> Option<String> {
    let joined = |items: Vec<String>| items.join(",");
    Some(match key {
        MANDATORY => joined(value.chunks_exact(2).filter_map(|key| u16_at(key, 0)).map(name).collect()),
        ALPN => quote(&split_strings(value)?.into_iter().map(escape_item).collect::<Vec<_>>().join(&b',')),
        PORT => u16_at(value, 0)?.to_string(),
        IPV4HINT => joined(value.as_chunks::<4>().0.iter().map(|octets| Ipv4Addr::from(*octets).to_string()).collect()),
        IPV6HINT => joined(value.as_chunks::<16>().0.iter().map(|octets| Ipv6Addr::from(*octets).to_string()).collect()),
        ECH => BASE64.encode(value),
        _ => quote(value),
    })
}

/// An item of a list with its commas and backslashes escaped.
fn escape_item(item: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(item.len());
    for &octet in item {
        if matches!(octet, b',' | b'\\') {
            out.push(b'\\');
        }
        out.push(octet);
    }
    out
}
