//! The corpus of record programs: zone files as people write them, and what is asked of each program.
//!
//! `programs/NAME.zone` is the zone NAME; both servers read it as it is. What the file cannot say as a zone stands in a
//! comment before an entry: `;; ask NAME[/TYPE]...` names the questions, which are otherwise one, for the owner and the type
//! that the program makes; `;; draws` says that the answer is a matter of chance. A zone whose name begins with `geo` needs
//! the databases of places, and `$WORD` in `health.test` is an address or a port that is known when the targets run.
//!
//! Never here: a reading of the programs themselves.

use std::net::IpAddr;
use std::ops::Range;

use leeward::wire::{ClientSubnet, RecordType};

use crate::corpus;
use crate::harness::query;

/// Those on whose behalf each program is asked: both families, from no bits to all, in the databases of places and not.
pub const CLIENTS: [&str; 20] = [
    "81.2.69.142/32",
    "81.2.69.160/27",
    "81.2.69.0/24",
    "89.160.20.112/28",
    "89.160.20.128/25",
    "216.160.83.56/29",
    "175.16.199.0/24",
    "214.78.0.0/19",
    "12.81.128.0/17",
    "1.128.0.0/11",
    "10.1.2.3/32",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "2001:218::/32",
    "2a02:d300::/48",
    "2001:480::1/128",
    "2600:7000::/24",
    "2001:db8::1/128",
    "::/0",
    "::ffff:81.2.69.142/128",
];

/// A zone of the corpus, its programs with their places in it.
pub struct Zone {
    pub name: String,
    pub text: String,
    pub programs: Vec<Program>,
}

/// One `LUA` record.
#[derive(Clone, Debug)]
pub struct Program {
    pub zone: String,
    pub owner: String,
    /// The type that it makes.
    pub rtype: RecordType,
    /// Its first line.
    pub text: String,
    /// What stands between the quotes, escapes as they are.
    pub strings: Vec<String>,
    /// Its lines in the file, from 1.
    pub lines: Range<usize>,
    pub draws: bool,
    pub questions: Vec<Question>,
}

/// A name and a type.
#[derive(Clone, Debug)]
pub struct Question {
    pub name: String,
    pub rtype: RecordType,
}

impl Program {
    /// Whether its answer depends on what is up.
    pub fn is_about_health(&self) -> bool {
        self.zone.starts_with("health")
    }
}

impl Question {
    /// The query of a client.
    pub fn packet(&self, client: &str) -> Vec<u8> {
        let (network, source) = client.split_once('/').expect("a network");
        let network: IpAddr = network.parse().expect("an address");
        query(&self.name, self.rtype, Some(ClientSubnet { network, source: source.parse().expect("a length") }))
    }
}

/// All zones; those that need the databases only where there are some.
pub fn zones(places: bool) -> Vec<Zone> {
    let files = corpus::files("programs", "zone").into_iter().filter(|(name, _)| places || !name.starts_with("geo"));
    files.map(|(name, text)| Zone { programs: programs(&name, &text), name, text }).collect()
}

impl Zone {
    /// The zone with other words for some.
    pub fn with(&self, words: &[(&str, String)]) -> String {
        words.iter().fold(self.text.clone(), |text, (word, value)| text.replace(word, value))
    }
}

fn programs(zone: &str, text: &str) -> Vec<Program> {
    let mut programs: Vec<Program> = Vec::new();
    let (mut note, mut depth, mut open) = ("", 0, false);
    for (line, number) in text.lines().zip(1..) {
        if depth > 0 {
            depth += parentheses(line);
            if let Some(program) = programs.last_mut().filter(|_| open) {
                program.lines.end = number + 1;
                program.strings.extend(strings(line));
            }
            continue;
        }
        if let Some(words) = line.strip_prefix(";;") {
            note = words;
            continue;
        }
        depth += parentheses(line);
        let program = program(zone, line, number, note);
        open = program.is_some();
        if open {
            note = "";
        }
        programs.extend(program);
    }
    programs
}

/// The program that begins on a line.
fn program(zone: &str, line: &str, number: usize, note: &str) -> Option<Program> {
    let words: Vec<&str> = line.split_whitespace().take(5).collect();
    let at = words.iter().position(|&word| word == "LUA").filter(|&at| at > 0 && !line.starts_with(';'))?;
    let kind = *words.get(at + 1)?;
    let mut program = Program {
        zone: zone.to_owned(),
        owner: words[0].to_owned(),
        rtype: rtype(kind),
        text: line.to_owned(),
        strings: if line.contains('"') { strings(line) } else { words.last().map(|&word| word.to_owned()).into_iter().collect() },
        lines: number..number + 1,
        draws: note.split_whitespace().any(|word| word == "draws"),
        questions: Vec::new(),
    };
    let asked: Vec<&str> = note.split_whitespace().skip_while(|&word| word != "ask").skip(1).collect();
    let asked = if asked.is_empty() && kind != "LUA" { vec![words[0]] } else { asked };
    program.questions = asked.iter().map(|asked| question(zone, asked, program.rtype)).collect();
    Some(program)
}

fn question(zone: &str, asked: &str, made: RecordType) -> Question {
    let (name, kind) = asked.split_once('/').map_or((asked, made), |(name, kind)| (name, rtype(kind)));
    Question { name: format!("{name}.{zone}"), rtype: kind }
}

fn rtype(text: &str) -> RecordType {
    let text = if text == "LUA" { "TYPE65402" } else { text };
    text.parse().unwrap_or_else(|_| panic!("no type: {text}"))
}

/// What stands between quotes on a line.
fn strings(line: &str) -> Vec<String> {
    let (mut strings, mut open, mut escaped) = (Vec::new(), false, false);
    for letter in line.chars() {
        match letter {
            '"' if !escaped => {
                open = !open;
                strings.extend(open.then(String::new));
            }
            ';' if !open => break,
            _ if open => strings.last_mut().expect("an open string").push(letter),
            _ => {}
        }
        escaped = !escaped && letter == '\\';
    }
    strings
}

/// How many more parentheses a line opens than it closes, outside of strings and comments.
fn parentheses(line: &str) -> i32 {
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for letter in line.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ';' if !quoted => break,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
    }
    depth
}
