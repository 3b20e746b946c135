//! The command line as its users meet it: output, exit codes, roles; the quick start of README, word for word; and what
//! `deploy/` has for those who watch the server.
#![allow(clippy::disallowed_methods, reason = "tests measure")]

mod harness;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::{Leeward, Site, command, has, http_with, leeward, wait_for};
use leeward::wire::RecordType;
use rustix::process::Signal;

const ZONE: &str = "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n\
                    www LUA A \"ifportup(9, {{'127.9.2.1', '127.9.2.2'}, {'127.9.2.3'}}, {selector='all'})\"\n";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What README promises of the quick start is what happens, on ports of the system's choice.
#[test]
fn the_quick_start_does_what_readme_says() {
    if !has("dig") {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let site = Site::new();
    let config = fs::read_to_string(root.join("zones/demo.toml")).expect("the demo");
    let zone = fs::read_to_string(root.join("zones/demo.example.zone")).expect("the demo");
    assert!(config.contains("127.0.0.1:5300") && config.contains("127.0.0.1:8053"), "README names these ports");
    let port = harness::free_port(&[[127, 0, 0, 1].into(), [127, 0, 0, 2].into(), [127, 0, 0, 3].into()]);
    let config = config.replace("127.0.0.1:5300", "127.0.0.1:0").replace(":8053", &format!(":{port}")).replace("../target/", "");
    site.write("demo.example.zone", &zone.replace("8053", &port.to_string()));
    let server = Leeward::start(&site.write("demo.toml", &config));

    let readme = fs::read_to_string(root.join("README.md")).expect("README");
    let promised = readme.split("$ dig @127.0.0.1 -p 5300 ").nth(1).expect("README has the dig line");
    let (arguments, rest) = promised.split_once('\n').expect("a line");
    let promised = rest.split("```").next().expect("a block").trim_end();
    let dns = server.dns.port().to_string();
    let output = Command::new("dig").args(["@127.0.0.1", "-p", &dns]).args(arguments.split(' ')).output().expect("dig runs");
    assert_eq!(text(&output.stdout).trim_end(), promised);

    let url = format!("http://{}", server.admin);
    let output = leeward(&["explain", "www.demo.example", "--url", &url]);
    let said = text(&output.stdout);
    for line in readme.split("$ target/release/leeward explain").nth(1).expect("README has it").lines().skip(1) {
        if line.starts_with("```") {
            break;
        }
        // Times, seeds and the port differ from run to run.
        let stable = line.split(", passed").next().and_then(|line| line.split(", failed").next()).unwrap_or(line);
        let stable = if line.starts_with("client") { "client: 127.0.0.1" } else { stable };
        assert!(said.contains(&stable.replace("8053", &port.to_string())), "{stable:?} is not in\n{said}");
    }
}

#[test]
fn client_commands_find_the_server_and_say_so_when_they_cannot() {
    let site = Site::new();
    site.write("c.test.zone", ZONE);
    let server = Leeward::start(&site.config(&["c.test"], ""));
    let socket = site.path("control.sock");
    let socket = socket.to_str().expect("text");
    let url = format!("http://{}", server.admin);
    for (way, place) in [("--socket", socket), ("--url", url.as_str())] {
        let output = leeward(&["status", way, place]);
        assert!(output.status.success() && text(&output.stdout).contains(&server.dns.to_string()), "{output:?}");
        let output = leeward(&["checks", "--json", way, place]);
        let checks: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(checks["checks"].as_array().map(Vec::len), Some(3), "{checks:#}");
    }
    let output = leeward(&["reload", "--dry-run", "--socket", socket]);
    assert!(output.status.success(), "{output:?}");
    let output = leeward(&["events", "--socket", socket]);
    assert!(text(&output.stdout).contains("zone c.test. serial 1 is served"), "{output:?}");
    let output = leeward(&["reload", "--zone", "nowhere.test", "--socket", socket]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let output = leeward(&["status", "--socket", "/nowhere/control.sock"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("/nowhere/control.sock"), "{output:?}");
    assert_eq!(leeward(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(leeward(&["checkconf", "--config", "/nowhere.toml"]).status.code(), Some(1));
}

#[test]
fn checkconf_says_what_loading_knows_of_programs() {
    let site = Site::new();
    let programs = [
        "a LUA A \"ifportup(80, {'192.0.2.1'}, {selector='hashed', backupSelector='empty'})\"",
        "b LUA A \";local t = {} for i = 1, 2 do t[i] = '192.0.2.' .. i end return t\"",
        "c LUA A \";local x = 1 return pickrandm({'192.0.2.1'})\"",
    ];
    site.write("p.test.zone", &format!("$TTL 60\n@ SOA n.x. h.x. 1 2 3 4 60\n NS n.x.\n{}\n", programs.join("\n")));
    let config = site.config(&["p.test"], "");
    let config = config.to_str().expect("text");
    let shown = text(&leeward(&["checkconf", "--config", config, "--programs"]).stdout);
    for wanted in [
        "p.test.zone:6:30: warning: unknown function `pickrandm`",
        "did you mean `pickrandom`?",
        "program: a.p.test. A: tier plan; calls ifportup; depends on health, client; may be empty\n    checks tcp 192.0.2.1:80",
        "program: b.p.test. A: tier script (a loop); calls nothing; depends on nothing",
        "program: c.p.test. A: tier plan",
    ] {
        assert!(shown.contains(wanted), "{wanted}\n{shown}");
    }
    let json = leeward(&["checkconf", "--config", config, "--programs", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!((&json["programs"][0]["tier"], &json["programs"][0]["line"]), (&"plan".into(), &4.into()));
    assert_eq!(json["programs"][1]["why"], "a loop");
}

#[test]
fn explain_offline_needs_no_server() {
    let site = Site::new();
    site.write("o.test.zone", ZONE);
    let config = site.config(&["o.test"], "");
    let config = config.to_str().expect("text");
    let explain = |more: &[&str]| {
        let output = leeward(&[&["explain", "www.o.test", "A", "--offline", "--config", config, "--json"], more].concat());
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")
    };
    let count = |form: &serde_json::Value| form["answers"].as_array().map(Vec::len);
    assert_eq!(count(&explain(&[])), Some(2));
    assert_eq!(count(&explain(&["--down", "127.9.2.1"])), Some(1));
    let fallen = explain(&["--down", "127.9.2.1:9", "--down", "127.9.2.2"]);
    assert!(fallen["answers"].to_string().contains("127.9.2.3"), "{fallen:#}");
    assert_eq!(count(&explain(&["--assume", "down"])), Some(1), "backupSelector: one of the first group");
    assert!(explain(&["--assume", "unknown"]).to_string().contains("unknown"));
    let output = leeward(&["explain", "www.o.test", "--offline", "--config", config]);
    assert!(text(&output.stdout).starts_with("OFFLINE"), "{output:?}");
}

#[test]
fn tokens_have_roles() {
    let site = Site::new();
    site.write("t.test.zone", ZONE);
    site.write("reader.token", "reader-reader-reader\n");
    site.write("oncall.token", "oncall-oncall-oncall\n");
    let tokens = "[admin.token.reader]\nfile = \"reader.token\"\nrole = \"read\"\n\
                  [admin.token.oncall]\nfile = \"oncall.token\"\nrole = \"operate\"\n";
    let server = Leeward::start(&site.config(&["t.test"], tokens));
    let call = |method: &str, path: &str, token: &str| {
        let header = if token.is_empty() { String::new() } else { format!("Authorization: Bearer {token}\r\n") };
        let (status, body) = http_with(server.admin, method, path, &header);
        if status >= 400 {
            let problem: serde_json::Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
            assert_eq!(problem["status"], status, "{body}");
            assert!(problem["detail"].is_string() && problem["title"].is_string(), "{body}");
        }
        status
    };
    let (reader, oncall) = ("reader-reader-reader", "oncall-oncall-oncall");
    assert_eq!(call("GET", "/livez", ""), 200);
    for (method, path, token, expected) in [
        ("GET", "/api/v1/status", "", 401),
        ("GET", "/api/v1/status", "wrong-wrong-wrong-wrong", 401),
        ("GET", "/metrics", "", 401),
        ("GET", "/api/v1/status", reader, 200),
        ("GET", "/metrics", reader, 200),
        ("POST", "/api/v1/reload", reader, 403),
        ("POST", "/api/v1/reload", oncall, 200),
        ("GET", "/api/v1/nothing", oncall, 404),
        ("PUT", "/api/v1/reload", oncall, 405),
    ] {
        assert_eq!(call(method, path, token), expected, "{method} {path} {token}");
    }
    let url = format!("http://{}", server.admin);
    let token = site.path("reader.token");
    let token = token.to_str().expect("text");
    assert!(leeward(&["status", "--url", &url, "--token-file", token]).status.success());
    assert_eq!(leeward(&["reload", "--url", &url, "--token-file", token]).status.code(), Some(1));
}

/// `Type=notify-reload`: ready when queries are answered, reloading and ready again, stopping; and the watchdog.
#[test]
fn the_service_manager_is_told() {
    let site = Site::new();
    site.write("n.test.zone", ZONE);
    let manager = UnixDatagram::bind(site.path("notify")).expect("a socket");
    manager.set_read_timeout(Some(Duration::from_secs(30))).expect("option");
    let config = site.config(&["n.test"], "");
    let notify = site.path("notify");
    let mut server =
        Leeward::launch_with(&config, &[], &[("NOTIFY_SOCKET", notify.to_str().expect("text")), ("WATCHDOG_USEC", "400000")]);
    let mut seen = Vec::new();
    let mut told = |wanted: &str| {
        wait_for(wanted, || {
            let mut buf = [0; 512];
            let len = manager.recv(&mut buf).ok()?;
            let said = text(&buf[..len]);
            seen.push(said.clone());
            said.contains(wanted).then_some(said)
        })
    };
    told("READY=1");
    server.wait_until_open();
    assert_eq!(server.ask("ns.n.test", RecordType::A).data, ["127.0.0.1"]);
    told("WATCHDOG=1");
    server.signal(Signal::HUP);
    assert!(told("RELOADING=1").contains("MONOTONIC_USEC="));
    told("READY=1");
    server.signal(Signal::TERM);
    told("STOPPING=1");
    assert!(server.child.wait().expect("it ends").success());
}

// -------- alerts and dashboard

/// What the scrape of a plain server does not have, and when one has it.
const NOT_IN_EVERY_SCRAPE: [(&str, &str); 14] = [
    ("leeward_check_reported_weight", "where a program asks targets for their weight"),
    ("leeward_geo_database_build_timestamp_seconds", "with `[geo] databases`"),
    ("leeward_override", "while something is overridden"),
    ("leeward_override_expiry_timestamp_seconds", "while an operator overrides something"),
    ("leeward_overrides_file_refused", "with `[node] overrides_file`"),
    ("leeward_check_suppressed", "of checks that are damped"),
    ("leeward_pool_answers_total", "with `[pool.NAME]`"),
    ("leeward_pool_wanted_share", "with `[pool.NAME]`"),
    ("leeward_peer_messages_rejected_total", "with `[peers]`"),
    ("leeward_peer_up", "with `[peers]`"),
    ("leeward_quorum", "with `[peers]`"),
    ("leeward_notifications_total", "with `[notify.NAME]`"),
    ("leeward_notification_failures_total", "with `[notify.NAME]`"),
    ("leeward_notifications_dropped_total", "with `[notify.NAME]`"),
];

fn deployed(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)).expect("it is there")
}

/// The queries of a dashboard, panel by panel.
fn queries(dashboard: &serde_json::Value) -> Vec<&str> {
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().expect("a query")).collect()
}

/// Every word of a text that begins as the names of our metrics do.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("leeward_")).collect()
}

/// The name of a series, and those of its labels.
fn series(text: &str) -> (&str, BTreeSet<&str>) {
    let name = text.split(['{', ' ']).next().unwrap_or(text);
    let outside_quotes = text[name.len()..].split('"').step_by(2);
    let labels = outside_quotes.filter_map(|piece| piece.strip_suffix('=')).map(|label| label.trim_start_matches(['{', ',']));
    (name, labels.collect())
}

/// An alert over a metric that is not exported, or by a label that it does not have, never fires, and nobody is told.
#[test]
fn alerts_and_dashboard_speak_of_what_is_exported() {
    let site = Site::new();
    site.write("m.test.zone", ZONE);
    let server = Leeward::start(&site.config(&["m.test"], ""));
    let scraped = wait_for("a scrape after a probe", || {
        let (_, text) = server.get("/metrics");
        text.contains("leeward_check_last_run_timestamp_seconds{").then_some(text)
    });
    let samples = scraped.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let exported: BTreeMap<&str, BTreeSet<&str>> = samples.map(series).collect();
    for (name, when) in NOT_IN_EVERY_SCRAPE {
        assert!(!exported.contains_key(name), "{name} was thought to be exported only {when}");
    }
    let excused = |name: &str| NOT_IN_EVERY_SCRAPE.iter().any(|(known, _)| *known == name);

    for file in ["alerts.yml", "alerts_test.yml", "dashboard.json"] {
        let text = deployed(file);
        let names = metrics_in(&text);
        assert!(names.len() > 10, "{file}: {names:?}");
        for name in names {
            assert!(excused(name) || exported.contains_key(name), "{file}: {name} is not exported:\n{scraped}");
        }
    }

    let (alerts, tests) = (deployed("alerts.yml"), deployed("alerts_test.yml"));
    let inputs = tests.lines().filter_map(|line| line.split("series: '").nth(1)?.split('\'').next()).map(series);
    for (name, mut labels) in inputs.filter(|(name, _)| name.starts_with("leeward_") && !excused(name)) {
        assert!(labels.remove("job") && labels.remove("instance"), "{name}: Prometheus adds these");
        assert_eq!(Some(&labels), exported.get(name), "alerts_test.yml: the labels of {name}");
    }
    for name in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let fires = format!("alertname=\"{name}\",alertstate=\"firing\"");
        assert!(tests.contains(&fires), "alerts_test.yml has no case in which {name} fires");
    }
}

#[test]
fn the_dashboard_explains_itself() {
    let dashboard: serde_json::Value = serde_json::from_str(&deployed("dashboard.json")).expect("JSON");
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        assert!(ids.insert(panel["id"].as_u64().expect("a number")), "twice: {}", panel["id"]);
        if panel["type"] != "row" {
            assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{}", panel["title"]);
            assert_eq!(panel["datasource"]["uid"], "${DS_PROMETHEUS}", "{}", panel["title"]);
        }
    }
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let variables: Vec<&str> = variables.iter().filter_map(|variable| variable["name"].as_str()).collect();
    assert_eq!(variables, ["DS_PROMETHEUS", "node", "zone"]);
    for query in queries(&dashboard) {
        assert!(query.contains("instance=~\"$node\""), "not of the chosen nodes: {query}");
    }
}

#[test]
fn promtool_passes_the_alerts_and_the_queries_of_the_dashboard() {
    if !has("promtool") {
        return;
    }
    let promtool = |args: &[&str]| {
        let output = command("promtool").args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("it runs");
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success() && said.contains("SUCCESS"), "promtool {args:?}: {said}");
    };
    promtool(&["check", "rules", "deploy/alerts.yml"]);
    promtool(&["test", "rules", "deploy/alerts_test.yml"]);
    // promtool reads queries in rules only; JSON is YAML.
    let dashboard: serde_json::Value = serde_json::from_str(&deployed("dashboard.json")).expect("JSON");
    let recorded = queries(&dashboard).into_iter().enumerate().map(|(number, query)| {
        let query = query.replace("$__rate_interval", "5m");
        serde_json::json!({ "record": format!("dashboard:query:{number}"), "expr": query })
    });
    let rules = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": recorded.collect::<Vec<_>>() }] });
    let site = Site::new();
    let rules = site.write("queries.yml", &rules.to_string());
    promtool(&["check", "rules", rules.to_str().expect("text")]);
}

