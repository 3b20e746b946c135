//! Zone and query cases that BIND, NSD, Knot and PowerDNS were asked in 2021 (the Ferret dataset), asked of leeward.
//!
//! All zones are served at once by one server. They share apexes, so each has a suffix of its own behind every name, in its
//! zone, its query and what is expected. The rule of judgement is that of the data's README: rcode, AA, answer and, where
//! it decides something, authority, as sets, names without case; right is what NSD or Knot said.
//!
//! The data is not part of the project: without `LEEWARD_TEST_DATA` the test skips itself and says so.
#![allow(clippy::unwrap_used, reason = "a test may stop at what it does not understand")]

mod harness;
#[path = "interop/message.rs"]
#[allow(dead_code, unreachable_pub, reason = "this test looks at less of a message than the one that it belongs to")]
mod message;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

use harness::{Leeward, PATIENCE, Site, query};
use leeward::wire::RecordType;
use message::Message;

/// How many cases there are; fewer would be a file that is cut short.
const CASES: usize = 1267;

/// What is compared of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    rcode: u16,
    authoritative: bool,
    answer: BTreeSet<Record>,
    authority: BTreeSet<Record>,
}

/// Owner, type, data.
type Record = (String, u16, String);

/// One line of the data, its names suffixed.
struct Case {
    id: String,
    apex: String,
    zone: String,
    qname: String,
    qtype: RecordType,
    /// What the servers said, and who said it.
    said: Vec<(Vec<String>, Said)>,
}

