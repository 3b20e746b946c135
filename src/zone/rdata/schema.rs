//! What the RDATA of each type consists of: the one table that reading, writing and the wire check go by.
//!
//! A type is a list of fields, and a field is of one of few kinds. A kind knows its presentation form and its wire form
//! (`read`, `write`, `wire`), so a new type is a new row here and nothing else. Types that are no list of simple values
//! (LOC, APL, the parameters of SVCB, gateways) are one kind each, with a file of their own.
//!
//! Where the names are for compression and for the canonical form is stated elsewhere, in `wire::layout`, because the
//! query path needs that and nothing of this; a test keeps the two in step.
//!
//! Never here: octets or text; this is data about types.

use crate::wire::RecordType;

/// One field of a type: its kind, and what it is called in findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field(pub(super) Kind, pub(super) &'static str);

/// The forms that a field can have. "To the end" means that it takes all words and octets that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number of 8 bits.
    U8,
    /// A number of 16 bits.
    U16,
    /// A number of 32 bits.
    U32,
    /// 32 bits of seconds, also written with units: `1h30m`.
    Period,
    /// Seconds since 1970, or `YYYYMMDDHHmmSS` (RFC 4034 3.2).
    Time,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A domain name.
    Name,
    /// One character-string (RFC 1035 3.3).
    String,
    /// A character-string that may be left out.
    OptionalString,
    /// One character-string or more, to the end. Longer ones are split.
    Strings,
    /// Octets without a length before them, written as one string; to the end.
    Text,
    /// A CAA tag: a character-string of letters and digits (RFC 8659 4.1).
    Tag,
    /// Hexadecimal, at least one octet, to the end.
    Hex,
    /// Hexadecimal to the end, of the length that goes with the digest's type, where that type is known.
    Digest(Digest),
    /// Hexadecimal with an octet for its length, `-` where it is empty (RFC 5155 3.3).
    Salt,
    /// Base 64, at least one octet, to the end.
    Base64,
    /// Base 64 to the end, or nothing where the record says that it holds no key.
    Key(NoKey),
    /// Base 32 with the extended hex alphabet and without padding, with an octet for its length (RFC 5155 3.3).
    Base32Hex,
    /// The mnemonic of a type.
    Type,
    /// Mnemonics of types as windows of bits, to the end (RFC 4034 4.1.2).
    Bitmap,
    /// 8 bits: a DNSSEC algorithm, as a number or a mnemonic (RFC 4034 A.1).
    Algorithm,
    /// 8 bits: the type of a DS digest, as a number or a mnemonic.
    DigestType,
    /// 16 bits: the type of a certificate, as a number or a mnemonic (RFC 4398 2.1).
    CertType,
    /// This many octets in hexadecimal with hyphens between them (RFC 7043).
    Eui(u8),
    /// 64 bits as four groups of hexadecimal digits (RFC 6742 2.1).
    Locator,
    /// `0x` and hexadecimal digits, dots between them ignored; to the end (RFC 1706).
    Nsap,
    /// All of a LOC record (RFC 1876).
    Loc,
    /// All of an APL record (RFC 3123).
    Apl,
    /// The parameters of SVCB and HTTPS, to the end (RFC 9460 2.1).
    SvcParams,
    /// The gateway of an IPSECKEY record, whose form the record's second octet states (RFC 4025).
    Gateway,
    /// Discovery bit, type and relay of an AMTRELAY record, to the end (RFC 8777).
    Relay,
    /// All of a HIP record (RFC 8005).
    Hip,
}

/// Which records state the type of a digest, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digest {
    /// DS and its kin: the digest type is the fourth octet (RFC 4034 5.1).
    Ds,
    /// SSHFP: the fingerprint type is the second octet (RFC 4255 3.1).
    Sshfp,
    /// ZONEMD: the hash algorithm is the sixth octet (RFC 8976 2.2).
    Zonemd,
}