#[test]
fn the_program_that_asks_for_one_check_too_many_is_named() {
    let site = Site::new();
    let zone = |hosts: &str| {
        format!(
            "$TTL 5\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n\
             one LUA A \"ifportup(1, {{'127.0.0.1', '127.0.0.2'}})\"\ntwo LUA A \"ifportup(1, {{{hosts}}})\"\n"
        )
    };
    site.write("gslb.test.zone", &zone("'127.0.0.2'"));
    let config = site.config(&["gslb.test"], "[prober]\nmax_checks = 2\n");
    let checked = || {
        let output = leeward(&["checkconf", "--config", &config.display().to_string()]);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(checked().0, Some(0), "what two ask for counts once");
    let server = Leeward::start(&config);
    site.write("gslb.test.zone", &zone("'127.0.0.3'"));
    let (code, text) = checked();
    let told = "gslb.test.zone:6:1: error: with the targets of this program there are more than 2 checks";
    assert!(code == Some(1) && text.contains(told), "{text}");
    let socket = config.with_file_name("control.sock").display().to_string();
    let output = leeward(&["reload", "--socket", &socket]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && text.contains(told), "{text}");
    // One in the place of another is none too many.
    site.write("gslb.test.zone", &zone("'127.0.0.2'").replace("127.0.0.1'", "127.0.0.9'").replace("1 3600", "2 3600"));
    let output = leeward(&["reload", "--accept", "check_regression", "--socket", &socket]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    drop(server);
}
