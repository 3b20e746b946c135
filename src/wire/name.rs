//! Domain names in uncompressed wire form, compared without case.
//!
//! A name is its wire form: length-prefixed labels and the empty root label, at most 255 octets
//! (RFC 1035 3.1). [`NameRef`] borrows one that is known to be well-formed, [`Name`] owns one. Equality,
//! hashing and order ignore ASCII case (RFC 4343); the case that was written is kept.
//!
//! [`NameRef::canonical_key`] turns a name into bytes whose plain order is the canonical order of
//! RFC 4034 6.1, so any sorted container of byte strings is an NSEC-ready index.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Longest name on the wire, root label included (RFC 1035 3.1).
const NAME_MAX: usize = 255;
/// Longest label (RFC 1035 3.1).
const LABEL_MAX: usize = 63;

/// Why bytes or text are not a domain name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The bytes end inside the name.
    #[error("the name is cut short")]
    Short,
    /// A label length above 63: a compression pointer or an obsolete label type.
    #[error("a compressed or extended label where a plain one must stand")]
    LabelType,
    /// A label of more than 63 octets.
    #[error("a label is longer than 63 octets")]
    LabelLong,
    /// More than 255 octets in all.
    #[error("the name is longer than 255 octets")]
    Long,
    /// Two dots in a row, or a leading dot.
    #[error("an empty label")]
    EmptyLabel,
    /// A backslash that is not followed by a character or three digits up to 255.
    #[error("a bad escape: write \\X or \\DDD with DDD from 000 to 255")]
    Escape,
    /// A relative name and nothing to complete it with.
    #[error("a relative name, and no origin to complete it")]
    NoOrigin,
}

/// A borrowed domain name: well-formed, uncompressed wire form.
#[derive(Clone, Copy)]
pub struct NameRef<'a>(&'a [u8]);

impl<'a> NameRef<'a> {
    /// The root.
    pub const ROOT: NameRef<'static> = NameRef(&[0]);

    /// Reads the uncompressed name at the front of `bytes`; the name's wire length is how far it went.
    ///
    /// # Errors
    /// [`NameError`] where the bytes are not one; compression pointers are refused.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NameError> {
        let mut at = 0;
        loop {
            let len = usize::from(*bytes.get(at).ok_or(NameError::Short)?);
            if len > LABEL_MAX {
                return Err(NameError::LabelType);
            }
            at += 1 + len;
            if at > NAME_MAX {
                return Err(NameError::Long);
            }
            if len == 0 {
                return Ok(Self(&bytes[..at]));
            }
        }
    }

    /// The wire form.
    #[must_use]
    pub const fn as_wire(self) -> &'a [u8] {
        self.0
    }

    /// Octets on the wire, 1 to 255.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a name is never empty")]
    pub const fn len(self) -> usize {
        self.0.len()
    }

    /// Whether this is the root.
    #[must_use]
    pub const fn is_root(self) -> bool {
        self.0.len() == 1
    }

    /// The labels from the left, without the root.
    pub fn labels(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (&len, tail) = rest.split_first()?;
            if len == 0 {
                return None;
            }
            let (label, after) = tail.split_at(usize::from(len));
            rest = after;
            Some(label)
        })
    }

    /// How many labels, without the root.
    #[must_use]
    pub fn label_count(self) -> usize {
        self.labels().count()
    }

    /// The name without its leftmost label; `None` for the root.
    #[must_use]
    pub fn parent(self) -> Option<Self> {
        match self.0[0] {
            0 => None,
            len => Some(Self(&self.0[1 + usize::from(len)..])),
        }
    }

    /// This name, then its parent, and so on to the root.
    pub fn ancestors(self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), |name| name.parent())
    }

    /// Whether this name is `apex` or lies below it.
    #[must_use]
    pub fn is_within(self, apex: NameRef<'_>) -> bool {
        self.ancestors().find(|name| name.len() <= apex.len()).is_some_and(|name| name == apex)
    }

    /// Whether the leftmost label is exactly `*` (RFC 4592 2.1.1).
    #[must_use]
    pub fn is_wildcard(self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// An owned copy.
    #[must_use]
    pub fn to_name(self) -> Name {
        Name(self.0.into())
    }

    /// Writes bytes into `key` whose plain order is the canonical order of names (RFC 4034 6.1), and which
    /// are equal exactly when the names are.
    ///
    /// Labels from the right, lower case, each closed by a zero octet; octets 0 and 1 inside a label become
    /// `01 01` and `01 02`, so the closing octet sorts before all of them.
    pub fn canonical_key(self, key: &mut KeyBuf) -> &[u8] {
        let mut starts = [0u8; 128];
        let mut count = 0;
        let mut at = 0;
        while self.0[at] != 0 {
            starts[count] = at as u8;
            count += 1;
            at += 1 + usize::from(self.0[at]);
        }
        key.len = 0;
        for &start in starts[..count].iter().rev() {
            let start = usize::from(start);
            for byte in &self.0[start + 1..=start + usize::from(self.0[start])] {
                match byte.to_ascii_lowercase() {
                    low @ (0 | 1) => {
                        key.push(1);
                        key.push(low + 1);
                    }
                    byte => key.push(byte),
                }
            }
            key.push(0);
        }
        &key.bytes[..key.len]
    }

    /// Feeds the name to `hasher` without case, eight octets at a time. The last ones are filled up with zeros, which makes
    /// no two names alike: a name ends at its first empty label.
    fn hash_lower<H: Hasher>(self, hasher: &mut H) {
        let (words, rest) = self.0.as_chunks::<8>();
        words.iter().for_each(|word| hasher.write_u64(lower(u64::from_le_bytes(*word))));
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            hasher.write_u64(lower(u64::from_le_bytes(last)));
        }
    }
}

