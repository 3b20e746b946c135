//! Names for numbers: DNSSEC algorithms, types of DS digests, types of certificates.
//!
//! Read without case, and numbers are read as well; written as numbers, which every reader takes.

/// RFC 4034 A.1 and what IANA's registry of DNSSEC algorithms has added, with the spellings that are met.
pub(super) const ALGORITHMS: &[(&str, u16)] = &[
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("ECC", 4),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("NSEC3DSA", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("NSEC3RSASHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECCGOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// IANA "DS RR Type Digest Algorithms".
pub(super) const DIGESTS: &[(&str, u16)] =
    &[("SHA-1", 1), ("SHA1", 1), ("SHA-256", 2), ("SHA256", 2), ("GOST", 3), ("SHA-384", 4), ("SHA384", 4)];

/// RFC 4398 2.1.
pub(super) const CERTIFICATES: &[(&str, u16)] = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

/// The number that a word stands for in one of the tables.
pub(super) fn number(table: &[(&str, u16)], word: &[u8]) -> Option<u16> {
    table.iter().find(|(mnemonic, _)| mnemonic.as_bytes().eq_ignore_ascii_case(word)).map(|&(_, number)| number)
}
