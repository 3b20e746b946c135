//! What record programs need of a whole server: names of other servers, checks that they make up, a log for what they say.

mod harness;

use std::net::TcpListener;

use harness::{Leeward, Site, free_port, own_address, wait_for};
use leeward::wire::RecordType;

const HEAD: &str = "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n";
/// The extended error of an answer that waits for something (RFC 8914).
const NOT_READY: Option<u16> = Some(14);

/// Serves `p.test` with these records.
fn serve(records: &str, settings: &str) -> (Site, Leeward) {
    let site = Site::new();
    site.write("p.test.zone", &format!("{HEAD}{records}"));
    let server = Leeward::start(&site.config(&["p.test"], settings));
    (site, server)
}

#[test]
fn names_of_other_servers() {
    let elsewhere = "www A 192.0.2.77\nwww A 192.0.2.78\nmail MX 10 www\n";
    let (_site, other) = serve(elsewhere, "");
    let list = |name: &str, rtype: &str| {
        format!(
            "\";local t = {{}} for _, record in ipairs(resolve('{name}.p.test', pdns.{rtype})) do t[#t + 1] = record:content() end \
             return t\""
        )
    };
    let records =
        format!("a LUA A {}\nmx LUA MX {}\nnone LUA A {}\n", list("www", "A"), list("mail", "MX"), list("no-such-name", "A"));
    let (_site, server) = serve(&records, &format!("[lua]\nresolver = \"{}\"\n", other.dns));
    let first = server.ask("a.p.test", RecordType::A);
    assert_eq!((first.rcode.as_str(), first.ede), ("SERVFAIL", NOT_READY), "nobody waits");
    let known = |name: &str, rtype| wait_for(name, || Some(server.ask(name, rtype)).filter(|answer| answer.rcode == "NOERROR"));
    let mut addresses = known("a.p.test", RecordType::A).data;
    addresses.sort();
    assert_eq!(addresses, ["192.0.2.77", "192.0.2.78"]);
    assert_eq!(known("mx.p.test", RecordType::MX).data, ["10 www.p.test."]);
    assert_eq!(known("none.p.test", RecordType::A).data, [""; 0], "that there is none is an answer");
    assert!(server.metric("leeward_program_failures_total{reason=\"not_ready\"}") >= Some(1.0));
    assert!(other.stop());
    assert_eq!(server.ask("a.p.test", RecordType::A).data.len(), 2, "what is known is known");
}

#[test]
fn checks_that_a_program_makes_up() {
    let addresses = [own_address(), own_address()];
    let port = free_port(&addresses);
    let first = TcpListener::bind((addresses[0], port)).expect("bound");
    let [one, two] = addresses;
    let records = format!(
        "a LUA A \";local t = {{}} for i, host in ipairs({{'{one}', '{two}'}}) do t[i] = host end \
         return ifportup({port}, t, {{selector='all', interval=1, timeout=1}})\"\n\
         denied LUA A \";local t = {{}} for i = 1, 1 do t[i] = '169.254.1.' .. i end return ifportup(80, t)\"\n"
    );
    let (_site, server) = serve(&records, "");
    let answer = |data: &[String]| {
        wait_for("the answer to change", || {
            let answer = server.ask("a.p.test", RecordType::A);
            (answer.ede.is_none() && answer.data == data).then_some(())
        });
    };
    answer(&[one.to_string()]);
    let second = TcpListener::bind((two, port)).expect("bound");
    drop(first);
    answer(&[two.to_string()]);
    drop(second);
    server.ask("denied.p.test", RecordType::A);
    wait_for("a word about it", || server.log_line("169.254.1.1 may not be: it lies in `[prober] deny`"));
    let checks = server.get_json("/api/v1/checks");
    assert_eq!(checks["checks"].as_array().map(Vec::len), Some(2), "{checks}");
}

#[test]
fn what_programs_say_is_logged_in_measure() {
    let records = "bad LUA A \";error('for a reason')\"\n\
         talks LUA TXT \";pdnslog('as an\\nerror', pdns.loglevels.Error) print('in passing') return 'said'\"\n";
    let (_site, server) = serve(records, "");
    assert_eq!(server.ask("talks.p.test", RecordType::TXT).data, ["said"]);
    wait_for("both lines", || {
        Some((server.log_line("ERROR record program: as an\\nerror")?, server.log_line("INFO record program: in passing")?))
    });
    for _ in 0..100 {
        assert_eq!(server.ask("bad.p.test", RecordType::A).rcode, "SERVFAIL");
    }
    assert_eq!(server.metric("leeward_program_failures_total{reason=\"error\"}"), Some(100.0));
    wait_for("a count of the rest", || server.log_line("more lines were left out"));
    let line = server.log_line("bad.p.test. LUA A: ").expect("at least one");
    assert!(line.contains("for a reason") && line.contains("p.test."), "{line}");
    assert!(server.log_count("bad.p.test. LUA A: ") < 50);
}
