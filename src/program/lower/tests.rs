//! Programs and what is said about them: tables of code → members, checks, findings.

use super::super::{CODE_MAX, Compiled, Defaults, Program, Severity, compile};
use crate::target::{CheckKind, HttpCheck};

fn run(code: &str) -> Compiled {
    compile(code, &Defaults::default())
}

fn program(code: &str) -> Program {
    let compiled = run(code);
    compiled.program.unwrap_or_else(|| panic!("{code}: {:#?}", compiled.findings))
}

/// Findings as `E offset message` and `W offset message`.
fn findings(code: &str) -> Vec<String> {
    let compiled = run(code);
    let errors = compiled.findings.iter().any(|finding| finding.severity == Severity::Error);
    assert_eq!(compiled.program.is_none(), errors, "{code}");
    let line = |finding: super::Finding| {
        assert!(!finding.remedy.is_empty() && finding.offset <= code.len());
        format!("{} {} {}", if finding.severity == Severity::Error { 'E' } else { 'W' }, finding.offset, finding.message)
    };
    compiled.findings.into_iter().map(line).collect()
}

fn check_findings(cases: &[(&str, &[&str])]) {
    for (code, wanted) in cases {
        assert_eq!(findings(code), *wanted, "{code}");
    }
}

/// Each check as `address:port timeout/interval/fall`.
fn checks(code: &str) -> Vec<String> {
    let line = |check: &super::CheckRequest| {
        let (spec, judgement) = (&check.spec, check.judgement);
        assert_eq!(judgement.rise, 1);
        let (timeout, interval) = (spec.timeout.as_secs(), check.interval.as_secs());
        format!("{} {timeout}/{interval}/{}", spec.target(), judgement.fall)
    };
    program(code).checks().iter().map(line).collect()
}