/// Eight octets at once: A to Z become a to z, all else stays. Lengths of labels are below both.
const fn lower(octets: u64) -> u64 {
    const EACH: u64 = u64::MAX / 255;
    let low = octets & (EACH * 0x7F);
    // The top bit of an octet is set where its lower bits are at least `A`, and where they are above `Z`.
    let from_a = low + EACH * (0x80 - b'A' as u64);
    let beyond_z = low + EACH * (0x7F - b'Z' as u64);
    let upper = (from_a ^ beyond_z) & !octets & (EACH * 0x80);
    octets | upper >> 2
}

impl PartialEq<NameRef<'_>> for NameRef<'_> {
    fn eq(&self, other: &NameRef<'_>) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Eq for NameRef<'_> {}

impl Hash for NameRef<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.hash_lower(hasher);
    }
}

impl PartialOrd for NameRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for NameRef<'_> {
    /// Canonical order (RFC 4034 6.1).
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut ours, mut theirs) = (KeyBuf::new(), KeyBuf::new());
        self.canonical_key(&mut ours).cmp(other.canonical_key(&mut theirs))
    }
}

impl fmt::Display for NameRef<'_> {
    /// Presentation form, absolute, with the escapes of RFC 1035 5.1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for part in label.chunk_by(|&a, &b| is_plain(a) && is_plain(b)) {
                match part {
                    [b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$'] => write!(f, "\\{}", part[0] as char)?,
                    [byte] if !is_plain(*byte) => write!(f, "\\{byte:03}")?,
                    _ => f.write_str(std::str::from_utf8(part).unwrap_or_default())?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Room for a canonical key.
pub struct KeyBuf {
    bytes: [u8; 2 * NAME_MAX],
    len: usize,
}

impl KeyBuf {
    /// Empty.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; 2 * NAME_MAX], len: 0 }
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }
}

impl Default for KeyBuf {
    fn default() -> Self {
        Self::new()
    }
}

/// Room for one name that is made on the way to an answer.
#[derive(Clone)]
pub struct NameBuf {
    bytes: [u8; NAME_MAX],
    len: usize,
}

impl NameBuf {
    /// The root.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; NAME_MAX], len: 1 }
    }

    /// The name it holds.
    #[must_use]
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef(&self.bytes[..self.len])
    }

    /// Holds `name` from now on.
    pub fn set(&mut self, name: NameRef<'_>) {
        self.len = name.len();
        self.bytes[..self.len].copy_from_slice(name.as_wire());
    }

    /// Holds the name that `text` is, which is read as by [`Name::from_text`].
    ///
    /// # Errors
    /// [`NameError`] with the reason; what it holds then is some name.
    pub fn read(&mut self, text: &[u8], origin: Option<NameRef<'_>>) -> Result<NameRef<'_>, NameError> {
        self.len = 1;
        self.bytes[0] = 0;
        let suffix = match text {
            b"@" => origin.ok_or(NameError::NoOrigin)?,
            b"." => NameRef::ROOT,
            _ => {
                let (prefix, is_absolute) = self.read_labels(text)?;
                let suffix = if is_absolute { NameRef::ROOT } else { origin.ok_or(NameError::NoOrigin)? };
                if prefix + suffix.len() > NAME_MAX {
                    return Err(NameError::Long);
                }
                self.bytes[prefix..prefix + suffix.len()].copy_from_slice(suffix.as_wire());
                self.len = prefix + suffix.len();
                return Ok(self.as_ref());
            }
        };
        self.set(suffix);
        Ok(self.as_ref())
    }

    /// Reads labels of presentation form to the front; how long they are, and whether the text ended in a dot.
    fn read_labels(&mut self, text: &[u8]) -> Result<(usize, bool), NameError> {
        let mut bytes = text.iter().copied();
        let (mut start, mut end) = (0, 1); // of the label: its length octet, and after its last
        while let Some(byte) = bytes.next() {
            let byte = match byte {
                b'.' if end - start == 1 => return Err(NameError::EmptyLabel),
                b'.' => {
                    self.bytes[start] = (end - start - 1) as u8;
                    if bytes.len() == 0 {
                        return Ok((end, true));
                    }
                    (start, end) = (end, end + 1);
                    continue;
                }
                b'\\' => unescape(&mut bytes)?,
                byte => byte,
            };
            if end - start > LABEL_MAX {
                return Err(NameError::LabelLong);
            }
            *self.bytes.get_mut(end).ok_or(NameError::Long)? = byte;
            end += 1;
        }
        if end - start == 1 {
            return Err(NameError::EmptyLabel);
        }
        self.bytes[start] = (end - start - 1) as u8;
        Ok((end, false))
    }

    /// Holds `name`, which lies below `owner`, with that suffix replaced by `target` (RFC 6672 2.2).
    ///
    /// # Errors
    /// [`NameError::Long`]; what it held is kept then.
    pub fn redirect(&mut self, name: NameRef<'_>, owner: NameRef<'_>, target: NameRef<'_>) -> Result<(), NameError> {
        let prefix = &name.as_wire()[..name.len().saturating_sub(owner.len())];
        let len = prefix.len() + target.len();
        if len > NAME_MAX {
            return Err(NameError::Long);
        }
        self.bytes[..prefix.len()].copy_from_slice(prefix);
        self.bytes[prefix.len()..len].copy_from_slice(target.as_wire());
        self.len = len;
        Ok(())
    }
}

