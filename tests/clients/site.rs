//! What the programs ask: a zone with one of everything, its reverse zone, and leeward serving both.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::harness::{Leeward, Program, Site, command, free_port, wait_for};

/// A client of `near`'s other answer; no server of a test is there.
pub const NEAR: &str = "127.200.0.1";

/// What every zone here begins with; its server is at `ns`.
pub fn head(ns: IpAddr) -> String {
    format!("$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A {ns}\n")
}

/// Static records, chains, record programs; `near` is another answer to 198.51.100.0/24 and to [`NEAR`].
fn zone(ns: IpAddr) -> String {
    let head = head(ns);
    let strings: String = (0..12).map(|n| format!(" \"{n:0>250}\"")).collect();
    format!(
        "{head}www A 192.0.2.1\nwww AAAA 2001:db8::1\nalias CNAME step\nstep CNAME www\nlua CNAME one\nold DNAME new\n\
         a.new A 192.0.2.6\n*.wild TXT \"any\"\na.ent.deep A 192.0.2.5\nbig TXT{strings}\n\
         svc HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1\nsvc SVCB 1 www port=8443\none LUA A \"'192.0.2.7'\"\n\
         near LUA A \"view({{{{{{'198.51.100.0/24', '127.200.0.0/24'}}, {{'192.0.2.10'}}}}, \
         {{{{'0.0.0.0/0', '::/0'}}, {{'192.0.2.20'}}}}}})\"\n"
    )
}

/// leeward on the zone, over UDP, TCP and TLS.
pub struct Served {
    pub site: Site,
    pub server: Leeward,
    pub dot: SocketAddr,
}

impl Served {
    /// With these settings in `[server]`, and what follows it.
    pub fn start(settings: &str) -> Self {
        Self::start_on(ANYWHERE, settings)
    }

    /// The same at an address.
    pub fn start_on(listen: SocketAddr, settings: &str) -> Self {
        let site = Site::new();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        site.write("cert.pem", &made.cert.pem());
        site.write("key.pem", &made.signing_key.serialize_pem());
        site.write("gslb.example.zone", &zone(listen.ip()));
        site.write("2.0.192.in-addr.arpa.zone", &format!("{}1 PTR www.gslb.example.\n", head(listen.ip())));
        let server = Leeward::start(&configured(&site, listen, settings));
        let dot = wait_for("DoT", || server.log_line("DoT on ")?.rsplit(' ').next()?.parse().ok());
        Self { site, server, dot }
    }

    /// Puts other settings in place of the first, and has them read.
    pub fn reload(&self, settings: &str) {
        configured(&self.site, ANYWHERE, settings);
        let (status, report) = self.server.post("/api/v1/reload");
        assert_eq!(status, 200, "{report}");
    }

    /// Where it is asked in the clear.
    pub const fn dns(&self) -> SocketAddr {
        self.server.dns
    }
}

/// A port of the system's choice.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn configured(site: &Site, listen: SocketAddr, settings: &str) -> PathBuf {
    let server = format!("[server]\nlisten = [\"{listen}\"]\nudp_threads = 1\nnsid = \"eu-1\"\n{settings}");
    let tls = "[server.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\ndot = [\"127.0.0.1:0\"]\n";
    site.config(&["gslb.example", "2.0.192.in-addr.arpa"], &format!("{server}{tls}"))
}

/// named with these statements in `options` and behind it, on a port that is free: it listens only where an interface
/// has the address, which others use too.
pub fn named(site: &Site, options: &str, zones: &str) -> (Program, SocketAddr) {
    let dir = site.path("named");
    std::fs::create_dir_all(&dir).expect("a folder");
    let folder = dir.display();
    wait_for("a port for named", || {
        let port = free_port(&[Ipv4Addr::LOCALHOST]);
        let config = format!(
            "options {{ directory \"{folder}\"; pid-file none; session-keyfile none; lock-file none;\n\
             managed-keys-directory \"{folder}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
             allow-query {{ any; }}; dnssec-validation no; notify no; empty-zones-enable no; max-cache-size 16M;\n\
             query-source address 127.0.0.1; {options} }};\ncontrols {{ }};\n{zones}\n"
        );
        let config = site.write("named.conf", &config);
        let named = Program::start(command("named").args(["-g", "-4", "-n", "1", "-c"]).arg(config));
        wait_for("named", || named.has_logged("all zones loaded").then_some(()));
        (!named.has_logged("address in use")).then_some((named, (Ipv4Addr::LOCALHOST, port).into()))
    })
}
