//! Under attack, measured: a flood of each kind against a real server, and what it does to those who ask in good faith.
//!
//! Every test here is `#[ignore]`d, and `tests/attack/run` is the command that runs them: so the tests of every day leave
//! them alone (they take minutes and both cores, and what they measure is worth nothing while other tests run beside
//! them), clippy and the compiler do not, and each can be run alone by its name. A target without the test harness would
//! have to answer the test runner's `--list` by itself for no gain.
//!
//! [`trial`] starts a server, the attack and the client and judges; [`client`] asks in good faith; [`datagrams`] and
//! [`streams`] attack; [`process`] looks at the server from outside. A row of the report is appended to the file that
//! `LEEWARD_ATTACK_REPORT` names. `README.md` has the last results, and says how to read them.
//!
//! Never here: traffic off loopback, and a wish: a target that is missed fails its test.

#![allow(clippy::disallowed_methods, unreachable_pub, reason = "tests measure; the modules are of this test only")]

#[path = "../harness/mod.rs"]
mod harness;

mod client;
mod datagrams;
mod process;
mod streams;
mod trial;

use datagrams::{From, junk, malformed, one_name, random_names};
use streams::{Habit, hoard, shake_hands};
use trial::{Bound, Trial};

const KIB: usize = 1 << 10;
/// What an idle connection holds in our memory: its place in the table, its task, its socket's state.
const IDLE: usize = 4 * KIB;
/// What a connection can hold at most: the beginning of a message (64 KiB) and a read (16), and replies that are not taken
/// (16 and one of 64), in buffers that may have half as much room again on average.
const FULL: usize = 240 * KIB;
/// What a TLS handshake holds: rustls's buffers and state.
const HANDSHAKE: usize = 48 * KIB;

/// Rate limiting as an operator who expects floods sets it: a reply that slips through costs as much as any other.
const RRL: &str = "[server.rrl]\nper_second = 20\nslip = 10\n";

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t00_peace() {
    Trial::new("no attack").run(vec![]);
}

// -------- connections

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t01_idle_connections_below_the_cap() {
    let trial = Trial::new("16,000 idle connections, tcp_max 16,384").server("tcp_max = 16384\n").on_tcp();
    trial.bound(Bound::connections(16_384, IDLE)).run(vec![hoard(16_000, Habit::Idle)]);
}

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t02_idle_connections_over_the_cap() {
    let trial = Trial::new("16,000 idle connections, tcp_max 4,096").server("tcp_max = 4096\n").on_tcp();
    trial.bound(Bound::connections(4096, IDLE)).run(vec![hoard(16_000, Habit::Idle)]);
}

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t03_slow_writers() {
    let trial = Trial::new("4,000 slow writers, an octet a second").server("tcp_max = 4096\n").on_tcp();
    trial.bound(Bound::connections(4096, IDLE)).run(vec![hoard(4000, Habit::OctetPerSecond)]);
}

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t04_replies_never_read() {
    let trial = Trial::new("4,000 pipelines, replies never read").server("tcp_max = 4096\n").on_tcp();
    trial.bound(Bound::connections(4096, FULL)).run(vec![hoard(4000, Habit::NeverRead)]);
}

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t05_half_messages() {
    let trial = Trial::new("4,000 pipelines with half of a 64 KiB message").server("tcp_max = 4096\n").on_tcp();
    trial.bound(Bound::connections(4096, FULL)).run(vec![hoard(4000, Habit::HalfMessage)]);
}

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t06_descriptors_taken_away() {
    let trial = Trial::new("descriptor limit lowered to 100 with 1,000 open").server("tcp_max = 4096\n").on_tcp();
    trial.bound(Bound::connections(4096, IDLE)).lower_descriptors_to(100).run(vec![hoard(2000, Habit::Idle)]);
}

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t07_few_descriptors_from_the_start() {
    let trial = Trial::new("descriptor limit 128 at start, tcp_max 4,096").server("tcp_max = 4096\n").on_tcp();
    trial.bound(Bound::connections(128, IDLE)).start_with_descriptors(128).run(vec![hoard(2000, Habit::Idle)]);
}

// -------- datagrams

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t10_malformed_datagrams() {
    Trial::new("malformed datagrams, one source").run(vec![malformed()]);
}

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t11_random_names() {
    Trial::new("random names (NXDOMAIN)").run(vec![random_names("", From::One)]);
}

/// One source fills the queue of one socket; clients whose packets go to the others do not notice.
#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t11_random_names_with_four_sockets() {
    Trial::new("random names (NXDOMAIN), udp_threads 4").threads(4).run(vec![random_names("", From::One)]);
}

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t12_random_names_with_rate_limiting() {
    Trial::new("random names (NXDOMAIN), RRL").more(RRL).run(vec![random_names("", From::One)]);
}

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t13_random_names_of_a_program() {
    Trial::new("random names under a wildcard program").run(vec![random_names("dyn", From::One)]);
}

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t14_random_names_of_a_program_with_rate_limiting() {
    Trial::new("random names under a wildcard program, RRL").more(RRL).run(vec![random_names("dyn", From::One)]);
}

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t15_one_victim() {
    Trial::new("forged source, one victim, no RRL").run(vec![one_name("big", From::One)]);
}

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t16_one_victim_with_rate_limiting() {
    Trial::new("forged source, one victim, RRL").more(RRL).run(vec![one_name("big", From::One)]);
}

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t17_many_victims_with_rate_limiting() {
    Trial::new("forged sources, 4,096 victims, RRL").more(RRL).run(vec![one_name("big", From::Many(4096))]);
}

// -------- encrypted transports

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t20_half_open_handshakes() {
    let trial = Trial::new("4,000 half-open handshakes (DoT)").server("tcp_max = 4096\n").with_tls().on_tcp();
    trial.bound(Bound::connections(4096, HANDSHAKE)).run(vec![hoard(4000, Habit::HalfHandshake)]);
}

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t21_handshakes() {
    let trial = Trial::new("whole handshakes (DoT)").with_tls().on_tcp();
    trial.bound(Bound::connections(4096, HANDSHAKE)).run(vec![shake_hands()]);
}

#[test]
#[ignore = "measures for its own sake: tests/attack/run"]
fn t22_quic_junk() {
    let trial = Trial::new("junk in Initial packets (DoQ)").with_tls();
    trial.bound(Bound::connections(4096, HANDSHAKE)).run(vec![junk()]);
}