#[test]
fn the_ferret_cases() {
    let Some(folder) = std::env::var_os("LEEWARD_TEST_DATA") else {
        eprintln!("SKIPPED: LEEWARD_TEST_DATA is not set");
        return;
    };
    let text = std::fs::read_to_string(std::path::Path::new(&folder).join("conformance/ferret-sample.jsonl")).unwrap();
    let cases: Vec<Case> = text.lines().zip(0..).map(|(line, number)| Case::read(line, number)).collect();
    assert_eq!(cases.len(), CASES);

    let site = Site::new();
    for case in &cases {
        site.write(&format!("{}.zone", case.apex), &case.zone);
    }
    let apexes: Vec<&str> = cases.iter().map(|case| case.apex.as_str()).collect();
    let server = Leeward::start(&site.config(&apexes, ""));
    let mut stream = TcpStream::connect(server.dns).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();

    let wrong: Vec<String> = cases.iter().filter_map(|case| case.judge(&mut stream, server.dns)).collect();
    eprintln!("{} of {CASES} as NSD or Knot", CASES - wrong.len());
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

impl Case {
    fn read(line: &str, number: usize) -> Self {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let suffix = Suffix(format!("t{number}."));
        let records: Vec<&str> = line["zone"].as_str().unwrap().lines().collect();
        let soa = records.iter().find(|record| record.split(' ').nth(3) == Some("SOA")).unwrap();
        let apex = suffix.name(soa.split(' ').next().unwrap());
        let zone: String = records.iter().map(|record| suffix.line(record) + "\n").collect();
        let said = line["responses"].as_array().unwrap().iter().map(|group| {
            let strings = |value: &serde_json::Value| -> Vec<String> {
                value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
            };
            (strings(&group["servers"]), Said::expected(&strings(&group["response"]), &suffix))
        });
        Self {
            id: line["id"].to_string(),
            apex,
            zone,
            qname: suffix.name(line["query"]["Name"].as_str().unwrap()),
            qtype: line["query"]["Type"].as_str().unwrap().parse().unwrap(),
            said: said.collect(),
        }
    }

    /// What is wrong with the server's answer.
    fn judge(&self, stream: &mut TcpStream, server: SocketAddr) -> Option<String> {
        let reply = ask(stream, &query(&self.qname, self.qtype, None), server);
        let got = Said::of(&Message::read(&reply).expect("a message"));
        let apex_ns = |record: &Record| record.1 == RecordType::NS.0 && record.0 == self.apex;
        let right: Vec<&Said> = match &self.said[..] {
            [(_, all)] => vec![all],
            several => {
                let model = |servers: &[String]| servers.iter().any(|server| server == "nsd" || server == "knot");
                several.iter().filter(|(servers, _)| model(servers)).map(|(_, said)| said).collect()
            }
        };
        let same = |said: &&Said| {
            let mut expected = (*said).clone();
            if !expected.answer.is_empty() && !got.authority.iter().any(apex_ns) {
                expected.authority.retain(|record| !apex_ns(record)); // minimal responses
            }
            expected == got
        };
        (!right.iter().any(same)).then(|| {
            format!("case {}: {} {}\n{}\n  got {got:?}\n  right {right:?}\n", self.id, self.qname, self.qtype, self.zone)
        })
    }
}

impl Said {
    fn of(message: &Message) -> Self {
        let set = |records: &[message::Record]| {
            records.iter().map(|record| (record.owner.clone(), record.rtype, record.data.clone())).collect()
        };
        let authoritative = message.flags.split(' ').any(|flag| flag == "aa");
        Self { rcode: message.rcode, authoritative, answer: set(&message.answer), authority: set(&message.authority) }
    }

    /// From lines such as `rcode NOERROR`, `flags QR AA`, `;ANSWER` and records.
    fn expected(lines: &[String], suffix: &Suffix) -> Self {
        let word = |key: &str| lines.iter().find_map(|line| line.strip_prefix(key)).unwrap();
        let rcode = match word("rcode ") {
            "NOERROR" => 0,
            "SERVFAIL" => 2,
            "NXDOMAIN" => 3,
            "REFUSED" => 5,
            "YXDOMAIN" => 6,
            other => panic!("{other}"),
        };
        let section = |name: &str| -> BTreeSet<Record> {
            let records = lines.iter().skip_while(|line| *line != name).skip(1).take_while(|line| !line.starts_with(';'));
            records.map(|line| suffix.record(line)).collect()
        };
        let authoritative = word("flags ").split(' ').any(|flag| flag == "AA");
        Self { rcode, authoritative, answer: section(";ANSWER"), authority: section(";AUTHORITY") }
    }
}

/// What stands behind every name of a case.
struct Suffix(String);

impl Suffix {
    fn name(&self, name: &str) -> String {
        if name == "." { self.0.clone() } else { format!("{name}{}", self.0) }
    }

    /// `owner TTL class type data`, its names suffixed.
    fn line(&self, record: &str) -> String {
        let fields: Vec<&str> = record.splitn(5, ' ').collect();
        let [owner, ttl, class, rtype, data] = fields[..] else { panic!("{record}") };
        let data = match rtype {
            "NS" | "CNAME" | "DNAME" => self.name(data),
            "SOA" => {
                let (primary, rest) = data.split_once(' ').unwrap();
                let (mailbox, numbers) = rest.split_once(' ').unwrap();
                format!("{} {} {numbers}", self.name(primary), self.name(mailbox))
            }
            _ => data.to_owned(),
        };
        format!("{} {ttl} {class} {rtype} {data}", self.name(owner))
    }

    fn record(&self, record: &str) -> Record {
        let line = self.line(record);
        let fields: Vec<&str> = line.splitn(5, ' ').collect();
        let rtype: RecordType = fields[3].parse().unwrap();
        (fields[0].to_ascii_lowercase(), rtype.0, data(rtype, fields[4]).to_ascii_lowercase())
    }
}

/// Data as [`message`] gives it: names as text, the rest in hexadecimal.
fn data(rtype: RecordType, text: &str) -> String {
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    match rtype {
        RecordType::A => hex(&text.parse::<Ipv4Addr>().unwrap().octets()),
        RecordType::AAAA => hex(&text.parse::<Ipv6Addr>().unwrap().octets()),
        RecordType::TXT => {
            let text = text.trim_matches('"');
            hex(&[&[text.len() as u8], text.as_bytes()].concat())
        }
        RecordType::SOA => {
            let words: Vec<&str> = text.split(' ').collect();
            let numbers: String = words[2..].iter().map(|number| hex(&number.parse::<u32>().unwrap().to_be_bytes())).collect();
            format!("{} {} {numbers}", words[0], words[1])
        }
        _ => text.to_owned(),
    }
}

fn ask(stream: &mut TcpStream, query: &[u8], server: SocketAddr) -> Vec<u8> {
    let framed = [&(query.len() as u16).to_be_bytes(), query].concat();
    stream.write_all(&framed).unwrap_or_else(|error| panic!("{server}: {error}"));
    let mut len = [0; 2];
    stream.read_exact(&mut len).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut reply).unwrap();
    reply
}
