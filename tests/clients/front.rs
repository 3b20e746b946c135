//! dnsdist in front: its health check finds leeward up, its log is quiet, its clients get the answer for their place.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::asking::dig;
use super::harness::{Program, command, free_port, has, own_address, query, wait_for};
use super::site::{NEAR, Served};

/// How dnsdist can say where a client is, and what leeward is told of that.
const WAYS: [(&str, &str); 2] =
    [("useClientSubnet=true", ""), ("useProxyProtocol=true", "proxy_protocol_from = [\"127.0.0.1\"]\n")];

#[test]
fn dnsdist_finds_nothing_to_complain_of() {
    if !has("dnsdist") || !has("dig") {
        return;
    }
    for (way, setting) in WAYS {
        let served = Served::start(setting);
        let (dnsdist, front) = start(&served, way);
        for options in [&["+notcp"][..], &["+tcp"], &["+noedns"]] {
            let ask = |from: &str, name: &str| dig(front, &[&["-b", from, name], options].concat());
            assert!(ask(NEAR, "near.gslb.example").contains("192.0.2.10"), "{way} {options:?}");
            assert!(ask("127.0.0.1", "near.gslb.example").contains("192.0.2.20"), "{way} {options:?}");
            assert!(ask(NEAR, "no.gslb.example").contains("status: NXDOMAIN"), "{way} {options:?}");
        }
        assert!(dig(front, &["+tcp", "big.gslb.example", "TXT"]).contains("0000000000011\""), "{way}");
        let log = dnsdist.stop();
        let up = format!("Marking downstream {} as 'up'", served.dns());
        assert!(log.iter().any(|line| line.contains(&up)), "{way}: {log:#?}");
        for bad in ["warning", "error", "fail", "'down'", "timeout", "unable", "invalid", "mismatch"] {
            assert!(!log.iter().any(|line| line.to_ascii_lowercase().contains(bad)), "{way}: {log:#?}");
        }
    }
}

/// dnsdist before a server, once its health check has passed.
fn start(served: &Served, way: &str) -> (Program, SocketAddr) {
    let address = own_address();
    let front = SocketAddr::from((address, free_port(&[address])));
    let config = format!(
        "setLocal('{front}')\nsetACL({{'127.0.0.0/8'}})\nsetSecurityPollSuffix('')\nsetUDPTimeout(30)\n\
         newServer({{address='{}', {way}, checkName='www.gslb.example.', mustResolve=true, checkTimeout=30000}})\n",
        served.dns()
    );
    let config = served.site.write("dnsdist.conf", &config);
    let dnsdist = Program::start(command("dnsdist").arg("-C").arg(config).args(["--supervised", "--disable-syslog"]));
    wait_for("dnsdist, and its health check", || is_answered(front).then_some(()));
    (dnsdist, front)
}

fn is_answered(server: SocketAddr) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("option");
    socket.connect(server).expect("connected");
    let asked = socket.send(&query("www.gslb.example", leeward::wire::RecordType::A, None));
    let mut reply = [0; 512];
    asked.is_ok() && socket.recv(&mut reply).is_ok() && reply[3] & 0xF == 0
}
