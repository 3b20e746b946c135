//! `[pool.NAME]`, good and bad.

use std::time::Duration;

use super::*;
use crate::target::{CheckKind, Failback, Pool, Select, Share, WhenNoneUp};

const MEMBER: &str = "[[pool.p.member]]\nname = \"a\"\naddresses = [\"192.0.2.1\"]\n";

fn pool(text: &str) -> Pool {
    let text = format!("{text}\n[zone.z]\nfile = \"z\"\n");
    let place = Place::with(&[("leeward.toml", &text)]);
    assert_eq!(place.findings(), "");
    Pool::clone(place.config().answering.checks.pools.get("p").expect("a pool"))
}

#[test]
fn what_is_not_said_of_a_pool() {
    let of = |select: &str| pool(&format!("[pool.p]\nport = 80\nselect = \"{select}\"\n{MEMBER}"));
    let all = pool(&format!("[pool.p]\nport = 80\n{MEMBER}"));
    assert_eq!((all.select, all.answers, all.min_up), (Select::All, None, Share::Count(1)));
    assert_eq!((all.when_none_up, all.max_withdraw), (WhenNoneUp::All, Share::Percent(50)));
    assert_eq!((all.slow_start, all.failback), (Duration::ZERO, Failback::After(Duration::ZERO)));
    assert_eq!((all.ttl, all.ttl_min), (None, 10));
    let face = &all.members[0].faces[0];
    assert!(matches!(face.check.spec.kind, CheckKind::Tcp) && face.check.spec.port == 80);
    assert_eq!((face.check.judgement.fall, face.check.interval), (3, Duration::from_secs(5)), "as [health] says");
    for (select, answers, slow_start) in [
        ("first", Some(1), 0),
        ("random", Some(1), 120),
        ("weighted", Some(1), 120),
        ("hashed", Some(1), 0),
        ("chashed", Some(1), 0),
        ("closest", Some(1), 0),
        ("closest:3", Some(3), 0),
    ] {
        let pool = of(select);
        assert_eq!((pool.answers, pool.slow_start.as_secs()), (answers, slow_start), "{select}");
    }
    let two =
        format!("[pool.p]\nport = 80\nselect = \"first\"\n{MEMBER}{}", MEMBER.replace("\"a\"", "\"b\"").replace(".1\"", ".2\""));
    assert_eq!(pool(&two).failback, Failback::After(Duration::from_secs(300)));
}

#[test]
fn all_that_a_pool_can_say() {
    let text = r#"
        [site.eu]
        [check.web]
        kind = "http"
        port = 8080
        [pool.other]
        port = 1
        when_none_up = ["192.0.2.99", "sorry.example"]
        [[pool.other.member]]
        name = "x"
        addresses = ["192.0.2.3"]
        [pool.p]
        check = "web"
        select = "weighted"
        answers = 2
        min_up = "50%"
        max_withdraw = 1
        when_none_up = "pool:other"
        slow_start = "5m"
        failback_after = "manual"
        ttl = 20
        ttl_min = 5
        alpn = ["h2", "h3"]
        [[pool.p.member]]
        name = "late"
        level = 1
        site = "eu"
        addresses = ["2001:db8::1", "192.0.2.1"]
        host = "late.example."
        port = 443
        weight = 7
        [[pool.p.member]]
        name = "early"
        addresses = ["192.0.2.2"]
        host = "early.example"
    "#;
    let pool = pool(text);
    assert_eq!((pool.answers, pool.min_up, pool.max_withdraw), (Some(2), Share::Percent(50), Share::Count(1)));
    assert_eq!((pool.when_none_up, pool.failback), (WhenNoneUp::Pool("other".into()), Failback::Manual));
    assert_eq!((pool.ttl, pool.ttl_min, pool.slow_start.as_secs(), pool.alpn.len()), (Some(20), 5, 300, 2));
    let names: Vec<_> = pool.members.iter().map(|member| (&*member.name, member.host.as_deref().unwrap())).collect();
    assert_eq!(names, [("early", "early.example."), ("late", "late.example.")], "by level");
    let late = &pool.members[1];
    assert_eq!((late.weight, late.port, late.site.as_deref(), late.faces.len()), (7, Some(443), Some("eu"), 2));
    let probe = late.faces[0].check.spec.to_string();
    assert!(probe.contains("8080") && probe.contains("2001:db8::1"), "{probe}");
}