impl Digest {
    /// How many octets the digest must have after the octets `before` it; `None` where its type is not known.
    pub(super) fn length(self, before: &[u8]) -> Option<usize> {
        match (self, before) {
            (Self::Ds, [.., 1]) | (Self::Sshfp, [.., 1]) => Some(20),
            (Self::Ds, [.., 2 | 3]) | (Self::Sshfp, [.., 2]) => Some(32),
            (Self::Ds, [.., 4]) | (Self::Zonemd, [.., 1]) => Some(48),
            (Self::Zonemd, [.., 2]) => Some(64),
            _ => None,
        }
    }
}

/// Which records may be without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// KEY whose two uppermost flags are set (RFC 2535 3.1.2).
    ByFlags,
    /// IPSECKEY whose algorithm is 0 (RFC 4025 2.4).
    ByAlgorithm,
}

impl NoKey {
    /// Whether a record that starts with `before` has no key.
    pub(super) fn is_stated(self, before: &[u8]) -> bool {
        match self {
            Self::ByFlags => before.first().is_some_and(|flags| flags & 0xC0 == 0xC0),
            Self::ByAlgorithm => before.get(2) == Some(&0),
        }
    }
}

/// The fields of a type; `None` where it has no presentation form but that of RFC 3597.
pub(super) const fn fields(rtype: RecordType) -> Option<&'static [Field]> {
    use Kind as K;
    use RecordType as T;
    const TEXT: &[Field] = &[Field(K::Strings, "text")];
    const TARGET: &[Field] = &[Field(K::Name, "target")];
    Some(match rtype {
        T::A => &[Field(K::Ipv4, "address")],
        T::AAAA => &[Field(K::Ipv6, "address")],
        T::NS | T::CNAME | T::PTR | T::DNAME | T::MD | T::MF | T::MB | T::MG | T::MR => TARGET,
        T::SOA => &[
            Field(K::Name, "primary server"),
            Field(K::Name, "mailbox of the person responsible"),
            Field(K::U32, "serial"),
            Field(K::Period, "refresh"),
            Field(K::Period, "retry"),
            Field(K::Period, "expire"),
            Field(K::Period, "minimum"),
        ],
        T::HINFO => &[Field(K::String, "CPU"), Field(K::String, "operating system")],
        T::MINFO => &[Field(K::Name, "mailbox of the person responsible"), Field(K::Name, "mailbox for errors")],
        T::MX => &[Field(K::U16, "preference"), Field(K::Name, "mail host")],
        T::TXT | T::SPF | T::AVC | T::NINFO | T::RESINFO | T::WALLET | T::CLA => TEXT,
        T::RP => &[Field(K::Name, "mailbox of the person responsible"), Field(K::Name, "name of the TXT record")],
        T::AFSDB => &[Field(K::U16, "subtype"), Field(K::Name, "server")],
        T::X25 => &[Field(K::String, "address")],
        T::ISDN => &[Field(K::String, "address"), Field(K::OptionalString, "subaddress")],
        T::RT => &[Field(K::U16, "preference"), Field(K::Name, "intermediate host")],
        T::NSAP => &[Field(K::Nsap, "address")],
        T::SIG | T::RRSIG => &[
            Field(K::Type, "type covered"),
            Field(K::Algorithm, "algorithm"),
            Field(K::U8, "labels"),
            Field(K::Period, "original TTL"),
            Field(K::Time, "expiration"),
            Field(K::Time, "inception"),
            Field(K::U16, "key tag"),
            Field(K::Name, "signer"),
            Field(K::Base64, "signature"),
        ],
        T::KEY => &[
            Field(K::U16, "flags"),
            Field(K::U8, "protocol"),
            Field(K::Algorithm, "algorithm"),
            Field(K::Key(NoKey::ByFlags), "key"),
        ],
        T::DNSKEY | T::CDNSKEY | T::RKEY => {
            &[Field(K::U16, "flags"), Field(K::U8, "protocol"), Field(K::Algorithm, "algorithm"), Field(K::Base64, "key")]
        }
        T::PX => &[Field(K::U16, "preference"), Field(K::Name, "RFC 822 domain"), Field(K::Name, "X.400 domain")],
        T::GPOS => &[Field(K::String, "longitude"), Field(K::String, "latitude"), Field(K::String, "altitude")],
        T::LOC => &[Field(K::Loc, "location")],
        T::EID | T::NIMLOC => &[Field(K::Hex, "locator")],
        T::SRV => &[Field(K::U16, "priority"), Field(K::U16, "weight"), Field(K::U16, "port"), Field(K::Name, "target")],
        T::NAPTR => &[
            Field(K::U16, "order"),
            Field(K::U16, "preference"),
            Field(K::String, "flags"),
            Field(K::String, "services"),
            Field(K::String, "regular expression"),
            Field(K::Name, "replacement"),
        ],
        T::KX => &[Field(K::U16, "preference"), Field(K::Name, "key exchanger")],
        T::CERT => &[
            Field(K::CertType, "type"),
            Field(K::U16, "key tag"),
            Field(K::Algorithm, "algorithm"),
            Field(K::Base64, "certificate"),
        ],
        T::APL => &[Field(K::Apl, "address prefixes")],
        T::DS | T::CDS | T::DLV | T::TA => &[
            Field(K::U16, "key tag"),
            Field(K::Algorithm, "algorithm"),
            Field(K::DigestType, "digest type"),
            Field(K::Digest(Digest::Ds), "digest"),
        ],
        T::SSHFP => {
            &[Field(K::U8, "algorithm"), Field(K::U8, "fingerprint type"), Field(K::Digest(Digest::Sshfp), "fingerprint")]
        }
        T::IPSECKEY => &[
            Field(K::U8, "precedence"),
            Field(K::U8, "gateway type"),
            Field(K::U8, "algorithm"),
            Field(K::Gateway, "gateway"),
            Field(K::Key(NoKey::ByAlgorithm), "key"),
        ],
        T::NSEC => &[Field(K::Name, "next name"), Field(K::Bitmap, "types")],
        T::DHCID => &[Field(K::Base64, "digest")],
        T::NSEC3 => &[
            Field(K::U8, "hash algorithm"),
            Field(K::U8, "flags"),
            Field(K::U16, "iterations"),
            Field(K::Salt, "salt"),
            Field(K::Base32Hex, "next hashed name"),
            Field(K::Bitmap, "types"),
        ],
        T::NSEC3PARAM => {
            &[Field(K::U8, "hash algorithm"), Field(K::U8, "flags"), Field(K::U16, "iterations"), Field(K::Salt, "salt")]
        }
        T::TLSA | T::SMIMEA => &[
            Field(K::U8, "certificate usage"),
            Field(K::U8, "selector"),
            Field(K::U8, "matching type"),
            Field(K::Hex, "association data"),
        ],
        T::HIP => &[Field(K::Hip, "host identity")],
        T::TALINK => &[Field(K::Name, "previous name"), Field(K::Name, "next name")],
        T::OPENPGPKEY => &[Field(K::Base64, "key")],
        T::CSYNC => &[Field(K::U32, "serial"), Field(K::U16, "flags"), Field(K::Bitmap, "types")],
        T::ZONEMD => &[
            Field(K::U32, "serial"),
            Field(K::U8, "scheme"),
            Field(K::U8, "hash algorithm"),
            Field(K::Digest(Digest::Zonemd), "digest"),
        ],
        T::SVCB | T::HTTPS => &[Field(K::U16, "priority"), Field(K::Name, "target"), Field(K::SvcParams, "parameters")],
        T::NID => &[Field(K::U16, "preference"), Field(K::Locator, "node identifier")],
        T::L32 => &[Field(K::U16, "preference"), Field(K::Ipv4, "locator")],
        T::L64 => &[Field(K::U16, "preference"), Field(K::Locator, "locator")],
        T::LP => &[Field(K::U16, "preference"), Field(K::Name, "locator's name")],
        T::EUI48 => &[Field(K::Eui(6), "address")],
        T::EUI64 => &[Field(K::Eui(8), "address")],
        T::URI => &[Field(K::U16, "priority"), Field(K::U16, "weight"), Field(K::Text, "target")],
        T::CAA => &[Field(K::U8, "flags"), Field(K::Tag, "tag"), Field(K::Text, "value")],
        T::AMTRELAY => &[Field(K::U8, "precedence"), Field(K::Relay, "relay")],
        T::LUA => &[Field(K::Type, "target type"), Field(K::Strings, "code")],
        _ => return None,
    })
}

