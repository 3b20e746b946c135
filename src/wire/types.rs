//! The numbers of the protocol as types: record type, class, opcode, rcode, TTL, serial.
//!
//! Each is a newtype over the number on the wire, so nothing that travels can be mixed up, and a number
//! that no one has assigned is still a value.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A record type or query type (RFC 1035 3.2.2, IANA "Resource Record (RR) TYPEs").
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordType(pub u16);

macro_rules! record_types {
    ($($(#[$doc:meta])* $konst:ident = $number:literal $mnemonic:literal,)*) => {
        impl RecordType {
            $($(#[$doc])* #[doc = concat!("`", $mnemonic, "`, type ", $number, ".")] pub const $konst: Self = Self($number);)*

            /// The mnemonic, where the type has one.
            #[must_use]
            pub const fn mnemonic(self) -> Option<&'static str> {
                match self.0 { $($number => Some($mnemonic),)* _ => None }
            }

            /// The type of a mnemonic, whatever its case.
            fn of_mnemonic(text: &[u8]) -> Option<Self> {
                const LONGEST: usize = "OPENPGPKEY".len();
                const { $(assert!($mnemonic.len() <= LONGEST);)* }
                let mut upper = [0; LONGEST];
                let upper = upper.get_mut(..text.len())?;
                upper.copy_from_slice(text);
                upper.make_ascii_uppercase();
                match std::str::from_utf8(upper).ok()? { $($mnemonic => Some(Self($number)),)* _ => None }
            }

            /// Every mnemonic and its type.
            pub fn mnemonics() -> impl Iterator<Item = (&'static str, Self)> {
                MNEMONICS.iter().map(|&(mnemonic, number)| (mnemonic, Self(number)))
            }
        }

        const MNEMONICS: &[(&str, u16)] = &[$(($mnemonic, $number),)*];
    };
}

record_types! {
    A = 1 "A", NS = 2 "NS", MD = 3 "MD", MF = 4 "MF", CNAME = 5 "CNAME", SOA = 6 "SOA", MB = 7 "MB", MG = 8 "MG",
    MR = 9 "MR", NULL = 10 "NULL", WKS = 11 "WKS", PTR = 12 "PTR", HINFO = 13 "HINFO", MINFO = 14 "MINFO", MX = 15 "MX",
    TXT = 16 "TXT", RP = 17 "RP", AFSDB = 18 "AFSDB", X25 = 19 "X25", ISDN = 20 "ISDN", RT = 21 "RT", NSAP = 22 "NSAP",
    SIG = 24 "SIG", KEY = 25 "KEY", PX = 26 "PX", GPOS = 27 "GPOS", AAAA = 28 "AAAA", LOC = 29 "LOC", NXT = 30 "NXT",
    EID = 31 "EID", NIMLOC = 32 "NIMLOC", SRV = 33 "SRV", NAPTR = 35 "NAPTR", KX = 36 "KX", CERT = 37 "CERT", DNAME = 39 "DNAME", OPT = 41 "OPT", APL = 42 "APL",
    DS = 43 "DS", SSHFP = 44 "SSHFP", IPSECKEY = 45 "IPSECKEY", RRSIG = 46 "RRSIG", NSEC = 47 "NSEC", DNSKEY = 48 "DNSKEY",
    DHCID = 49 "DHCID", NSEC3 = 50 "NSEC3", NSEC3PARAM = 51 "NSEC3PARAM", TLSA = 52 "TLSA", SMIMEA = 53 "SMIMEA",
    HIP = 55 "HIP", NINFO = 56 "NINFO", RKEY = 57 "RKEY", TALINK = 58 "TALINK", CDS = 59 "CDS", CDNSKEY = 60 "CDNSKEY", OPENPGPKEY = 61 "OPENPGPKEY", CSYNC = 62 "CSYNC",
    ZONEMD = 63 "ZONEMD", SVCB = 64 "SVCB", HTTPS = 65 "HTTPS", SPF = 99 "SPF", NID = 104 "NID", L32 = 105 "L32",
    L64 = 106 "L64", LP = 107 "LP", EUI48 = 108 "EUI48", EUI64 = 109 "EUI64", NXNAME = 128 "NXNAME", TKEY = 249 "TKEY", TSIG = 250 "TSIG",
    IXFR = 251 "IXFR", AXFR = 252 "AXFR", MAILB = 253 "MAILB", MAILA = 254 "MAILA", ANY = 255 "ANY", URI = 256 "URI",
    CAA = 257 "CAA", AVC = 258 "AVC", AMTRELAY = 260 "AMTRELAY", RESINFO = 261 "RESINFO", WALLET = 262 "WALLET",
    CLA = 263 "CLA", TA = 32768 "TA", DLV = 32769 "DLV",
    /// The private type of record programs (PowerDNS LUA records).
    LUA = 65402 "LUA",
}

impl RecordType {
    /// Whether the type exists only in questions or messages and can never be zone data
    /// (RFC 6895 3.1: QTYPEs and Meta-TYPEs).
    #[must_use]
    pub const fn is_meta(self) -> bool {
        self.0 == 0 || self.0 == 41 || (self.0 >= 128 && self.0 <= 255)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(mnemonic) => f.write_str(mnemonic),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is neither a mnemonic nor `TYPEnnn` (or `CLASSnnn`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown mnemonic")]
pub struct UnknownMnemonic;

impl FromStr for RecordType {
    type Err = UnknownMnemonic;

    fn from_str(text: &str) -> Result<Self, UnknownMnemonic> {
        Self::of_mnemonic(text.as_bytes()).or_else(|| numbered(text, "TYPE").map(Self)).ok_or(UnknownMnemonic)
    }
}

/// A class (RFC 1035 3.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class(pub u16);

impl Class {
    /// The Internet.
    pub const IN: Self = Self(1);
    /// Chaos.
    pub const CH: Self = Self(3);
    /// Any class (QCLASS only).
    pub const ANY: Self = Self(255);
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("IN"),
            3 => f.write_str("CH"),
            4 => f.write_str("HS"),
            other => write!(f, "CLASS{other}"),
        }
    }
}

impl FromStr for Class {
    type Err = UnknownMnemonic;

    fn from_str(text: &str) -> Result<Self, UnknownMnemonic> {
        let known = [("IN", 1), ("CH", 3), ("HS", 4)].into_iter().find(|(mnemonic, _)| mnemonic.eq_ignore_ascii_case(text));
        known.map(|(_, number)| Self(number)).or_else(|| numbered(text, "CLASS").map(Self)).ok_or(UnknownMnemonic)
    }
}

/// The number in `TYPE123` or `CLASS123` (RFC 3597 5).
fn numbered(text: &str, prefix: &str) -> Option<u16> {
    let (head, digits) = text.split_at_checked(prefix.len())?;
    if !head.eq_ignore_ascii_case(prefix) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// An operation code (RFC 1035 4.1.1): four bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opcode(pub u8);

impl Opcode {
    /// A standard query.
    pub const QUERY: Self = Self(0);
}

/// A response code, with the eight upper bits that EDNS adds (RFC 6891 6.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NOERROR: Self = Self(0);
    /// The query could not be read.
    pub const FORMERR: Self = Self(1);
    /// The server could not answer.
    pub const SERVFAIL: Self = Self(2);
    /// The name does not exist.
    pub const NXDOMAIN: Self = Self(3);
    /// The kind of query is not supported.
    pub const NOTIMP: Self = Self(4);
    /// The server does not serve this.
    pub const REFUSED: Self = Self(5);
    /// A name that would be too long (RFC 6672 2.2).
    pub const YXDOMAIN: Self = Self(6);
    /// Not authoritative, or not authorised: with TSIG, a key that is not known (RFC 8945 5.2.1).
    pub const NOTAUTH: Self = Self(9);
    /// The EDNS version is not supported (RFC 6891 9).
    pub const BADVERS: Self = Self(16);
    /// A server cookie is missing or wrong (RFC 7873 8).
    pub const BADCOOKIE: Self = Self(23);
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            0 => "NOERROR",
            1 => "FORMERR",
            2 => "SERVFAIL",
            3 => "NXDOMAIN",
            4 => "NOTIMP",
            5 => "REFUSED",
            6 => "YXDOMAIN",
            9 => "NOTAUTH",
            16 => "BADVERS",
            23 => "BADCOOKIE",
            other => return write!(f, "RCODE{other}"),
        };
        f.write_str(name)
    }
}

/// A time to live, in seconds (RFC 2181 8: at most 2³¹ − 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ttl(u32);

impl Ttl {
    /// The largest TTL.
    pub const MAX: Self = Self(0x7FFF_FFFF);

    /// A TTL of `seconds`, or `None` above [`Ttl::MAX`].
    #[must_use]
    pub const fn new(seconds: u32) -> Option<Self> {
        if seconds <= Self::MAX.0 { Some(Self(seconds)) } else { None }
    }

    /// The number of seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A zone's serial number. Ordered only partially, by RFC 1982 serial number arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Serial(pub u32);

impl PartialOrd for Serial {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match other.0.wrapping_sub(self.0) {
            0 => Some(Ordering::Equal),
            0x8000_0000 => None,
            ahead if ahead < 0x8000_0000 => Some(Ordering::Less),
            _ => Some(Ordering::Greater),
        }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_as_mnemonics_and_numbers() {
        assert_eq!("aaaa".parse(), Ok(RecordType::AAAA));
        assert_eq!("TYPE65402".parse(), Ok(RecordType::LUA));
        assert_eq!("TYPE999".parse::<RecordType>().map(|t| t.to_string()), Ok("TYPE999".into()));
        assert_eq!("TYPE+1".parse::<RecordType>(), Err(UnknownMnemonic));
        assert_eq!("TYPE".parse::<RecordType>(), Err(UnknownMnemonic));
        assert_eq!("class255".parse(), Ok(Class::ANY));
    }

    #[test]
    fn rfc1982_serials_wrap() {
        assert!(Serial(1) < Serial(2));
        assert!(Serial(u32::MAX) < Serial(0));
        assert_eq!(Serial(0).partial_cmp(&Serial(0x8000_0000)), None);
    }
}