/// A `host` without addresses is looked up, and asked by the same check as addresses would be.
#[test]
fn members_may_be_names() {
    let member = "[[pool.p.member]]\nname = \"a\"\nhost = \"lb.example.net\"\n";
    let check = "[check.web]\nkind = \"http\"\nport = 8080\n";
    for (pool_says, port) in [("port = 80", 80), ("check = \"web\"", 8080)] {
        let pool = pool(&format!("{check}[pool.p]\n{pool_says}\n{member}"));
        let member = &pool.members[0];
        assert!(member.faces.is_empty() && member.is_unresolved() && member.host.as_deref() == Some("lb.example.net."));
        let request = member.hosted.as_ref().and_then(|hosted| hosted.check.request([192, 0, 2, 1].into(), hosted.port));
        assert_eq!(request.map(|request| request.spec.port), Some(port));
    }
    let written = pool("[pool.p]\nport = 80\n[[pool.p.member]]\nname = \"a\"\nhost = \"x.test\"\naddresses = [\"192.0.2.1\"]\n");
    assert!(written.members[0].hosted.is_none(), "then the name is for records that lead to names");
    finds(
        "[pool.p]\n[[pool.p.member]]\nname = \"a\"\nhost = \"lb.example.net\"\n[[pool.p.member]]\nname = \"b\"\n[zone.z]\nfile = \"z\"\n",
        r#"
leeward.toml:4:8: error: nothing says at which port the addresses of lb.example.net. are probed; write `port` or `check`, here or in the pool
leeward.toml:5:1: error: `[pool.p.member] addresses` is missing; write ["192.0.2.1", "2001:db8::1"], or a `host` whose addresses are looked up
"#,
    );
}

#[test]
fn what_is_wrong_with_pools_is_found_at_once() {
    finds(
        r#"[site.eu-1]
[geo.map.clients]
default = ["eu-1"]
[check.web]
kind = "tcp"
[pool."a b"]
port = 80
[[pool."a b".member]]
name = "x"
addresses = ["192.0.2.1"]
[pool.c]
select = "mapp"
check = "wep"
answers = 0
min_up = "0%"
when_none_up = "pool:d"
slow_start = "10s"
colour = "red"
[[pool.c.member]]
name = "x"
site = "eu-2"
addresses = ["169.254.1.1", "192.0.2.300"]
weight = -1
host = "a..b"
[[pool.c.member]]
name = "x"
addresses = []
[pool.e]
port = 80
select = "map"
map = "clint"
when_none_up = "pool:f"
[[pool.e.member]]
addresses = ["192.0.2.1"]
[pool.f]
port = 80
when_none_up = "pool:e"
min_up = 2
ttl = 5
ttl_min = 9
[[pool.f.member]]
name = "x"
addresses = ["192.0.2.1"]
weight = 2
"#,
        r#"
leeward.toml:6:7: error: `a b` is no name for a pool; write letters, digits, `-`, `_` and `.`, at most 63 of them, the first a letter or digit
leeward.toml:12:10: error: `[pool.c] select` is "mapp": no way to choose; write one of "all", "first", "random", "weighted", "hashed", "chashed", "closest", "region-then-rest", "map"
leeward.toml:13:9: error: there is no check `wep`; did you mean `web`?
leeward.toml:14:11: error: `[pool.c] answers` is no number of members; write how many members an answer has at most, or "all"
leeward.toml:15:10: error: `[pool.c] min_up` is no number of members and no share of them; write a number such as 2, or a share such as "50%"
leeward.toml:16:16: error: `[pool.c] when_none_up` names the pool `d`, which there is not; write [pool.d]
leeward.toml:17:14: error: `[pool.c] slow_start` means nothing with select = "all"; remove it: there are no shares that could grow
leeward.toml:18:1: error: unknown key `[pool.c] colour`; the keys here are map, select, check, port, answers, min_up, max_withdraw, ttl, ttl_min, slow_start, when_none_up, alpn, member, failback_after
leeward.toml:21:8: error: there is no site `eu-2`; did you mean `eu-1`?
leeward.toml:22:13: error: the address 169.254.1.1 may not be probed: it lies in `[prober] deny`; take it out, or change `[prober]`
leeward.toml:22:13: error: nothing says at which port 169.254.1.1 is probed; write `port` or `check`, here or in the pool
leeward.toml:22:29: error: `[pool.c.member] addresses` holds "192.0.2.300": no address; write ["192.0.2.1", "2001:db8::1"]
leeward.toml:23:10: error: `[pool.c.member] weight` is -1, which is out of range; write a number from 0 to 10000
leeward.toml:24:8: error: `[pool.c.member] host` is "a..b": no name; write a name such as "eu-1.example.net"
leeward.toml:25:1: error: a second member is called `x`; give each its own name
leeward.toml:27:13: error: `[pool.c.member] addresses` holds 0 addresses; write 1 to 64
leeward.toml:28:7: error: the fallback of the pool `e` leads back to it; let `when_none_up` of one of them name no pool
leeward.toml:31:7: error: there is no map `clint`; did you mean `clients`?
leeward.toml:33:1: error: `[pool.e.member] name` is missing; write a name of your own, such as "eu-1"
leeward.toml:35:7: warning: the weight of the member `x` means nothing with select = "all"; write select = "weighted", or remove it
leeward.toml:35:7: error: level 0 has 1 members, and `min_up` asks for more; lower it, write a share such as "50%", or add members
leeward.toml:40:11: error: `[pool.f] ttl_min` is above `ttl`; lower it, or raise `ttl`
"#,
    );
}