impl Default for NameBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for NameBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// An owned domain name.
#[derive(Clone)]
pub struct Name(Box<[u8]>);

impl Name {
    /// The borrowed form.
    #[must_use]
    pub const fn as_ref(&self) -> NameRef<'_> {
        NameRef(&self.0)
    }

    /// Reads presentation form (RFC 1035 5.1): `\X` and `\DDD` escapes, a trailing dot for absolute names;
    /// a relative name is completed with `origin`; `@` alone is the origin.
    ///
    /// # Errors
    /// [`NameError`] with the reason.
    pub fn from_text(text: &[u8], origin: Option<NameRef<'_>>) -> Result<Self, NameError> {
        NameBuf::new().read(text, origin).map(NameRef::to_name)
    }

    /// `label` in front of `parent`.
    ///
    /// # Errors
    /// [`NameError::EmptyLabel`], [`NameError::LabelLong`] or [`NameError::Long`].
    pub fn child(label: &[u8], parent: NameRef<'_>) -> Result<Self, NameError> {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if label.len() > LABEL_MAX {
            return Err(NameError::LabelLong);
        }
        if 1 + label.len() + parent.len() > NAME_MAX {
            return Err(NameError::Long);
        }
        Ok(Self([&[label.len() as u8], label, parent.as_wire()].concat().into()))
    }
}

/// Whether an octet of a label stands for itself in presentation form.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7E) && !matches!(byte, b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$')
}