/// What a record of the type looks like.
pub(in crate::zone) const fn form(rtype: RecordType) -> &'static str {
    use RecordType as T;
    match rtype {
        T::A => "A 192.0.2.1",
        T::AAAA => "AAAA 2001:db8::1",
        T::NS => "NS ns1.example.com.",
        T::CNAME => "CNAME www.example.com.",
        T::DNAME => "DNAME example.net.",
        T::PTR => "PTR host.example.com.",
        T::SOA => "SOA ns1.example.com. hostmaster.example.com. 1 1h 15m 1w 5m",
        T::MX => "MX 10 mail.example.com.",
        T::TXT => "TXT \"text\"",
        T::SPF => "SPF \"v=spf1 -all\"",
        T::SRV => "SRV 0 5 443 host.example.com.",
        T::CAA => "CAA 0 issue \"ca.example.net\"",
        T::HINFO => "HINFO \"cpu\" \"os\"",
        T::RP => "RP hostmaster.example.com. text.example.com.",
        T::AFSDB => "AFSDB 1 afsdb.example.com.",
        T::LOC => "LOC 51 30 12.748 N 0 7 39.611 W 0m 1m 10000m 10m",
        T::NAPTR => "NAPTR 100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:info@example.com!\" .",
        T::KX => "KX 10 kx.example.com.",
        T::CERT => "CERT PKIX 0 0 base64",
        T::APL => "APL 1:192.0.2.0/24 !2:2001:db8::/32",
        T::DS | T::CDS | T::DLV | T::TA => "DS 60485 13 2 hex",
        T::SSHFP => "SSHFP 4 2 hex",
        T::IPSECKEY => "IPSECKEY 10 1 2 192.0.2.38 base64",
        T::RRSIG | T::SIG => "RRSIG A 13 3 300 20300101000000 20290101000000 60485 example.com. base64",
        T::NSEC => "NSEC next.example.com. A RRSIG NSEC",
        T::NSEC3 => "NSEC3 1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr A RRSIG",
        T::NSEC3PARAM => "NSEC3PARAM 1 0 0 -",
        T::DNSKEY | T::CDNSKEY | T::KEY | T::RKEY => "DNSKEY 257 3 13 base64",
        T::DHCID => "DHCID base64",
        T::OPENPGPKEY => "OPENPGPKEY base64",
        T::TLSA | T::SMIMEA => "TLSA 3 1 1 hex",
        T::HIP => "HIP 2 hex base64 rvs.example.com.",
        T::CSYNC => "CSYNC 1 3 A NS AAAA",
        T::ZONEMD => "ZONEMD 1 1 1 hex",
        T::SVCB => "SVCB 1 host.example.com. alpn=h2,h3 port=8443",
        T::HTTPS => "HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1",
        T::NID => "NID 10 0014:4fff:ff20:ee64",
        T::L32 => "L32 10 10.1.2.0",
        T::L64 => "L64 10 2001:0db8:1140:1000",
        T::LP => "LP 10 l64.example.com.",
        T::EUI48 => "EUI48 00-00-5e-00-53-2a",
        T::EUI64 => "EUI64 00-00-5e-ef-10-00-00-2a",
        T::URI => "URI 10 1 \"https://www.example.com/\"",
        T::AMTRELAY => "AMTRELAY 10 0 1 192.0.2.1",
        T::NSAP => "NSAP 0x47.0005.80.005a00.0000.0001.e133.ffffff000161.00",
        T::LUA => "LUA A \"ifportup(443, {'192.0.2.1'})\"",
        _ => match fields(rtype) {
            Some(_) => "the values of the type in their order",
            None => "TYPEnnn \\# length hex",
        },
    }
}
