//! dnsperf: what it sends in bulk is all answered, with the rcodes that are due. How fast is not asked.

use std::net::SocketAddr;

use super::harness::{has, said};
use super::site::Served;

#[test]
fn dnsperf_loses_nothing() {
    if !has("dnsperf") {
        return;
    }
    let served = Served::start("");
    let questions = "www.gslb.example A\none.gslb.example A\nnear.gslb.example A\nx.wild.gslb.example TXT\nno.gslb.example A\n";
    let file = served.site.write("questions", questions).display().to_string();
    let run = |to: SocketAddr, options: &[&str]| {
        let (at, port) = (to.ip().to_string(), to.port().to_string());
        let fixed = ["-s", &at, "-p", &port, "-d", &file, "-n", "1000", "-c", "4", "-t", "30", "-W"];
        let text = said("dnsperf", &[&fixed, options].concat());
        for expected in ["completed:    5000 (100.00%)", "lost:         0 ", "NOERROR 4000 (80.00%), NXDOMAIN 1000 (20.00%)"] {
            assert!(text.contains(expected), "no `{expected}` from dnsperf {options:?}:\n{text}");
        }
        assert!(!text.contains("[Warning]") && !text.contains("[Error]"), "dnsperf {options:?} complains:\n{text}");
        println!("dnsperf {options:?}: 5000 answered");
    };
    run(served.dns(), &[]);
    run(served.dns(), &["-D", "-E", "65001:abcd"]);
    run(served.dns(), &["-m", "tcp", "-e"]);
    run(served.dot, &["-m", "dot"]);
}