/// The octet that `\` and what follows it stand for.
fn unescape(bytes: &mut impl Iterator<Item = u8>) -> Result<u8, NameError> {
    let first = bytes.next().ok_or(NameError::Escape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        match bytes.next() {
            Some(digit) if digit.is_ascii_digit() => value = value * 10 + u32::from(digit - b'0'),
            _ => return Err(NameError::Escape),
        }
    }
    u8::try_from(value).map_err(|_| NameError::Escape)
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.as_ref().hash_lower(hasher);
    }
}

impl std::str::FromStr for Name {
    type Err = NameError;

    /// Absolute with or without the trailing dot, as operators type names on a command line.
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::from_text(text.as_bytes(), Some(NameRef::ROOT))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_case_is_that_of_ascii() {
        for octet in 0..=255u8 {
            for place in 0..8 {
                let mut octets = [b'Z', b'[', b'@', b'A', 0xC1, 0x41, 0xFF, 0];
                octets[place] = octet;
                assert_eq!(lower(u64::from_le_bytes(octets)).to_le_bytes(), octets.map(|octet| octet.to_ascii_lowercase()));
            }
        }
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn text_and_wire_agree() {
        for text in [".", "example.com.", r"a\.b.example.", r"\000\255.x.", "*.example.com."] {
            assert_eq!(name(text).to_string(), text);
            let owned = name(text);
            assert_eq!(NameRef::parse(owned.as_ref().as_wire()).map(NameRef::len), Ok(owned.as_ref().len()));
        }
        assert_eq!(Name::from_text(b"www", Some(name("example.").as_ref())), Ok(name("www.example.")));
        assert_eq!(Name::from_text(b"@", Some(name("example.").as_ref())), Ok(name("example.")));
    }

    #[test]
    fn bad_text_says_why() {
        let long = "a".repeat(64);
        let cases: [(&str, NameError); 6] = [
            ("a..b.", NameError::EmptyLabel),
            (".a.", NameError::EmptyLabel),
            (r"a\25", NameError::Escape),
            (r"a\256.", NameError::Escape),
            ("a\\", NameError::Escape),
            (&long, NameError::LabelLong),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Name>(), Err(error), "{text}");
        }
        assert_eq!(Name::from_text(b"www", None), Err(NameError::NoOrigin));
        let label = "a".repeat(63);
        assert_eq!(format!("{label}.{label}.{label}.{label}.").parse::<Name>(), Err(NameError::Long));
    }

    #[test]
    fn rfc1035_name_at_the_limit() {
        let label = "a".repeat(63);
        let longest = name(&format!("{label}.{label}.{label}.{}.", "b".repeat(61)));
        assert_eq!(longest.as_ref().len(), 255);
        let key = longest.as_ref().canonical_key(&mut KeyBuf::new()).len();
        assert_eq!(key, 254);
        let zeros = "\\000".repeat(63);
        let worst = name(&format!("{zeros}.{zeros}.{zeros}.{}.", "\\001".repeat(61)));
        assert!(worst.as_ref().canonical_key(&mut KeyBuf::new()).len() <= 2 * NAME_MAX);
    }

    #[test]
    fn pointers_are_refused() {
        assert_eq!(NameRef::parse(&[0xC0, 0x0C]), Err(NameError::LabelType));
        assert_eq!(NameRef::parse(&[3, b'w', b'w']), Err(NameError::Short));
        assert_eq!(NameRef::parse(&[]), Err(NameError::Short));
    }

    #[test]
    fn within_needs_label_boundaries() {
        let apex = name("example.com.");
        assert!(name("WWW.Example.COM.").as_ref().is_within(apex.as_ref()));
        assert!(apex.as_ref().is_within(apex.as_ref()));
        assert!(apex.as_ref().is_within(NameRef::ROOT));
        assert!(!name("badexample.com.").as_ref().is_within(apex.as_ref()));
        assert!(!name("com.").as_ref().is_within(apex.as_ref()));
        // the bytes of the apex, but inside a label
        let tricky = Name::child(b"x\x07example\x03com", NameRef::ROOT).expect("short enough");
        assert!(!tricky.as_ref().is_within(apex.as_ref()));
    }

    #[test]
    fn rfc4034_canonical_order() {
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            r"\001.z.example.",
            "*.z.example.",
            r"\200.z.example.",
        ];
        for pair in sorted.windows(2) {
            assert!(name(pair[0]) < name(pair[1]), "{} < {}", pair[0], pair[1]);
        }
    }
}
