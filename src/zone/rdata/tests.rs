//! RDATA of every type, between text and octets.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::wire::Name;

#[test]
fn programs_text_becomes_rdata() {
    let cases: [(RecordType, &str, &[u8]); 13] = [
        (RecordType::A, "192.0.2.1", &[192, 0, 2, 1]),
        (RecordType::AAAA, "::1", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        (RecordType::CNAME, "two", b"\x03two\0"),
        (RecordType::CNAME, "a;(b)", b"\x05a;(b)\0"),
        (RecordType::PTR, "two.x.", b"\x03two\x01x\0"),
        (RecordType::MX, "10 m.x", b"\0\x0a\x01m\x01x\0"),
        (RecordType::SRV, "1 2 3 m", b"\0\x01\0\x02\0\x03\x01m\0"),
        (RecordType::CAA, "0 issue \"a b\"", b"\0\x05issuea b"),
        (RecordType::TXT, "", b"\0"),
        (RecordType::TXT, r"a\b", b"\x02ab"),
        (RecordType::TXT, r"a\065 b", b"\x04aA b"),
        (RecordType::TXT, r#"a" "b"#, b"\x01a\x01b"),
        (RecordType::TXT, "a;b\n", b"\x04a;b\n"),
    ];
    for (rtype, text, rdata) in cases {
        assert_eq!(rdata_from_text(rtype, text).as_deref(), Ok(rdata), "{rtype} {text:?}");
    }
    let long = rdata_from_text(RecordType::TXT, &"x".repeat(300)).expect("a long text is split");
    assert_eq!((long.len(), long[0], long[256]), (302, 255, 45));
}

#[test]
fn what_is_not_rdata_says_why() {
    let cases = [
        (RecordType::A, "::1", "`::1` is not an IPv4 address"),
        (RecordType::A, "", "`` is not an IPv4 address"),
        (RecordType::AAAA, "192.0.2.1", "`192.0.2.1` is not an IPv6 address"),
        (RecordType::MX, "10", "the mail host is missing from the MX record"),
        (RecordType::MX, "70000 a", "the preference `70000` is not a number from 0 to 65535"),
        (RecordType::CNAME, "", "the target is missing from the CNAME record"),
        (RecordType::CNAME, "a b", "`b` is one value too many for the CNAME record"),
        (RecordType::CNAME, "a\nb", "`b` is one value too many for the CNAME record"),
        (RecordType::CAA, "0 issue a\nb", "a second line is one value too many for the CAA record"),
        (RecordType::CAA, "0 issue \"a", "the string that starts here has no closing quote on its line"),
        (RecordType::CAA, "0 a-b x", "`a-b` is not a CAA tag"),
        (RecordType::TXT, "a\"b", "the text's quotes do not pair: `a\\\"b`"),
        (RecordType::TXT, "a\\", "the text's quotes do not pair: `a\\\\`"),
        (RecordType::TXT, "a\\1", "`a\\\\1` has a bad escape"),
        (RecordType::LOC, "1 2", "the LOC record ends before a latitude such as `51 30 12.748 N`"),
        (RecordType::NULL, "1 2", "records of type NULL have no form of their own here"),
        (RecordType::SOA, "a b 1 2 3 4 5", "records of type SOA have no form of their own here"),
    ];
    for (rtype, text, message) in cases {
        assert_eq!(rdata_from_text(rtype, text).map_err(|error| error.to_string()), Err(message.into()), "{rtype} {text:?}");
    }
}

#[test]
fn text_form_reads_back() {
    let cases: [(RecordType, &[u8], &str); 9] = [
        (RecordType::A, &[192, 0, 2, 1], "192.0.2.1"),
        (RecordType::A, &[192], "\\# 1 c0"),
        (RecordType::NULL, b"", "\\# 0"),
        (RecordType::MX, b"\0\x0a\x01m\x01x\0", "10 m.x."),
        (RecordType::SRV, b"\0\x01\0\x02\0\x03\x01m\0", "1 2 3 m."),
        (RecordType::TXT, b"\x03a\"\xff\0", "\"a\\\"\\255\" \"\""),
        (RecordType::CAA, b"\0\x05issuea b", "0 issue \"a b\""),
        (RecordType::LUA, b"\0\x01\x02{}\x01 ", "A \"{}\" \" \""),
        (RecordType::LUA, b"\0\x01\x02\"\n", "\\# 5 000102220a"),
    ];
    for (rtype, rdata, text) in cases {
        assert_eq!(rdata_to_text(rtype, rdata), text, "{rtype}");
    }
}

/// Reads a line `TYPE data` below example.com.
fn read_line(line: &str) -> Result<(RecordType, Vec<u8>), String> {
    let origin: Name = "example.com".parse().expect("a name");
    let mut entry = Entry::default();
    let lexed = Lexer::new(line.as_bytes()).next_entry(&mut entry).expect("an entry");
    lexed.map_err(|broken| broken.error.to_string())?;
    let (rtype, words) = entry.tokens.split_first().expect("a type");
    let rtype: RecordType = ascii(rtype.text).and_then(|text| text.parse().ok()).expect("a known type");
    parse(rtype, words, Some(origin.as_ref())).map(|rdata| (rtype, rdata)).map_err(|(_, error)| error.to_string())
}

#[test]
fn examples_of_every_type() {
    let mut seen = std::collections::BTreeSet::new();
    for line in include_str!("vectors.txt").lines().filter(|line| !line.starts_with(';')) {
        let (text, expected) = line.rsplit_once(" => ").expect("text => hex");
        let (rtype, rdata) = read_line(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(rdata, text::hex(expected.as_bytes()).expect("hex"), "{text}");
        let written = rdata_to_text(rtype, &rdata);
        assert_eq!(read_line(&format!("{rtype} {written}")), Ok((rtype, rdata)), "{text}: {written}");
        seen.insert(rtype);
    }
    let missing: Vec<_> =
        (0..=u16::MAX).map(RecordType).filter(|rtype| fields(*rtype).is_some() && !seen.contains(rtype)).collect();
    assert_eq!(missing, [RecordType::LUA], "types without an example");
}

#[test]
fn a_zone_of_every_type_is_written_as_the_same_zone() {
    let mut text = "@ 60 SOA ns.x. h.x. 1 2 3 4 5\n NS ns.x.\nl LUA A \"f({'\\\\x'})\" \"g\"\n".to_owned();
    let stands_alone = |line: &&str| ![";", "SOA ", "NS "].iter().any(|start| line.starts_with(start));
    let vectors = include_str!("vectors.txt").lines().filter(stands_alone);
    for (number, line) in vectors.enumerate() {
        let (data, _) = line.rsplit_once(" => ").expect("text => hex");
        text += &format!("o{number} {data}\n");
    }
    let contents = super::super::testing::contents("example.com.", &text);
    let written = String::from_utf8(contents.to_text()).expect("it is ASCII here");
    assert_eq!(super::super::testing::contents("example.com.", &written), contents);
}

#[test]
fn what_breaks_a_rule_of_its_type_says_which() {
    let cases = [
        // RFC 9460 D.3
        ("SVCB 1 foo key123=abc key123=def", "the parameter key123 is given twice"),
        ("SVCB 1 foo mandatory", "the parameter mandatory needs a value"),
        ("SVCB 1 foo alpn", "the parameter alpn needs a value"),
        ("SVCB 1 foo port", "the parameter port needs a value"),
        ("SVCB 1 foo ipv4hint", "the parameter ipv4hint needs a value"),
        ("SVCB 1 foo ipv6hint", "the parameter ipv6hint needs a value"),
        ("SVCB 1 foo no-default-alpn=abc", "the parameter no-default-alpn takes no value"),
        ("SVCB 1 foo mandatory=key123", "the parameter mandatory names a key that the record does not have"),
        ("SVCB 1 foo mandatory=mandatory", "the parameter mandatory names itself"),
        ("SVCB 1 foo mandatory=key123,key123 key123=abc", "the parameter mandatory names a key twice, or out of order"),
        // and further
        ("SVCB 1 foo no-default-alpn", "the parameter no-default-alpn is given without alpn"),
        ("SVCB 1 foo alpn=a,,b", "the parameter alpn has a protocol that is not 1 to 255 octets long"),
        ("SVCB 1 foo alpn=a\\\\b", "the parameter alpn has a backslash before neither comma nor backslash"),
        ("SVCB 1 foo port=65536", "the parameter port is not a number from 0 to 65535"),
        ("SVCB 1 foo key1=\\003h2", "the parameter alpn has a value that is not of its form"),
        ("SVCB 1 foo key065=x", "the parameter `key065=x` is not a known key nor keyNNNNN"),
        ("SVCB 1 foo key65535=x", "the parameter `key65535=x` is not a known key nor keyNNNNN"),
        ("SVCB 1 foo \"port=1\"", "the parameter `port=1` must not be in quotes as a whole; write key=\"value\""),
        ("SVCB 1 foo port=1\"2\"", "the parameter port has a quote in the middle of its value"),
        ("SVCB 1 foo ipv4hint=::1", "the parameter ipv4hint is not a list of IPv4 addresses"),
        ("SVCB 1 foo ech=a", "the parameter ech is not base 64"),
        (
            "SVCB 1 foo dohpath=query",
            "the parameter dohpath is not a path in UTF-8 with the variable dns, such as /dns-query{?dns}",
        ),
        ("LOC 91 N 0 E 0m", "the location `91` is not a latitude such as `51 30 12.748 N`"),
        ("LOC 90 0 1 N 0 E 0m", "the location `1` is not a latitude such as `51 30 12.748 N`"),
        ("LOC 1 60 N 0 E 0m", "the location `60` is not a latitude such as `51 30 12.748 N`"),
        ("LOC 1 N 181 W 0m", "the location `181` is not a longitude such as `0 7 39.611 W`"),
        ("LOC 1 N 1 W", "the LOC record ends before an altitude from -100000.00m to 42849672.95m"),
        ("LOC 1 N 1 W -100000.01m", "the location `-100000.01m` is not an altitude from -100000.00m to 42849672.95m"),
        ("LOC 1 N 1 W 0m 90000000000m", "the location `90000000000m` is not a size from 0m to 90000000.00m"),
        (
            "APL 1:192.0.2.0/33",
            "the address prefixes `1:192.0.2.0/33` is not an address prefix such as 1:192.0.2.0/24 or !2:2001:db8::/32",
        ),
        ("DS 1 13 2 00", "the digest has 1 octets where its type has 32"),
        ("DS 1 13 2", "the digest is missing from the DS record"),
        ("DS 1 FOO 2 00", "the algorithm `FOO` is not an algorithm's number or mnemonic"),
        ("SSHFP 1 1 00", "the fingerprint has 1 octets where its type has 20"),
        ("TLSA 3 1 1 0g", "the association data `0g` is not hexadecimal digits, two for each octet"),
        ("DNSKEY 257 3 13 A", "the key `A` is not base 64"),
        ("KEY 0 3 13", "the key is missing from the KEY record"),
        ("NSEC3 1 0 0 g 00", "the salt `g` is not `-` or up to 255 octets in hexadecimal digits"),
        ("NSEC3 1 0 0 - w", "the next hashed name `w` is not base 32 with the extended hex alphabet"),
        ("NSEC a FOO", "the types `FOO` is not record types"),
        ("RRSIG A 13 3 300 20301301000000 0 1 . AA==", "the expiration `20301301000000` is not a time such as 20300101000000"),
        ("IPSECKEY 1 4 2 . AA==", "the gateway `.` is not readable: types 0 to 3 are known"),
        ("IPSECKEY 1 0 2 a AA==", "the gateway `a` is not `.`, as type 0 demands"),
        ("AMTRELAY 1 2 1 192.0.2.1", "the discovery bit `2` is not a number from 0 to 1"),
        ("EUI48 00-00-5e-00-53", "the address `00-00-5e-00-53` is not octets in hexadecimal with hyphens between them"),
        ("NID 1 1:2:3", "the node identifier `1:2:3` is not four groups of hexadecimal digits with colons between them"),
        ("HINFO only", "the operating system is missing from the HINFO record"),
        ("CAA 256 issue x", "the flags `256` is not a number from 0 to 255"),
        ("MX \\# 3 000a01", "these octets are not the RDATA of type MX"),
        ("NSEC \\# 4 00000100", "these octets are not the RDATA of type NSEC"),
        ("SVCB \\# 8 0001000003000135", "these octets are not the RDATA of type SVCB"),
        ("LOC \\# 1 00", "these octets are not the RDATA of type LOC"),
    ];
    for (line, message) in cases {
        assert_eq!(read_line(line), Err(message.into()), "{line}");
    }
    let long = format!("HINFO {} x", "x".repeat(256));
    assert!(read_line(&long).is_err_and(|message| message.ends_with("is longer than 255 octets")));
}

#[test]
fn the_layout_knows_every_name() {
    for (text, rtype) in include_str!("vectors.txt").lines().filter_map(|line| {
        let rtype: RecordType = line.split(' ').next()?.parse().ok()?;
        Some((line.rsplit_once(" => ")?.0, rtype))
    }) {
        if matches!(rtype, RecordType::IPSECKEY | RecordType::AMTRELAY | RecordType::HIP) {
            continue; // their names stand under conditions, and are opaque in messages
        }
        let Ok((_, rdata)) = read_line(text) else { continue };
        let by_schema: Vec<usize> = wire::parts(rtype, &rdata)
            .into_iter()
            .flatten()
            .filter(|part| part.field.0 == Kind::Name)
            .map(|part| part.before.len())
            .collect();
        let by_layout: Vec<usize> = names(rtype, &rdata).unwrap_or_default().into_iter().map(|(at, _)| at).collect();
        assert_eq!(by_layout, by_schema, "{text}");
    }
}

#[test]
fn canonical_form_has_lower_case_where_case_is_nothing() {
    let canonical_of = |line: &str| {
        let (rtype, rdata) = read_line(line).expect("it reads");
        rdata_to_text(rtype, &canonical(rtype, &rdata))
    };
    let cases = [
        ("MX 1 A.B.", "1 a.b."),
        ("SRV 1 2 3 A.B.", "1 2 3 a.b."),
        ("NAPTR 1 2 S T U A.B.", "1 2 \"S\" \"T\" \"U\" a.b."),
        ("RRSIG A 13 3 1 0 0 1 A.B. AA==", "A 13 3 1 19700101000000 19700101000000 1 a.b. AA=="),
        ("NSEC A.B. A", "A.B. A"), // RFC 6840 5.1
        ("HTTPS 1 A.B.", "1 A.B."),
        ("TXT A", "\"A\""),
    ];
    for (line, expected) in cases {
        assert_eq!(canonical_of(line), expected, "{line}");
    }
}

// Any well-formed octets of any type read back from their text --------------------------------------------------------

fn octets(range: std::ops::Range<usize>) -> BoxedStrategy<Vec<u8>> {
    vec(any::<u8>(), range).boxed()
}

fn wire_name() -> BoxedStrategy<Vec<u8>> {
    let label = octets(1..12).prop_map(|label| [&[label.len() as u8], label.as_slice()].concat());
    vec(label, 0..5).prop_map(|labels| [labels.concat(), vec![0]].concat()).boxed()
}

fn counted(range: std::ops::Range<usize>) -> BoxedStrategy<Vec<u8>> {
    octets(range).prop_map(|octets| [&[octets.len() as u8], octets.as_slice()].concat()).boxed()
}

fn joined(parts: impl Strategy<Value = Vec<Vec<u8>>> + 'static) -> BoxedStrategy<Vec<u8>> {
    parts.prop_map(|parts| parts.concat()).boxed()
}

fn gateway_of() -> BoxedStrategy<(u8, Vec<u8>)> {
    prop_oneof![
        Just((0, Vec::new())),
        octets(4..5).prop_map(|octets| (1, octets)),
        octets(16..17).prop_map(|octets| (2, octets)),
        wire_name().prop_map(|octets| (3, octets)),
    ]
    .boxed()
}

fn parameters() -> BoxedStrategy<Vec<u8>> {
    let value = |key: u16| match key {
        1 => joined(vec(counted(1..8), 1..4)),
        3 => octets(2..3),
        4 => joined(vec(octets(4..5), 1..3)),
        6 => joined(vec(octets(16..17), 1..3)),
        5 => octets(1..20),
        7 => Just(b"/q{?dns}".to_vec()).boxed(),
        8 => Just(Vec::new()).boxed(),
        _ => octets(0..12),
    };
    let keys = proptest::sample::subsequence(vec![1u16, 3, 4, 5, 6, 7, 8, 9, 667, 65_534], 0..6);
    let all = keys.prop_flat_map(move |keys| {
        let values: Vec<_> = keys.iter().map(|&key| value(key).prop_map(move |value| (key, value))).collect();
        (values, any::<bool>())
    });
    all.prop_map(|(mut all, with_mandatory)| {
        if with_mandatory && !all.is_empty() {
            let keys = all.iter().flat_map(|(key, _)| key.to_be_bytes()).collect();
            all.insert(0, (0, keys));
        }
        let one = |(key, value): (u16, Vec<u8>)| {
            [key.to_be_bytes().to_vec(), (value.len() as u16).to_be_bytes().to_vec(), value].concat()
        };
        all.into_iter().flat_map(one).collect()
    })
    .boxed()
}

fn prefix() -> BoxedStrategy<Vec<u8>> {
    let item = |family: u8, most: usize| {
        (0..=most * 8, any::<bool>(), octets(0..most + 1)).prop_map(move |(prefix, negated, mut address)| {
            while address.last() == Some(&0) {
                address.pop();
            }
            let len = address.len() as u8 | if negated { 0x80 } else { 0 };
            [&[0, family, prefix as u8, len], address.as_slice()].concat()
        })
    };
    prop_oneof![item(1, 4), item(2, 16), item(7, 9)].boxed()
}

fn location() -> BoxedStrategy<Vec<u8>> {
    let size = || (0u8..10, 0u8..10).prop_map(|(digit, power)| digit << 4 | power);
    let angle = |degrees: u32| (0..=2 * degrees * 3_600_000).prop_map(move |angle| (1 << 31) - degrees * 3_600_000 + angle);
    (size(), size(), size(), angle(90), angle(180), any::<u32>())
        .prop_map(|(a, b, c, latitude, longitude, altitude)| {
            let numbers = [latitude, longitude, altitude].map(u32::to_be_bytes).concat();
            [&[0, a, b, c], numbers.as_slice()].concat()
        })
        .boxed()
}

fn hip() -> BoxedStrategy<Vec<u8>> {
    (any::<u8>(), octets(1..20), octets(1..40), vec(wire_name(), 0..3))
        .prop_map(|(algorithm, tag, key, servers)| {
            let head = [tag.len() as u8, algorithm, 0, key.len() as u8];
            [&head, tag.as_slice(), key.as_slice(), &servers.concat()].concat()
        })
        .boxed()
}

/// Octets of a kind, where what is before does not matter.
fn of_kind(kind: Kind) -> BoxedStrategy<Vec<u8>> {
    match kind {
        Kind::U8 | Kind::Algorithm | Kind::DigestType => octets(1..2),
        Kind::U16 | Kind::Type | Kind::CertType => octets(2..3),
        Kind::U32 | Kind::Period | Kind::Time | Kind::Ipv4 => octets(4..5),
        Kind::Locator => octets(8..9),
        Kind::Ipv6 => octets(16..17),
        Kind::Eui(len) => octets(len.into()..usize::from(len) + 1),
        Kind::Name => wire_name(),
        Kind::String => counted(0..256),
        Kind::Salt => counted(0..20),
        Kind::OptionalString => prop_oneof![Just(Vec::new()), counted(0..9)].boxed(),
        Kind::Strings => joined(vec(counted(0..256), 1..4)),
        Kind::Text => octets(0..300),
        Kind::Tag => "[a-zA-Z0-9]{1,20}".prop_map(|tag| [&[tag.len() as u8], tag.as_bytes()].concat()).boxed(),
        Kind::Hex | Kind::Base64 | Kind::Key(_) | Kind::Nsap => octets(1..60),
        Kind::Digest(_) => prop_oneof![octets(20..21), octets(32..33), octets(48..49), octets(64..65)].boxed(),
        Kind::Base32Hex => counted(1..30),
        Kind::Bitmap => vec(any::<u16>(), 0..9)
            .prop_map(|types| bitmap::encode(&types.into_iter().map(RecordType).collect::<Vec<_>>()))
            .boxed(),
        Kind::Loc => location(),
        Kind::Apl => joined(vec(prefix(), 0..4)),
        Kind::SvcParams => parameters(),
        Kind::Gateway => Just(Vec::new()).boxed(), // see `rdata`
        Kind::Relay => (any::<bool>(), gateway_of())
            .prop_map(|(discovery, (form, octets))| [&[u8::from(discovery) << 7 | form], octets.as_slice()].concat())
            .boxed(),
        Kind::Hip => hip(),
    }
}

fn rdata(rtype: RecordType) -> BoxedStrategy<Vec<u8>> {
    if rtype == RecordType::IPSECKEY {
        let parts = (any::<u8>(), any::<u8>(), gateway_of(), octets(1..20));
        return parts
            .prop_map(|(precedence, algorithm, (form, gateway), key)| [vec![precedence, form, algorithm], gateway, key].concat())
            .boxed();
    }
    let fields = fields(rtype).unwrap_or_default();
    joined(fields.iter().map(|field| of_kind(field.0)).collect::<Vec<_>>())
}

fn any_rdata() -> impl Strategy<Value = (RecordType, Vec<u8>)> {
    let types: Vec<RecordType> =
        (0..=u16::MAX).map(RecordType).filter(|rtype| fields(*rtype).is_some() && *rtype != RecordType::LUA).collect();
    proptest::sample::select(types).prop_flat_map(|rtype| (Just(rtype), rdata(rtype))).prop_filter(
        "a digest of its type's length",
        |(rtype, rdata)| {
            !fields(*rtype).unwrap_or_default().iter().any(|field| matches!(field.0, Kind::Digest(_)))
                || well_formed(*rtype, rdata)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn any_octets_of_any_type_read_back((rtype, rdata) in any_rdata()) {
        let text = rdata_to_text(rtype, &rdata);
        prop_assert_eq!(read_line(&format!("{rtype} {text}")), Ok((rtype, rdata.clone())), "{}", text);
        let generic = generic_to_text(&rdata);
        prop_assert_eq!(read_line(&format!("{rtype} {generic}")), Ok((rtype, rdata)));
    }

    #[test]
    fn octets_that_pass_the_check_read_back(number in 0u16..300, rdata in vec(any::<u8>(), 0..40)) {
        let rtype = RecordType(number);
        if rtype.mnemonic().is_some() && !rtype.is_meta() && well_formed(rtype, &rdata) {
            let text = rdata_to_text(rtype, &rdata);
            prop_assert_eq!(read_line(&format!("{rtype} {text}")), Ok((rtype, rdata)), "{}", text);
        }
    }
}
