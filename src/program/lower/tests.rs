//! Programs and what is said about them: tables of code → members, checks, findings.

use super::super::{CODE_MAX, Compiled, Defaults, Program, Settings, Severity, Tier, compile};
use crate::target::{CheckKind, Codes, HttpCheck};

fn run(code: &str) -> Compiled {
    compile(code, &Settings { defaults: Defaults::default(), step_limit: 1000, shared: false })
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
    let seen: Vec<(&str, Vec<String>)> = cases.iter().map(|(code, _)| (*code, findings(code))).collect();
    let wanted: Vec<(&str, Vec<String>)> =
        cases.iter().map(|(code, wanted)| (*code, wanted.iter().map(ToString::to_string).collect())).collect();
    assert_eq!(seen, wanted);
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
    let cases: [(&str, &[&str]); 13] = [
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
        ("{'lost', [1]='kept'}", &["kept"]),
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
        ("nil", &["E 0 the answer must be a string, not nil"]),
        ("true", &["E 0 the answer must be a string, not a boolean"]),
        ("{a='x'}", &["E 1 the answer has a key that is not an integer"]),
        ("{[1.5]='x', ['a']='y'}", &["E 13 the answer has a key that is not an integer"]),
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

/// What is beyond the allowance is evaluated by runs, and means the same.
#[test]
fn constants_are_bounded() {
    let text = ";local a = 'xxxxxxxxxxxxxxxx' ".to_owned() + &"local a = a .. a ".repeat(14) + "return a";
    assert_eq!(program(&text).tier(), Tier::Plan);
    assert!(program(&text).members().iter().all(|member| member.len() <= 64 << 10));
    let list = ";local a = {'x'} ".to_owned() + &"local a = {a, a} ".repeat(30) + "return 'y'";
    assert_eq!(program(&list).members().len(), 1);
    let deep = format!("local a = {}a{} ", "{".repeat(60), "}".repeat(60));
    assert_eq!(program(&(";local a = {} ".to_owned() + &deep.repeat(150) + "return 'y'")).tier(), Tier::Script);
    let elements = format!(";local t = {{{}}} return {{{}}}", "'x',".repeat(4000), "t[4000],".repeat(4000));
    assert_eq!(program(&elements).members().iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["x"]);
    let nested = ";local t = {{'a', k = 'b', [1] = 'c'}, ['x'] = {[2] = 'd'}} return {t[1][1], t[1].k, t['x'][2], t.x[3]}";
    assert_eq!(program(nested).members().iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["c", "b", "d"]);
}

/// Of several arms a run takes one.
#[test]
fn steps_are_those_of_the_longest_arm() {
    let arm = |count: usize| "pdnslog(qname:toString()) ".repeat(count);
    let arms = |count: usize| {
        format!(";if tcp then {} end return 'x'", (0..count).map(|_| arm(50)).collect::<Vec<_>>().join("elseif tcp then "))
    };
    assert_eq!(findings(&arms(40)), [""; 0]);
    let long = format!(";if tcp then {} end return 'x'", arm(400));
    assert!(findings(&long)[0].contains("steps, more than"), "{:?}", findings(&long));
}

#[test]
fn weights_that_are_added_up_fit() {
    let code =
        |selector: &str| format!("ifportup(1, {{{{4294967295, '10.0.0.1'}}, {{1, '10.0.0.2'}}}}, {{selector='{selector}'}})");
    for selector in ["wrandom", "whashed", "namehashed"] {
        assert_eq!(findings(&code(selector)), ["E 12 the weights of a group add up to more than 4294967295"], "{selector}");
    }
    assert_eq!(findings(&code("chashed")), [""; 0]);
}

#[test]
fn what_cannot_work_is_named() {
    check_findings(&[
        ("view({})", &["W 5 `view` of an empty list always fails"]),
        ("view({{'10.0.0.0/8', {'1.2.3.4'}}})", &["E 7 the networks of `view` must be a table, not a string"]),
        ("view({{{'10.0.0.0/8'}}})", &["W 6 a pair of `view` without networks and values: clients that come to it get SERVFAIL"]),
        ("view({{{'10.0.0.0/8'}, {'1.2.3.4'}, 3}})", &["W 36 a pair of `view` holds more than two lists"]),
        ("view({{{'10.0.0.1/8'}, {'1.2.3.4'}}})", &["W 8 `10.0.0.1/8` has bits set beyond its length"]),
        ("view({{{'10.0.0.0/33'}, {'1.2.3.4'}}})", &["W 8 `10.0.0.0/33` is longer than its address"]),
        ("view({{{'10.0.0.0/8'}, {}}})", &["W 23 a pair of `view` without values: its clients get SERVFAIL"]),
        ("ifportupp(80, {})", &["E 0 unknown function `ifportupp`"]),
        ("nosuch", &["E 0 the variable `nosuch` is never set"]),
        ("{'a', nosuch}", &["W 6 the variable `nosuch` is never set"]),
        ("qtype", &["E 0 `qtype` does not exist here"]),
        ("io.open('/etc/passwd'):read()", &["W 0 `io` does not exist here: the program fails where it comes to this"]),
        ("country('US')", &["E 0 country gives true or false, which is no answer"]),
        ("netmask({'10.0.0.0/8'})", &["E 0 netmask gives true or false, which is no answer"]),
    ]);
    assert_eq!(run("ifportupp(80, {})").findings[0].remedy, "did you mean `ifportup`?");
    assert_eq!(
        run("{'a', quname}").findings[0].remedy,
        "did you mean `qname`? If the text `quname` is meant, put it in single quotes"
    );
    assert!(run("frobnicate()").findings[0].remedy.starts_with("use a function of record programs"));
}

/// What is sure to run is an error; what may never be reached is a warning, and its call fails.
#[test]
fn certainty_decides_between_error_and_warning() {
    let bad = "`x` is not an address";
    let maybe = ": the program fails where it comes to this";
    for (code, at) in
        [("ifportup(80, {'x'})", 14), ("pickrandom(ifportup(80, {'x'}))", 25), ("('a' .. pickrandom(ifportup(80, {'x'})))", 33)]
    {
        assert_eq!(findings(code), [format!("E {at} {bad}")], "{code}");
    }
    for (code, at) in [
        (";if tcp then return ifportup(80, {'x'}) end return 'a'", 34),
        (";local a = ifportup(80, {'x'}) return a", 25),
        ("tcp and ifportup(80, {'x'}) or 'a'", 22),
        (";for i = 1, 2 do local a = ifportup(80, {'x'}) end return 'a'", 41),
    ] {
        assert_eq!(findings(code), [format!("W {at} {bad}{maybe}")], "{code}");
    }
    let programs = [";if tcp then return frobnicate() end return 'a'", ";for i = 1, 2 do frobnicate() end return 'a'"];
    for code in programs {
        assert_eq!(findings(code).len(), 1, "{code}");
        assert!(findings(code)[0].ends_with(&format!("unknown function `frobnicate`{maybe}")), "{code}");
    }
}

#[test]
fn tiers_follow_from_the_constructs() {
    let plans = [
        "'a'",
        "{'a', 'b'}",
        "pickrandom({'a'})",
        ";return pickrandom{'a'}",
        "pickrandomsample(2, ifportup(80, {'192.0.2.1'}, {selector='all'}))",
        "'a' .. qname:toString()",
        "qname:toString() == 'a.' and 'x' or 'y'",
        "(not tcp) and 'u' or 't'",
        "tcp and 1 + 2 * 3 or -(ednsPKTSize % 7) ^ 2",
        "#{'a', 'b'} > 1 and 'two' or 'one'",
        ";local a = 'x' local b, c = a .. 'y' return b",
        ";local a = 1 if tcp then a = 2 elseif dnssecOK then a = 3 else a = 4 end return a",
        ";do local x = 1 end return bestwho:toString()",
        ";pdnslog('hello') return 'a'",
        ";if country('US') or continent{'EU', 'AS'} then return {'192.0.2.1'} end return {}",
        ";if netmask({'10.0.0.0/8'}) then return 'in' end return 'out'",
        "({'a', 'b', 'c'})[2]",
        "pickrandom({countryCode() .. '.example', 'x'})",
        "filterForward(createForward(), newNMG{'192.0.2.0/24'})",
        "geoiplookup('192.0.2.1', GeoIPQueryAttribute.Country)",
        "dblookup('a.example', pdns.A)",
        "ttl(10, 'a')",
        ";if tcp then return nxdomain() end return rcode('REFUSED')",
        "newDN('a.b'):toStringNoDot()",
        "tostring(tcp)",
        "type(zoneid)",
        "string.lower(countryCode())",
        "qname:toString():upper()",
        ";return",
        ";return 'a', 'b'",
        ";if x then return x end x = 'a' return x",
        "newDR(qname, 'A', 60, '192.0.2.1', 1).place",
        "math.floor(math.pi) .. tonumber('z', 36) .. ('x'):rep(3)",
        ";if tcp then return nil end",
    ];
    for code in plans {
        let program = program(code);
        assert_eq!((program.tier(), program.why_script()), (Tier::Plan, None), "{code}");
    }
    for (code, why) in [
        (";for i = 1, 2 do end return 'a'", "a loop"),
        (";while false do end return 'a'", "a loop"),
        (";repeat until true return 'a'", "a loop"),
        (";local function f() return 'a' end return f()", "a function of its own"),
        ("(function() return 'a' end)()", "a call of a value"),
        (";local a, b = 1, 2, 3 return a", "more values than locals"),
        (";qname = 'a' return qname", "the global `qname`, which is set"),
        (";local t = {} t[1] = 'a' return t", "a table that changes"),
        (";function f() return 'a' end return f()", "a function of its own"),
        ("next({'a'})", "a call of `next`"),
        ("unpack({'a'})", "a call of `unpack`"),
        ("string.format('%d', 1)", "a call of a value"),
        ("os.time()", "a call of a value"),
        ("('x'):byte(3)", "the method `byte`"),
        (";include('lib') return f()", "a call of `include`"),
        (";local f = pickrandom return f({'a'})", "`pickrandom` as a value"),
        (";local pickrandom = 1 return pickrandom({'a'})", "a call of `pickrandom`, which the program sets"),
        ("qname.toString", "a method as a value"),
        ("math.sqrt", "`math.sqrt` as a value"),
    ] {
        let program = program(code);
        assert_eq!((program.tier(), program.why_script()), (Tier::Script, Some(why)), "{code}");
    }
    let locals: String = (0..201).map(|at| format!("local a{at} = qname ")).collect();
    let compiled = run(&format!(";{locals}return 'a'"));
    assert!(compiled.program.is_none(), "Lua has no more than 200 locals either: {compiled:?}");
}

#[test]
fn constant_calls_are_known_wherever_they_stand() {
    let one = ["192.0.2.1:80 2/5/1"];
    let two = ["192.0.2.1:80 2/5/1", "192.0.2.2:80 2/5/1"];
    for (code, wanted) in [
        ("tcp and ifportup(80, {'192.0.2.1'}) or 'a'", &one[..]),
        (";local l = {'192.0.2.1', '192.0.2.2'} local p = 79 return ifportup(p + 1, l)", &two),
        (";local p = '8' .. '0' return ifportup(p, {'192.0.2.1'})", &one),
        (";local a = '192.0.2.1' do local a = '192.0.2.2' return ifportup(80, {'192.0.2.1', a}) end", &two),
        (";if tcp then return ifportup(80, {'192.0.2.1'}) else return ifportup(80, {'192.0.2.2'}) end", &two),
        (";local l = {{'192.0.2.1'}, {'192.0.2.2'}} return ifportup(80, l[1])", &one),
        (";for i = 1, 2 do local a = ifportup(80, {'192.0.2.1'}) end return ifportup(80, {'192.0.2.2'})", &two),
        (";local l = {'192.0.2.1', '192.0.2.2'} for i = 1, 2 do return ifportup(80, l) end", &two),
        (";local function f() return ifportup(80, {'192.0.2.1'}) end return f()", &one),
        ("string.upper(ifportup(80, {'192.0.2.1'})[1])", &one),
        (";local l = {'192.0.2.1'} for _, a in ipairs(l) do end return ifportup(80, l)", &one),
        ("pickrandomsample(1, ifportup(80, {'192.0.2.1'}))", &one),
        // what may change is not known, nor what means something else
        (";local l = {'192.0.2.1'} l[2] = '192.0.2.2' return ifportup(80, l)", &[]),
        (";local l = {'192.0.2.1'} local m = l m[1] = 'x' return ifportup(80, l)", &[]),
        (";local p = 80 p = 81 for i = 1, 2 do end return ifportup(p, {'192.0.2.1'})", &[]),
        (";for p = 80, 81 do return ifportup(p, {'192.0.2.1'}) end", &[]),
        (";local function ifportup() return 'a' end return ifportup(80, {'192.0.2.1'})", &[]),
        ("ifportup(80, {bestwho:toString()})", &[]),
    ] {
        assert_eq!(checks(code), wanted, "{code}");
    }
}

#[test]
fn members_may_say_more() {
    check_findings(&[
        (
            "ifportup(80, {{10, '192.0.2.1'}, {'20', '192.0.2.2'}}, {selector='wrandom'})",
            &["E 33 addresses and groups of addresses in one list", "W 34 `20` is read as 0.0.0.20"],
        ),
        ("ifportup(80, {{10, '192.0.2.1'}, {weight=2, address='192.0.2.2'}}, {selector='whashed'})", &[]),
        ("ifportup(80, {{10, '192.0.2.1'}, '192.0.2.2'}, {backupSelector='chashed'})", &[]),
        ("ifportup(80, {{10, '192.0.2.1'}})", &["W 13 `ifportup` does not look at weights with the selector `random`"]),
        ("ifportup(80, {{0, '192.0.2.1'}}, {selector='wrandom'})", &["E 15 the weight `0` is not positive"]),
        ("ifportup(80, {{weight=-1, address='192.0.2.1'}}, {selector='wrandom'})", &["E 22 the weight `-1` is not positive"]),
        ("ifportup(80, {{weight=5}})", &["E 14 a member without an address"]),
        ("ifportup(80, {{address='192.0.2.1', lat=50}})", &["E 14 a member with half a place"]),
        ("ifportup(80, {{address='192.0.2.1', lat=91, lon=0}})", &["E 40 there is no point at 91, 0 on Earth"]),
        ("ifportup(80, {{address='192.0.2.1', lat='x', lon=0}})", &["E 40 a latitude must be a number of degrees, not a string"]),
        ("ifportup(80, {{address='192.0.2.1', wieght=0}})", &["W 36 a member has no such field"]),
        ("pickclosest({{address='192.0.2.1', lat=50, lon=8}, '192.0.2.2'}, {distance='sphere', unknown='far', count=2})", &[]),
        ("pickclosest({'192.0.2.1'}, {distance='round'})", &["E 37 the option `distance` is `round`"]),
        ("pickclosest({'192.0.2.1'}, {unknown='near'})", &["E 36 the option `unknown` is `near`"]),
        ("pickclosest({'192.0.2.1'}, {count=65})", &["E 34 the option `count` is 65"]),
        ("pickclosest({'192.0.2.1'}, {cuont=2})", &["W 28 the unknown option `cuont` is ignored"]),
        ("pickclosest({'www.example.com'})", &["E 13 `www.example.com` is not an address"]),
        ("pickclosest({})", &["W 12 `pickclosest` of an empty list always fails"]),
        (
            "ifportup(80, {{'192.0.2.1'}, {'192.0.2.2'}, {'192.0.2.1'}})",
            &["W 13 group 3 is never reached: its checks are all in groups before it"],
        ),
    ]);
}

#[test]
fn external_urls_become_checks() {
    let code = "ifurlextup({{['192.0.2.9']='http://b.example/', ['192.0.2.10']='https://a.example:444/x'}, {['::1']='http://c.example'}})";
    assert_eq!(checks(code), ["b.example:80 2/5/1", "a.example:444 2/5/1", "c.example:80 2/5/1"]);
    // within a group by the text of the address
    assert_eq!(program(code).members(), ["192.0.2.10", "192.0.2.9", "::1"].map(Into::into));
    check_findings(&[
        ("ifurlextup({})", &["W 11 `ifurlextup` of an empty list always fails"]),
        ("ifurlextup({['192.0.2.1']='http://x/'})", &["E 13 the groups of `ifurlextup` has a key that is not an integer"]),
        ("ifurlextup({'192.0.2.1'})", &["E 12 a group of `ifurlextup` must be a table, not a string"]),
        ("ifurlextup({{'http://x/'}})", &["E 13 an element of a group of `ifurlextup` has no address"]),
        ("ifurlextup({{['x']='http://x/'}})", &["E 14 `x` is not an address"]),
        ("ifurlextup({{['::1']='x'}})", &["E 21 `x` is not a URL: relative URL without a base"]),
    ]);
}

#[test]
fn self_weighted_checks_weigh() {
    let code = "pickselfweighted('http://x/w', {'192.0.2.1', '192.0.2.2'}, {timeout=1})";
    assert_eq!(checks(code), ["192.0.2.1:80 1/5/1", "192.0.2.2:80 1/5/1"]);
    assert!(http(code).1.weighs);
    check_findings(&[
        ("pickselfweighted('http://x/', {})", &["W 30 `pickselfweighted` of an empty list always fails"]),
        ("pickselfweighted('x', {'192.0.2.1'})", &["E 17 `x` is not a URL: relative URL without a base"]),
        ("pickselfweighted('http://x/')", &["E 0 `pickselfweighted` takes 2 or 3 arguments, 1 given"]),
    ]);
}

#[test]
fn samples_have_a_size() {
    check_findings(&[
        ("pickrandomsample(2, {'a', 'b'})", &[]),
        ("pickrandomsample('2', {'a', 'b'})", &[]),
        ("pickrandomsample(-1, {'a', 'b'})", &[]),
        ("pickrandomsample(0, {'a'})", &["W 17 a sample of 0 is always empty"]),
        ("pickrandomsample('x', {'a'})", &["E 17 the size of a sample is no number"]),
        ("pickrandomsample({}, {'a'})", &["E 17 the size of a sample must be a number, not a table"]),
        ("pickrandomsample({'a'})", &["E 0 `pickrandomsample` takes 2 arguments, 1 given"]),
    ]);
    assert!(program("pickrandomsample(0, {'a'})").may_be_empty());
}

#[test]
fn places_are_looked_over() {
    let with = |test: &str| format!(";if {test} then return 'a' end return 'b'");
    let maybe = ": the program fails where it comes to this";
    for (test, wanted) in [
        ("country('US')", String::new()),
        ("country{'us', 'CA'}", String::new()),
        ("asnum(64500) or asnum('64501') or asnum{64502}", String::new()),
        ("continent('EU') or region('CA')", String::new()),
        ("country('USA')", "W 12 `USA` is no country".into()),
        ("country({'US', 'Germany'})", "W 12 `Germany` is no country".into()),
        ("asnum('AS64500')", "W 10 `AS64500` is no asnum".into()),
        ("continent('Europe')", "W 14 `Europe` is no continent".into()),
        ("country(true)", format!("W 12 the argument of `country` must be a string, not a boolean{maybe}")),
        ("country()", format!("W 4 `country` takes 1 argument, 0 given{maybe}")),
        ("netmask('10.0.0.0/8')", format!("W 12 the networks of `netmask` must be a table, not a string{maybe}")),
        ("netmask({'10.0.0.0/99'})", "W 13 `10.0.0.0/99` is longer than its address".into()),
        ("netmask({'10.0.0.x'})", format!("W 13 `10.0.0.x` is no network: it is no address prefix such as 192.0.2.0/24{maybe}")),
    ] {
        let wanted: Vec<String> = Some(wanted).into_iter().filter(|line| !line.is_empty()).collect();
        assert_eq!(findings(&with(test)), wanted, "{test}");
    }
}

#[test]
fn steps_are_bounded() {
    let code = format!("'a'{}", " .. qname:toString()".repeat(60));
    let settings = |step_limit| Settings { defaults: Defaults::default(), step_limit, shared: false };
    assert!(compile(&code, &settings(1000)).program.is_some());
    let refused = compile(&code, &settings(100));
    assert!(refused.program.is_none() && refused.findings[0].message.contains("step_limit"), "{refused:?}");
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
            &["W 13 the addresses of `ifportup` has other keys than 1 to 1: it is walked by rising key"],
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
    let cases: [(&str, &[&str]); 32] = [
        ("{selector='all', backupSelector='empty'}", &[]),
        ("{selector='hashed', backupSelector='random'}", &[]),
        ("{selector='frist'}", &["W 38 the unknown selector `frist` counts as `random`"]),
        ("{backupSelector='pickclosest', selector='pickclosest:3'}", &[]),
        ("{selector='first', backupSelector='wrandom'}", &[]),
        ("{selector='whashed', backupSelector='chashed'}", &[]),
        ("{selector='namehashed', distance='sphere', unknown='far'}", &[]),
        ("{selector='pickclosest:0'}", &["E 38 the selector `pickclosest:0`"]),
        ("{selector='pickclosest:65'}", &["E 38 the selector `pickclosest:65`"]),
        ("{selector='pickclosest:x'}", &["E 38 the selector `pickclosest:x`"]),
        ("{distance='round'}", &["E 38 the option `distance` is `round`"]),
        ("{unknown='near'}", &["E 37 the option `unknown` is `near`"]),
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
        ("'all'", &["E 28 the options of `ifportup` must be a table of options, not a string"]),
        ("{selector=x}", &["W 38 the variable `x` is never set"]),
    ];
    for (options, wanted) in cases {
        assert_eq!(findings(&with(options)), wanted, "{options}");
    }
    assert_eq!(run(&with("{backupselector='all'}")).findings[0].remedy, "did you mean `backupSelector`?");
    assert_eq!(run(&with("{selector='hashd'}")).findings[0].remedy, "did you mean `hashed`?");
}

#[test]
fn unset_options_take_the_defaults() {
    let (interval, timeout) = (std::time::Duration::from_secs(9), std::time::Duration::from_millis(1500));
    let defaults = Defaults { interval, timeout, ..Defaults::USUAL };
    let settings = Settings { defaults: defaults.clone(), step_limit: 1000, shared: false };
    let program = compile("ifportup(80, {'192.0.2.1'})", &settings).program.unwrap();
    let check = &program.checks()[0];
    assert_eq!((check.interval, check.spec.timeout), (defaults.interval, defaults.timeout));
}

fn http(code: &str) -> (String, HttpCheck) {
    let program = program(code);
    let spec = &program.checks()[0].spec;
    match &spec.kind {
        CheckKind::Http(http) => (format!("{} {}", http.url(spec.port), spec.target()), HttpCheck::clone(http)),
        _ => panic!("{code}"),
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
    assert_eq!((check.status, &*check.user_agent, check.body), (Codes::only(200), "PowerDNS Authoritative Server", None));
    let (_, check) = http("ifurlup('http://x/', {'192.0.2.1'}, {httpcode='204', useragent='me', stringmatch='ok'})");
    assert_eq!((check.status, &*check.user_agent, check.body.as_deref()), (Codes::only(204), "me", Some("ok")));
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
        ("pickwhashed({{4294967295,'a'},{1,'b'}})", &["E 0 the weights add up to more than 4294967295"]),
        ("pickwhashed({{1,'a'}, nil, {1,'b'}})", &[]),
        (
            "pickwhashed({[5]={1,'a'}})",
            &["W 12 the list of `pickwhashed` has other keys than 1 to 1: it is walked by rising key"],
        ),
        ("pickwhashed({[1]={1,'a'}})", &[]),
        ("pickwhashed(all({'a'}))", &[]),
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
        (
            "pickhashed({[5]='a', [9]='b'})",
            &["W 11 the list of `pickhashed` has other keys than 1 to 2: it is walked by rising key"],
        ),
        ("pickhashed({'a', nil, 'b'})", &[]),
        ("all({'a', {}, x})", &["W 14 the variable `x` is never set"]),
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