#[test]
fn constants_become_members() {
    let cases: [(&str, &[&str]); 12] = [
        ("'192.0.2.1'", &["192.0.2.1"]),
        ("42", &["42"]),
        ("1.5", &["1.5"]),
        ("-1", &["-1"]),
        (";return 'a'", &["a"]),
        ("{'a','b','a'}", &["a", "b"]),
        ("{'a', 2, nil, 'd'}", &["a", "2", "d"]),
        ("{[9]='n', [5]='f'}", &["f", "n"]),
        ("{['2']='b', [1]='a'}", &["a", "b"]),
        ("{[1]='lost', 'kept'}", &["kept"]),
        ("{}", &[]),
        ("''", &[""]),
    ];
    for (code, members) in cases {
        let program = program(code);
        assert_eq!(program.members().iter().map(AsRef::as_ref).collect::<Vec<&str>>(), members, "{code}");
        assert_eq!(program.checks(), [], "{code}");
        assert_eq!(findings(code), [""; 0]);
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    check_findings(&[
        ("nil", &["E 0 nil is not an answer"]),
        ("true", &["E 0 a boolean is not an answer"]),
        ("{a='x'}", &["E 1 the answer has a key that is not an integer"]),
        ("{[1.5]='x'}", &["E 2 the answer has a key that is not an integer"]),
        ("{[true]='x'}", &["E 2 a key of the answer must be an integer, not a boolean"]),
        (
            "{'a', true, {}, 'b', false}",
            &[
                "E 6 an element of the answer must be a string, not a boolean",
                "E 12 an element of the answer must be a string, not a table",
                "E 21 an element of the answer must be a string, not a boolean",
            ],
        ),
        (r"'\255'", &["E 0 the answer holds octets that are not UTF-8"]),
    ]);
}

#[test]
fn what_is_outside_is_named() {
    let outside = |what: &str, at: usize| format!("E {at} {what} is outside the expressions that this release runs");
    let cases = [
        ("qname", 0, "the variable `qname`"),
        ("{'a', bestwho}", 6, "the variable `bestwho`"),
        ("tostring(1)", 0, "the Lua function `tostring`"),
        ("os.time()", 2, "the field access `.time`"),
        ("qname:toString()", 5, "the method call `:toString`"),
        ("'a' .. 'b'", 4, "the operator `..`"),
        ("{pickrandom({'a'})}", 1, "a call of `pickrandom` as an element of the answer"),
        (";if country('US') then return 'a' end", 1, "a statement that begins with `if`"),
    ];
    for (code, at, what) in cases {
        assert_eq!(findings(code), [outside(what, at)], "{code}");
    }
    check_findings(&[
        ("pickclosest({'1.2.3.4'})", &["E 0 function `pickclosest` is not in this release"]),
        ("view({})", &["W 5 `view` of an empty list always fails"]),
        ("view({{'10.0.0.0/8', {'1.2.3.4'}}})", &["E 7 the networks of `view` must be a table, not a string"]),
        ("view({{{'10.0.0.0/8'}}})", &["E 6 a pair of `view` must hold a list of networks and a list of values"]),
        ("view({{{'10.0.0.0/8'}, {'1.2.3.4'}, 3}})", &["W 36 a pair of `view` holds more than two lists"]),
        ("view({{{'10.0.0.1/8'}, {'1.2.3.4'}}})", &["W 8 `10.0.0.1/8` has bits set beyond its length"]),
        ("view({{{'10.0.0.0/33'}, {'1.2.3.4'}}})", &["E 8 `10.0.0.0/33` is no network: the prefix is longer than its address"]),
        ("view({{{'10.0.0.0/8'}, {}}})", &["W 23 a pair of `view` without values: its clients get SERVFAIL"]),
        ("{country('US')}", &["E 1 function `country` is not in this release"]),
        ("ifportup", &["E 0 function `ifportup` where a value must stand"]),
        ("ifportupp(80, {})", &["E 0 unknown function `ifportupp`"]),
    ]);
    assert_eq!(run("ifportupp(80, {})").findings[0].remedy, "did you mean `ifportup`?");
    assert!(run("frobnicate()").findings[0].remedy.starts_with("use one of ifportup, "));
}

#[test]
fn every_later_function_is_known() {
    let later = [
        "ifurlextup",
        "pickselfweighted",
        "pickrandomsample",
        "pickchashed",
        "netmask",
        "include",
        "dblookup",
        "resolve",
        "asnum",
        "country",
        "continent",
        "region",
        "countryCode",
        "continentCode",
        "regionCode",
        "geoiplookup",
        "latlon",
        "latlonloc",
        "pickclosest",
        "closestMagic",
        "latlonMagic",
        "createReverse",
        "createReverse6",
        "createForward",
        "createForward6",
        "filterForward",
    ];
    for name in later {
        assert_eq!(findings(&format!("{name}()")), [format!("E 0 function `{name}` is not in this release")]);
    }
}

#[test]
fn ports_follow_the_rules() {
    let cases: [(&str, &[&str]); 6] = [
        ("ifportup(443, {'192.0.2.1', '2001:DB8::1'})", &["192.0.2.1:443 2/5/1", "[2001:db8::1]:443 2/5/1"]),
        ("ifportup('0x50', {'192.0.2.1'})", &["192.0.2.1:80 2/5/1"]),
        (
            "ifportup(443, {'192.0.2.1:8443', '[::1]:99', '192.0.2.2:0'})",
            &["192.0.2.1:8443 2/5/1", "[::1]:99 2/5/1", "192.0.2.2:443 2/5/1"],
        ),
        ("ifportup(1, {{'192.0.2.1'}, {'192.0.2.2', '192.0.2.1'}})", &["192.0.2.1:1 2/5/1", "192.0.2.2:1 2/5/1"]),
        ("ifportup(1, {'1'}, nil)", &["0.0.0.1:1 2/5/1"]),
        ("ifportup(70000, {'192.0.2.1'})", &["192.0.2.1:65535 2/5/1"]),
    ];
    for (code, wanted) in cases {
        assert_eq!(checks(code), wanted, "{code}");
    }
    assert_eq!(program("ifportup(443, {'192.0.2.1:8443', '2001:DB8::1'})").members(), ["192.0.2.1".into(), "2001:db8::1".into()]);
    check_findings(&[
        ("ifportup(70000, {'192.0.2.1'})", &["W 9 the port 70000 counts as 65535"]),
        ("ifportup(-1, {'192.0.2.1'})", &["W 9 the port -1 counts as 0"]),
        ("ifportup(80.5, {'192.0.2.1'})", &["W 9 the port 80.5 counts as 80"]),
        ("ifportup('http', {'192.0.2.1'})", &["E 9 the port is not a number"]),
        ("ifportup({}, {'192.0.2.1'})", &["E 9 the port must be a number, not a table"]),
    ]);
}

#[test]
fn addresses_are_all_checked() {
    check_findings(&[
        (
            "ifportup(80, {'a', '192.0.2.1', 'b', 5})",
            &["E 14 `a` is not an address", "E 32 `b` is not an address", "W 37 `5` is read as 0.0.0.5"],
        ),
        ("ifportup(80, {})", &["W 13 `ifportup` of an empty list always fails"]),
        ("ifportup(80, {{}, {}})", &["W 13 `ifportup` of an empty list always fails"]),
        ("ifportup(80, {{}, {'192.0.2.1'}})", &[]),
        (
            "ifportup(80, {'192.0.2.1', {'192.0.2.2', 'x'}})",
            &["E 27 addresses and groups of addresses in one list", "E 41 `x` is not an address"],
        ),
        ("ifportup(80, {true})", &["E 14 an address must be a string, not a boolean"]),
        ("ifportup(80, '192.0.2.1')", &["E 13 the addresses of `ifportup` must be a table, not a string"]),
        (
            "ifportup(80, {[2]='192.0.2.1'})",
            &["E 13 the addresses of `ifportup` with keys other than 1 to 1 is not in this release"],
        ),
        ("ifportup(80, {[2]='192.0.2.2', [1]='192.0.2.1'})", &[]),
    ]);
}

#[test]
fn arity_is_checked() {
    check_findings(&[
        ("ifportup()", &["E 0 `ifportup` takes 2 or 3 arguments, 0 given"]),
        ("ifportup(80)", &["E 0 `ifportup` takes 2 or 3 arguments, 1 given"]),
        ("ifportup(80, {'x'}, {}, 4)", &["E 14 `x` is not an address", "E 24 `ifportup` takes 2 or 3 arguments, 4 given"]),
        ("pickrandom({'a'}, {'b'})", &["E 18 `pickrandom` takes 1 argument, 2 given"]),
        ("all()", &["E 0 `all` takes 1 argument, 0 given"]),
        ("pickwhashed()", &["E 0 `pickwhashed` takes 1 argument, 0 given"]),
    ]);
}

#[test]
fn options_set_checks_and_complain() {
    let with = |options: &str| format!("ifportup(80, {{'192.0.2.1'}}, {options})");
    for (options, wanted) in [
        ("{}", "192.0.2.1:80 2/5/1"),
        ("{timeout=3, interval='10', minimumFailures=4}", "192.0.2.1:80 3/10/4"),
        ("{timeout='7s', minimumFailures=0}", "192.0.2.1:80 7/5/1"),
        ("{timeout='1.9x', interval=0}", "192.0.2.1:80 1/1/1"),
        ("{timeout=nil, ['interval']=3}", "192.0.2.1:80 2/3/1"),
    ] {
        assert_eq!(checks(&with(options)), [wanted], "{options}");
    }
    let cases: [(&str, &[&str]); 24] = [
        ("{selector='all', backupSelector='empty'}", &[]),
        ("{selector='hashed', backupSelector='random'}", &[]),
        ("{selector='first'}", &["W 38 the unknown selector `first` counts as `random`"]),
        ("{backupSelector='pickclosest'}", &["E 44 the backupSelector `pickclosest` is not in this release"]),
        ("{timeout=0}", &["W 37 the timeout of 0 seconds counts as 1"]),
        ("{timeout='2s'}", &["W 37 the option `timeout` is `2s`, of which 2 counts"]),
        ("{timeout='x'}", &["E 37 the option `timeout` is `x`, not a number"]),
        ("{timeout=3601}", &["E 37 the option `timeout` is 3601"]),
        ("{timeout=3600, interval=86400}", &[]),
        ("{interval=86401}", &["E 38 the option `interval` is 86401"]),
        ("{interval=-1}", &["E 38 the option `interval` is -1"]),
        ("{minimumFailures=65536}", &["E 45 the option `minimumFailures` is 65536"]),
        ("{selector=true}", &["E 38 the option `selector` has a boolean as value, which rejects the whole table"]),
        ("{whatever=true}", &["E 38 the option `whatever` has a boolean as value, which rejects the whole table"]),
        ("{selector={}}", &["E 38 the option `selector` must be a string, not a table"]),
        ("{Selector='all'}", &["W 29 the unknown option `Selector` is ignored"]),
        ("{'all'}", &["W 29 the unknown option `1` is ignored"]),
        ("{stringmatch='x'}", &["W 29 `ifportup` ignores the option `stringmatch`"]),
        ("{failOnIncompleteCheck='true'}", &[]),
        ("{failOnIncompleteCheck='yes'}", &["W 51 the option `failOnIncompleteCheck` is `yes`, which counts as off"]),
        (
            "{failOnIncompleteCheck=true}",
            &["E 51 the option `failOnIncompleteCheck` has a boolean as value, which rejects the whole table"],
        ),
        ("{selector='all', selector='empty'}", &["W 45 the option `selector` is given twice"]),
        ("'all'", &["E 28 the third argument of `ifportup` must be a table of options, not a string"]),
        ("{selector=x}", &["E 38 the variable `x` is outside the expressions that this release runs"]),
    ];
    for (options, wanted) in cases {
        assert_eq!(findings(&with(options)), wanted, "{options}");
    }
    assert_eq!(run(&with("{backupselector='all'}")).findings[0].remedy, "did you mean `backupSelector`?");
    assert_eq!(run(&with("{selector='hashd'}")).findings[0].remedy, "did you mean `hashed`?");
}

#[test]
fn unset_options_take_the_defaults() {
    let defaults = Defaults { interval: std::time::Duration::from_secs(9), timeout: std::time::Duration::from_millis(1500) };
    let program = compile("ifportup(80, {'192.0.2.1'})", &defaults).program.unwrap();
    let check = &program.checks()[0];
    assert_eq!((check.interval, check.spec.timeout), (defaults.interval, defaults.timeout));
}

fn http(code: &str) -> (String, HttpCheck) {
    let program = program(code);
    let spec = &program.checks()[0].spec;
    match &spec.kind {
        CheckKind::Http(http) => (format!("{} {}", http.url(spec.port), spec.target()), HttpCheck::clone(http)),
        CheckKind::Tcp => panic!("{code}"),
    }
}

#[test]
fn urls_become_checks() {
    for (url, wanted) in [
        ("http://www.example.com", "http://www.example.com/ 192.0.2.1:80"),
        ("https://WWW.example.com/health?a=1#top", "https://www.example.com/health?a=1 192.0.2.1:443"),
        ("https://www.example.com:8443/x", "https://www.example.com:8443/x 192.0.2.1:8443"),
        ("http://www.example.com?x", "http://www.example.com/?x 192.0.2.1:80"),
        ("http://[2001:db8::1]:8080/", "http://[2001:db8::1]:8080/ 192.0.2.1:8080"),
    ] {
        assert_eq!(http(&format!("ifurlup('{url}', {{'192.0.2.1'}})")).0, wanted);
    }
    let (_, check) = http("ifurlup('http://x/', {'192.0.2.1'})");
    assert_eq!((check.status, &*check.user_agent, check.body), (200, "PowerDNS Authoritative Server", None));
    let (_, check) = http("ifurlup('http://x/', {'192.0.2.1'}, {httpcode='204', useragent='me', stringmatch='ok'})");
    assert_eq!((check.status, &*check.user_agent, check.body.as_deref()), (204, "me", Some("ok")));
}

#[test]
fn bad_urls_are_refused() {
    check_findings(&[
        ("ifurlup('ftp://x/', {'192.0.2.1'})", &["E 8 the URL's scheme is `ftp`, not http or https"]),
        ("ifurlup('x', {'y'})", &["E 8 `x` is not a URL: relative URL without a base", "E 14 `y` is not an address"]),
        ("ifurlup('http://u:p@x/', {'192.0.2.1'})", &["E 8 the URL holds a user name or password"]),
        ("ifurlup('http://x/', {'192.0.2.1:80'})", &[]),
        ("ifurlup('http://x/', {'192.0.2.1:81'})", &["W 22 the address's own port is ignored, the URL's is 80"]),
        ("ifurlup({}, {'192.0.2.1'})", &["E 8 the URL must be a string, not a table"]),
        ("ifurlup('http://x/', {'192.0.2.1'}, {httpcode=99})", &["E 46 the option `httpcode` is 99"]),
        ("ifurlup('http://x/', {'192.0.2.1'}, {useragent='a\\nb'})", &["E 47 the option `useragent` holds control characters"]),
    ]);
}

#[test]
fn weights_are_all_checked() {
    check_findings(&[
        ("pickwhashed({{15,'a'},{'42','b'}})", &[]),
        ("pickwrandom({{1.5,'a'}})", &["W 14 the weight `1.5` counts as 1"]),
        (
            "picknamehashed({{0,'a'},{-1,'b'},{'x','c'},{1},{},'d',{1,true}})",
            &[
                "E 17 the weight `0` is not positive",
                "E 25 the weight `-1` is not positive",
                "E 34 the weight `x` is not a number",
                "E 43 a weighted item must hold a weight and a value",
                "E 47 a weighted item must hold a weight and a value",
                "E 50 a weighted item must be a table, not a string",
                "E 57 the value of a weighted item must be a string, not a boolean",
            ],
        ),
        ("pickwhashed({{1,'a','b'}})", &["W 20 a weighted item holds more than a weight and a value"]),
        ("pickwhashed({})", &["W 12 `pickwhashed` of an empty list always fails"]),
        ("pickwhashed({{4294967296,'a'}})", &["E 14 the weight `4294967296` is above 4294967295"]),
        ("pickwhashed({{4294967295,'a'}})", &[]),
        ("pickwhashed({{4294967295,'a'},{1,'b'}})", &["E 12 the weights add up to more than 4294967295"]),
        ("pickwhashed({{1,'a'}, nil, {1,'b'}})", &["E 12 the list of `pickwhashed` with gaps is not in this release"]),
        ("pickwhashed({[5]={1,'a'}})", &["E 12 the list of `pickwhashed` with keys other than 1 to 1 is not in this release"]),
        ("pickwhashed({[1]={1,'a'}})", &[]),
        (
            "pickwhashed(all({'a'}))",
            &["E 12 a call of `all` as the list of `pickwhashed` is outside the expressions that this release runs"],
        ),
    ]);
}

#[test]
fn pickers_take_lists() {
    check_findings(&[
        ("pickrandom({'a'})", &[]),
        ("pickrandom(ifurlup('http://x/', {'192.0.2.1'}, {selector='all'}))", &[]),
        ("all(all({'a'}))", &[]),
        ("pickhashed(pickrandom({'a'}))", &["E 11 `pickrandom` returns one string, and the list of `pickhashed` must be a list"]),
        ("pickrandom({})", &["W 11 `pickrandom` of an empty list always fails"]),
        ("pickrandom('a')", &["E 11 the list of `pickrandom` must be a table, not a string"]),
        ("pickrandom({[5]='a', [9]='b'})", &[]),
        ("pickhashed({[5]='a', [9]='b'})", &["E 11 the list of `pickhashed` with keys other than 1 to 2 is not in this release"]),
        ("pickhashed({'a', nil, 'b'})", &[]),
        (
            "all({'a', {}, x})",
            &[
                "E 10 an element of the list of `all` must be a string, not a table",
                "E 14 the variable `x` is outside the expressions that this release runs",
            ],
        ),
    ]);
}

#[test]
fn sizes_are_bounded() {
    let list = |count: usize| format!("pickrandom({{{}}})", "1,".repeat(count));
    assert_eq!(findings(&list(4096)), [""; 0]);
    assert_eq!(findings(&list(4097)), ["E 11 a list of 4097 elements, and 4096 are the most"]);
    assert_eq!(findings(&"x".repeat(CODE_MAX + 1)), ["E 65536 the code is 65537 octets long and may be 65536"]);
    let url = format!("ifurlup('http://x/{}', {{'192.0.2.1'}})", "x".repeat(3000));
    assert_eq!(findings(&url), ["E 8 the URL is longer than 2048 octets"]);
    assert_eq!(findings(&format!("{}1{}", "{".repeat(70), "}".repeat(70))), ["E 64 more than 64 levels of nesting"]);
}

#[test]
fn findings_of_all_parts_come_together_by_place() {
    let code = "ifurlup('gopher://x', {'a', 'b'}, {selector=true, bogus=1, timeout='x', source=2, httpcode=7})";
    assert_eq!(
        findings(code),
        [
            "E 8 the URL's scheme is `gopher`, not http or https",
            "E 23 `a` is not an address",
            "E 28 `b` is not an address",
            "E 44 the option `selector` has a boolean as value, which rejects the whole table",
            "W 50 the unknown option `bogus` is ignored",
            "E 67 the option `timeout` is `x`, not a number",
            "E 79 the option `source` is `2`, not an address",
            "E 91 the option `httpcode` is 7",
        ]
    );
}
