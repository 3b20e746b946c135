//! The server's replies as text for a terminal: aligned columns, one line per thing, the trouble first where there is a
//! choice. The JSON is for programs; this may change between versions.

use std::fmt::Write;

use crate::api::forms::{
    CheckForm, ChecksForm, EventForm, EventsForm, ExplainForm, FindingForm, GeoForm, MapForm, OrderForm, OverrideForm,
    OverridesFileForm, OverridesForm, PeersForm, PoolAddressForm, PoolMemberForm, PoolsForm, ProblemForm, ReloadForm, StatusForm,
    StepForm, WordChangeForm, ZoneChangeForm, ZoneDifferenceForm, ZonesForm,
};

/// Two blanks between columns, none at the end of a line.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).into()
}

/// The narrowest terminal that `leeward status` is made for.
const TERMINAL: usize = 80;
/// Overrides that it shows.
const WORDS_SHOWN: usize = 10;

/// A table that is no wider than a terminal: the widest columns are cut until it fits.
fn fitted(mut rows: Vec<Vec<String>>) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..columns).map(width).collect();
    let blanks = 2 * columns.saturating_sub(1);
    while widths.iter().sum::<usize>() + blanks > TERMINAL
        && let Some(widest) = widths.iter_mut().max().filter(|widest| **widest > 1)
    {
        *widest -= 1;
    }
    for row in &mut rows {
        row.iter_mut().zip(&widths).for_each(|(cell, &width)| cut(cell, width));
    }
    table(&rows)
}

/// Leaves so many characters of a text, the last of which says so where there were more.
fn cut(text: &mut String, width: usize) {
    if text.chars().count() > width {
        *text = text.chars().take(width.saturating_sub(1)).chain(['…']).collect();
    }
}

/// `leeward status`: nothing in it is wider than a terminal.
pub(super) fn status(status: &StatusForm, zones: &ZonesForm, overrides: &OverridesForm) -> String {
    let (z, c) = (status.zones, status.checks);
    let state = match (status.serving, status.loading) {
        (true, true) => "serving, a reload is on trial",
        (true, false) => "serving",
        (false, _) => "starting: waits for the first results of its checks",
    };
    let isolation = status.isolated_since.as_ref().map_or_else(
        || "none: targets are heard".to_owned(),
        |since| format!("CUT OFF since {}; verdicts are held", without_fraction(since)),
    );
    let peers = match (status.peers, &status.no_quorum_since) {
        (0, _) => "none: this node decides alone".to_owned(),
        (all, None) => format!("{} of {all} heard", status.peers_heard),
        (all, Some(since)) => {
            let so = if status.decides_alone { "it decides ALONE" } else { "verdicts are held" };
            format!("{} of {all} heard, NO QUORUM since {}; {so}", status.peers_heard, without_fraction(since))
        }
    };
    let said = match (status.overrides, status.frozen) {
        (0, _) => "none".to_owned(),
        (count, false) => format!("{count} in force"),
        (count, true) => format!("{count} in force; FROZEN: what is measured changes no answer"),
    };
    let mut rows = vec![
        vec!["node".to_owned(), format!("{}, leeward {}", status.node, status.version)],
        vec!["state".to_owned(), state.to_owned()],
        vec!["ready".to_owned(), if status.ready { "yes" } else { "no" }.to_owned()],
        vec!["generation".to_owned(), format!("{} ({} published)", status.generation, status.publishes)],
        vec!["zones".to_owned(), format!("{} serving, {} stale, {} failed", z.serving, z.stale, z.failed)],
        vec!["checks".to_owned(), format!("{} up, {} down, {} unknown", c.up, c.down, c.unknown)],
        vec!["isolation".to_owned(), isolation],
        vec!["peers".to_owned(), peers],
        vec!["overrides".to_owned(), said],
    ];
    let listen = status.listen.iter().enumerate();
    let listen = listen.map(|(at, address)| vec![if at == 0 { "listen" } else { "" }.to_owned(), address.clone()]);
    rows.splice(4..4, listen);
    if let Some(file) = &status.overrides_file {
        rows.push(vec!["of file".to_owned(), overrides_file(file)]);
    }
    [fitted(rows), words(overrides), zone_table(zones)].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// `leeward status --peers`
pub(super) fn peers(form: &PeersForm) -> String {
    if form.peers.is_empty() {
        return "no peers\n".to_owned();
    }
    let head = row(["PEER", "REGION", "STATE", "HEARD", "REACHED", "WORDS", "BEHIND"]);
    let rows = form.peers.iter().map(|peer| {
        let time = |time: &Option<String>| time.as_deref().map_or_else(|| "-".to_owned(), without_fraction);
        let (heard, reached) = (time(&peer.heard), time(&peer.reached));
        let (peer_, region, state) = (peer.peer.clone(), peer.region.clone(), peer.state.clone());
        vec![peer_, region, state, heard, reached, peer.says.to_string(), peer.behind.to_string()]
    });
    let mut text = String::new();
    if let Some(since) = &form.no_quorum_since {
        let so = if form.decides_alone { "this node decides alone" } else { "verdicts are held" };
        let _ = writeln!(text, "NO QUORUM since {}: {so}\n", without_fraction(since));
    }
    text += &table(&std::iter::once(head).chain(rows).collect::<Vec<_>>());
    for peer in &form.peers {
        for ZoneDifferenceForm { zone, serial, own_serial } in &peer.zones_that_differ {
            let _ = writeln!(text, "{} serves other data of {zone}: serial {serial}, here {own_serial}", peer.peer);
        }
        if !peer.checks_that_differ.is_empty() {
            let _ = writeln!(text, "{} defines otherwise: {}", peer.peer, peer.checks_that_differ.join(", "));
        }
    }
    if form.disagreements.is_empty() {
        return text + "\nall nodes agree\n";
    }
    let head = row(["TARGET", "VERDICT", "VOTE", "SINCE", "SAID"]);
    let rows = form.disagreements.iter().map(|found| {
        let own = format!("{} {}", form.node, found.own);
        let others = found.words.iter().map(|word| format!("{} {}", word.peer, word.word));
        let said: Vec<String> = std::iter::once(own).chain(others).collect();
        let verdict = format!("{} ({})", found.verdict, found.basis);
        vec![found.target.clone(), verdict, found.vote.clone(), without_fraction(&found.since), said.join(", ")]
    });
    text + "\n" + &table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

fn overrides_file(file: &OverridesFileForm) -> String {
    match file.errors.first() {
        None => format!("{} of {}", file.words, file.path),
        Some(error) => format!("REFUSED, what it said before holds: {}: {}", error.place, error.message),
    }
}

/// The overrides of `leeward status`, those that end first at the top.
fn words(form: &OverridesForm) -> String {
    let mut words: Vec<&OverrideForm> = form.overrides.iter().collect();
    if words.is_empty() {
        return String::new();
    }
    words.sort_by_key(|word| (word.expires.is_none(), word.expires.clone()));
    let shown = words.iter().take(WORDS_SHOWN).map(|word| {
        vec![format!("{}/{}", word.kind, word.name), word.state.clone(), until(word), word.by.clone(), word.reason.clone()]
    });
    let head = row(["OVERRIDE", "STATE", "UNTIL", "BY", "REASON"]);
    let mut text = fitted(std::iter::once(head).chain(shown).collect());
    if words.len() > WORDS_SHOWN {
        let _ = writeln!(text, "and {} more: leeward overrides", words.len() - WORDS_SHOWN);
    }
    text
}

/// The zones of `leeward status`.
fn zone_table(form: &ZonesForm) -> String {
    if form.zones.is_empty() {
        return String::new();
    }
    let head = row(["ZONE", "STATE", "SERIAL", "PROGRAMS", "BROKEN", "QUERIES"]);
    let rows = form.zones.iter().map(|zone| {
        let serial = zone.serial.map_or_else(|| "-".to_owned(), |serial| serial.to_string());
        let counts = [zone.programs.to_string(), zone.broken.to_string(), zone.queries.to_string()];
        let state = if zone.frozen { format!("{}, FROZEN", zone.state) } else { zone.state.clone() };
        [zone.zone.clone(), state, serial].into_iter().chain(counts).collect()
    });
    fitted(std::iter::once(head).chain(rows).collect())
}

/// A check's names, else its URL, else its kind.
fn what(check: &CheckForm) -> String {
    match check.names.as_slice() {
        [] => check.request.url.clone().unwrap_or_else(|| check.kind.clone()),
        names => names.join(", "),
    }
}

/// `leeward checks`: what is not up comes first.
pub(super) fn checks(form: &ChecksForm) -> String {
    let mut checks: Vec<&CheckForm> = form.checks.iter().collect();
    checks.sort_by_key(|check| check.status == "up");
    let head = row(["STATUS", "TARGET", "CHECK", "LAST", "AGE", "SINCE", "CHANGES"]);
    let rows = checks.into_iter().map(|check| {
        let slow = if check.slow { " slow" } else { "" };
        let basis = if check.basis == "measured" { String::new() } else { format!(" ({})", check.basis) };
        let drain = if check.drain { " drained" } else { "" };
        let weight = check.reported_weight.map(|weight| format!(" weight {weight}")).unwrap_or_default();
        let pending =
            if check.against > 0 { format!(" [{} against, {} more]", check.against, check.needed) } else { String::new() };
        let held_back = check
            .held_back_until
            .as_ref()
            .map(|until| format!(" held back until {}", without_fraction(until)))
            .unwrap_or_default();
        let last = check.last.as_ref();
        vec![
            format!("{}{slow}{drain}{weight}{basis}{pending}{held_back}", check.status),
            check.target.clone(),
            what(check),
            last.map_or_else(|| "-".to_owned(), |last| last.reason.clone().unwrap_or_else(|| last.outcome.clone())),
            last.map_or_else(|| "-".to_owned(), |last| span(last.age_seconds)),
            without_fraction(&check.since),
            check.transitions.to_string(),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    if rows.len() == 1 { "no checks\n".to_owned() } else { table(&rows) }
}

/// `3s`, `5m`, `2h`: one unit is enough to see whether something is fresh.
fn span(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.0}s"),
        s if s < 3600.0 => format!("{:.0}m", (s / 60.0).floor()),
        s => format!("{:.0}h", (s / 3600.0).floor()),
    }
}

/// An RFC 3339 time to the second.
fn without_fraction(time: &str) -> String {
    time.split_once('.').map_or_else(|| time.to_owned(), |(whole, _)| format!("{whole}Z"))
}

/// `leeward events`
pub(super) fn events(form: &EventsForm) -> String {
    let mut text = String::new();
    if form.missed > 0 {
        let _ = writeln!(text, "{} older events are no longer kept; the log has them", form.missed);
    }
    let rows: Vec<_> =
        form.events.iter().map(|event| vec![event.at.clone(), format!("#{}", event.number), event.text.clone()]).collect();
    text + &table(&rows)
}

/// A message of `leeward events --follow`
pub(super) fn message(kind: &str, data: &str) -> String {
    if kind == "missed" {
        let missed = serde_json::from_str::<serde_json::Value>(data).unwrap_or_default()["missed"].to_string();
        return format!("{missed} older events are no longer kept; the log has them\n");
    }
    match serde_json::from_str::<EventForm>(data) {
        Ok(event) => format!("{}  #{}  {}\n", event.at, event.number, event.text),
        Err(_) => format!("{data}\n"),
    }
}

/// When a word ends.
fn until(word: &OverrideForm) -> String {
    let for_ever = if word.version == 0 { "in the file" } else { "forever" };
    word.expires.as_deref().map_or_else(|| for_ever.to_owned(), without_fraction)
}

/// `leeward overrides`: in brackets what the overrides file says beneath an operator's word.
pub(super) fn overrides(form: &OverridesForm) -> String {
    let head = row(["SUBJECT", "STATE", "UNTIL", "BY", "VERSION", "REASON"]);
    let in_force = form.overrides.iter().map(|word| (word, word.state.clone()));
    let beneath = form.beneath.iter().map(|word| (word, format!("({})", word.state)));
    let mut words: Vec<_> = in_force.chain(beneath).collect();
    words.sort_by(|(one, _), (other, _)| (&one.kind, &one.name).cmp(&(&other.kind, &other.name)));
    let rows = words.into_iter().map(|(word, state)| {
        let subject = format!("{}/{}", word.kind, word.name);
        vec![subject, state, until(word), word.by.clone(), word.version.to_string(), word.reason.clone()]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    if rows.len() == 1 { "no overrides\n".to_owned() } else { table(&rows) }
}

/// `leeward pools`
pub(super) fn pools(form: &PoolsForm) -> String {
    let mut text = String::new();
    for pool in &form.pools {
        let answers = pool.answers.map_or_else(|| "all".to_owned(), |answers| answers.to_string());
        let frozen = if pool.frozen { ", FROZEN" } else { "" };
        let _ = writeln!(text, "{}: select {}, answers {answers}{frozen}", pool.name, pool.select);
        let of_member = |member: &PoolMemberForm| {
            let (name, level) = (member.name.clone(), member.level.to_string());
            let site = member.site.clone().unwrap_or_else(|| "-".to_owned());
            let weight = member.weight;
            let row = move |address: &PoolAddressForm| {
                let notes = [
                    (address.basis != "measured").then(|| format!("({})", address.basis)),
                    address.drain.then(|| "drained".to_owned()),
                    address.waiting.then(|| "waits to come back".to_owned()),
                    (!address.waiting && address.share < 1.0).then(|| format!("{:.0} % of its weight", address.share * 100.0)),
                ];
                let status = std::iter::once(address.status.clone()).chain(notes.into_iter().flatten());
                vec![
                    format!("  {name}"),
                    site.clone(),
                    format!("level {level}"),
                    format!("weight {weight}"),
                    address.address.clone(),
                    status.collect::<Vec<_>>().join(" "),
                ]
            };
            member.addresses.iter().map(row).collect::<Vec<_>>()
        };
        text += &table(&pool.members.iter().flat_map(of_member).collect::<Vec<_>>());
        for (member, lookup) in pool.members.iter().filter_map(|member| Some((member, member.lookup.as_ref()?))) {
            let age =
                lookup.age_seconds.map_or_else(|| "not heard of since the start".to_owned(), |age| format!("{age:.0} s old"));
            let trouble = lookup.trouble.as_ref().map_or_else(String::new, |trouble| format!("; {trouble}"));
            let _ = writeln!(text, "  {}: {}: {age}{trouble}", member.name, member.host.as_deref().unwrap_or("-"));
        }
    }
    if text.is_empty() { "no pools\n".to_owned() } else { text }
}

/// `leeward drain`, `force`, `freeze` and `release`
pub(super) fn order(form: &OrderForm) -> String {
    let rehearsed = form.outcome == "rehearsed";
    let what = if rehearsed { "would be applied; nothing was changed" } else { "applied" };
    let mut text = format!("{what}, generation {}\n", form.generation);
    if !rehearsed && !form.durable {
        text += "it is not on disk, and ends with the server's process\n";
    }
    if let Some(after) = &form.after {
        let until = after.expires.as_deref().map_or_else(|| "it is released".to_owned(), without_fraction);
        let _ = writeln!(text, "{}/{} {} until {until}", after.kind, after.name, after.state);
    }
    let _ = writeln!(
        text,
        "{} checks and pool addresses count as something else; record programs with other answers: {}",
        form.checks, form.programs
    );
    form.names.iter().for_each(|name| text += &format!("  {name}\n"));
    if form.names.len() < form.programs {
        let _ = writeln!(text, "  and {} more", form.programs - form.names.len());
    }
    for name in &form.would_empty {
        let _ = writeln!(text, "left without a target that may be given: {name}");
    }
    text
}

/// `leeward reload`
pub(super) fn reload(form: &ReloadForm) -> String {
    let what = if form.outcome == "rehearsed" { "would be applied; nothing was changed" } else { "applied" };
    let mut text = format!("{what}, generation {}\n", form.generation);
    text += &zone_changes(&form.zones);
    text += &word_changes(&form.overrides);
    text += &findings(&form.findings);
    text
}

fn zone_changes(zones: &[ZoneChangeForm]) -> String {
    let serial = |serial: Option<u32>| serial.map_or_else(|| "-".to_owned(), |serial| serial.to_string());
    let line = |zone: &ZoneChangeForm| {
        let (before, after) = (serial(zone.before), serial(zone.after));
        vec![format!("  {}", zone.zone), format!("{before} -> {after}"), format!("-{} +{} RRsets", zone.removed, zone.added)]
    };
    table(&zones.iter().map(line).collect::<Vec<_>>())
}

fn word_changes(words: &[WordChangeForm]) -> String {
    let said = |state: &Option<String>| state.clone().unwrap_or_else(|| "-".to_owned());
    let line =
        |word: &WordChangeForm| vec![format!("  {}", word.subject), format!("{} -> {}", said(&word.before), said(&word.after))];
    table(&words.iter().map(line).collect::<Vec<_>>())
}

fn findings(findings: &[FindingForm]) -> String {
    let line =
        |FindingForm { severity, place, message, remedy }: &FindingForm| format!("{place}: {severity}: {message}; {remedy}\n");
    findings.iter().map(line).collect()
}

/// An error reply, for standard error.
pub(super) fn problem(problem: &ProblemForm) -> String {
    let mut text = format!("{}: {}", problem.title, problem.detail);
    for regression in &problem.regressions {
        let _ = write!(text, "\n  {} is up; {} is not: {}", regression.before, regression.after, regression.failure);
    }
    let rest = zone_changes(&problem.zones) + &findings(&problem.findings);
    if !rest.is_empty() {
        let _ = write!(text, "\n{}", rest.trim_end());
    }
    text
}

/// `leeward explain`
pub(super) fn explain(form: &ExplainForm) -> String {
    let question = &form.question;
    let mut text = format!("{} {} -> {}, flags {}\n", question.name, question.rtype, form.rcode, form.flags.join(" "));
    for (section, records) in [("answer", &form.answers), ("authority", &form.authority), ("additional", &form.additional)] {
        if !records.is_empty() {
            let _ = writeln!(text, "{section}:");
            records.iter().for_each(|record| text += &format!("  {record}\n"));
        }
    }
    if let Some(error) = &form.extended_error {
        let _ = writeln!(text, "extended error: {} {}", error.code, error.text);
    }
    let scope = form.subnet_scope.map(|scope| format!(", subnet scope /{scope}")).unwrap_or_default();
    let _ = writeln!(text, "client: {}{scope}, seed: {}, generation: {}", form.client, form.seed, form.generation);
    text += "why:\n";
    form.why.iter().for_each(|step| text += &step_lines(step));
    text
}

/// A step, and under it its members; what belongs to a program stands under the program.
fn step_lines(step: &StepForm) -> String {
    let indent = match step.step.as_str() {
        "zone" | "node" | "cname" | "program" => "  ",
        _ => "    ",
    };
    let mut lines = format!("{indent}{}\n", step.text);
    step.members.iter().for_each(|member| lines += &format!("{indent}  {}\n", member.text));
    lines
}

/// `leeward geo`
pub(super) fn geo(form: &GeoForm) -> String {
    let place = &form.place;
    let asn = place.asn.map(|asn| asn.to_string());
    let coordinates = place.coordinates.map(|[north, east]| format!("{north}, {east}"));
    let known = [
        ("continent", &place.continent),
        ("country", &place.country),
        ("subdivision", &place.subdivision),
        ("city", &place.city),
        ("as", &asn),
        ("organization", &place.organization),
        ("coordinates", &coordinates),
    ];
    let mut text = format!("{}\n", form.address);
    match (form.databases, known.iter().all(|(_, value)| value.is_none())) {
        (0, _) => text += &labelled("place", "not known: [geo] databases is empty"),
        (_, true) => text += &labelled("place", "not in the databases"),
        _ => known
            .iter()
            .for_each(|(label, value)| text += &value.as_ref().map(|value| labelled(label, value)).unwrap_or_default()),
    }
    if form.databases > 0 {
        text += &labelled("holds for", &form.network);
    }
    form.maps.iter().for_each(|map| text += &geo_map(map));
    if !form.nearest.is_empty() {
        let row = |(site, km): (String, f64)| vec![format!("  {site}"), format!("{km:>6} km")];
        let rows: Vec<_> = form.nearest.iter().map(|near| row((near.site.clone(), near.kilometres))).collect();
        let _ = write!(text, "by distance\n{}", table(&rows));
    }
    text
}

fn geo_map(form: &MapForm) -> String {
    let sites = if form.sites.is_empty() { "none: no site is for these clients".to_owned() } else { form.sites.join(", ") };
    let met = form.met.as_ref().map(|met| format!(" {met}")).unwrap_or_default();
    let file = if form.nets_file { " (nets_file)" } else { "" };
    let rule = labelled("rule", &format!("{}{met}{file}", form.rule));
    format!("map {}\n{rule}{}{}", form.map, labelled("sites", &sites), labelled("holds for", &form.network))
}

/// A line for a label and what it says; what is too long for 80 columns goes on below, if it can be broken.
fn labelled(label: &str, text: &str) -> String {
    const INDENT: usize = 16;
    const WIDTH: usize = 80;
    let (mut lines, mut column) = (format!("  {label:<14}"), INDENT);
    for (at, word) in text.split(' ').enumerate() {
        let width = word.chars().count();
        if at > 0 && column + 1 + width > WIDTH {
            let _ = write!(lines, "\n{:INDENT$}", "");
            column = INDENT;
        } else if at > 0 {
            lines.push(' ');
            column += 1;
        }
        lines += word;
        column += width;
    }
    lines + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::forms::{
        CheckCounts, DistanceForm, MemberForm, PlaceForm, QuestionForm, RequestForm, ResultForm, ZoneCounts, ZoneForm,
    };

    fn check(target: &str, status: &str, reason: Option<&str>) -> CheckForm {
        let outcome = if reason.is_some() { "fail" } else { "pass" }.to_owned();
        let last = ResultForm {
            outcome,
            reason: reason.map(str::to_owned),
            detail: None,
            at: String::new(),
            age_seconds: 3.2,
            elapsed_seconds: 0.01,
        };
        CheckForm {
            ad_hoc: false,
            key: "00".into(),
            target: target.into(),
            source: None,
            names: Vec::new(),
            kind: "tcp".into(),
            probe: String::new(),
            request: RequestForm::default(),
            status: status.into(),
            drain: false,
            measured: status.into(),
            own: status.into(),
            own_basis: "measured".into(),
            vote: "majority".into(),
            words: Vec::new(),
            basis: "measured".into(),
            reported_weight: None,
            slow: false,
            since: "2026-01-02T03:04:05.678Z".into(),
            transitions: 1,
            against: 0,
            needed: 1,
            penalty: None,
            held_back_until: None,
            last: Some(last),
            next: None,
            interval_seconds: 5.0,
            timeout_seconds: 2.0,
            fall: 1,
            rise: 1,
            forget: 1,
            slow_seconds: None,
            retry_interval_seconds: None,
            jitter_percent: None,
        }
    }

    #[test]
    fn trouble_comes_first_and_columns_line_up() {
        let checks_form = ChecksForm {
            generation: 3,
            checks: vec![check("192.0.2.1:443", "up", None), check("192.0.2.200:443", "down", Some("refused"))],
        };
        assert_eq!(
            checks(&checks_form),
            "STATUS  TARGET           CHECK  LAST     AGE  SINCE                 CHANGES\n\
             down    192.0.2.200:443  tcp    refused  3s   2026-01-02T03:04:05Z  1\n\
             up      192.0.2.1:443    tcp    pass     3s   2026-01-02T03:04:05Z  1\n"
        );
    }

    fn status_form() -> StatusForm {
        StatusForm {
            generation: 12,
            node: "eu-1".into(),
            version: "0.1.0".into(),
            time: String::new(),
            ready: true,
            serving: true,
            listen: vec!["127.0.0.1:5300".into(), "[::1]:5300".into()],
            loading: false,
            isolated_since: Some("2026-01-02T03:04:05.678Z".into()),
            peers: 2,
            peers_heard: 1,
            no_quorum_since: None,
            decides_alone: false,
            publishes: 4,
            late_seconds: 0.0,
            zones: ZoneCounts { serving: 1, stale: 0, failed: 0 },
            checks: CheckCounts { up: 1, down: 1, unknown: 0 },
            overrides: 1,
            frozen: false,
            overrides_file: None,
        }
    }

    fn zone_form(zone: &str) -> ZonesForm {
        let zone = ZoneForm {
            zone: zone.into(),
            state: "serving".into(),
            serial: Some(7),
            programs: 1,
            broken: 0,
            frozen: false,
            queries: 0,
        };
        ZonesForm { generation: 12, zones: vec![zone] }
    }

    fn override_form(name: &str, expires: Option<&str>, reason: &str) -> OverrideForm {
        OverrideForm {
            kind: "target".into(),
            name: name.into(),
            state: "drain".into(),
            since: String::new(),
            expires: expires.map(str::to_owned),
            by: "alice".into(),
            reason: reason.into(),
            version: 1,
        }
    }

    #[test]
    fn status_is_a_page() {
        let overrides =
            vec![override_form("192.0.2.1", None, "disks"), override_form("192.0.2.2", Some("2026-01-02T03:04:05.678Z"), "")];
        let text = status(
            &status_form(),
            &zone_form("gslb.example."),
            &OverridesForm { generation: 12, overrides, beneath: Vec::new() },
        );
        assert_eq!(
            text,
            "node        eu-1, leeward 0.1.0\n\
             state       serving\n\
             ready       yes\n\
             generation  12 (4 published)\n\
             listen      127.0.0.1:5300\n\
             \u{20}           [::1]:5300\n\
             zones       1 serving, 0 stale, 0 failed\n\
             checks      1 up, 1 down, 0 unknown\n\
             isolation   CUT OFF since 2026-01-02T03:04:05Z; verdicts are held\n\
             peers       1 of 2 heard\n\
             overrides   1 in force\n\
             \n\
             OVERRIDE          STATE  UNTIL                 BY     REASON\n\
             target/192.0.2.2  drain  2026-01-02T03:04:05Z  alice\n\
             target/192.0.2.1  drain  forever               alice  disks\n\
             \n\
             ZONE           STATE    SERIAL  PROGRAMS  BROKEN  QUERIES\n\
             gslb.example.  serving  7       1         0       0\n"
        );
    }

    #[test]
    fn a_place_fits_the_terminal() {
        let sites: Vec<String> = (0..12).map(|number| format!("site-number-{number}")).collect();
        let map = |map: &str, rule: &str, met: Option<&str>, nets_file, sites| {
            let (map, rule, met) = (map.into(), rule.into(), met.map(Into::into));
            MapForm { map, rule, met, nets_file, sites, network: "192.0.2.0/24".into() }
        };
        let maps = vec![
            map("many", "network", Some("192.0.2.0/24"), true, sites),
            map("none", "country", Some("DE"), false, Vec::new()),
            map("rest", "default", None, false, vec!["eu".into()]),
        ];
        let place = PlaceForm {
            country: Some("DE".into()),
            organization: Some("example ".repeat(12).trim_end().into()),
            coordinates: Some([52.5, -13.25]),
            ..PlaceForm::default()
        };
        let near = |site: &str, kilometres| DistanceForm { site: site.into(), kilometres };
        let nearest = vec![near("eu", 424.0), near("us-west", 12345.0)];
        let (address, network) = ("192.0.2.1".to_owned(), "192.0.2.0/25".to_owned());
        let form = GeoForm { generation: 1, address, databases: 1, place, network, maps, nearest };
        let text = geo(&form);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(
            text,
            "192.0.2.1\n\
             \u{20}\u{20}country       DE\n\
             \u{20}\u{20}organization  example example example example example example example example\n\
             \u{20}               example example example example\n\
             \u{20}\u{20}coordinates   52.5, -13.25\n\
             \u{20}\u{20}holds for     192.0.2.0/25\n\
             map many\n\
             \u{20}\u{20}rule          network 192.0.2.0/24 (nets_file)\n\
             \u{20}\u{20}sites         site-number-0, site-number-1, site-number-2, site-number-3,\n\
             \u{20}               site-number-4, site-number-5, site-number-6, site-number-7,\n\
             \u{20}               site-number-8, site-number-9, site-number-10, site-number-11\n\
             \u{20}\u{20}holds for     192.0.2.0/24\n\
             map none\n\
             \u{20}\u{20}rule          country DE\n\
             \u{20}\u{20}sites         none: no site is for these clients\n\
             \u{20}\u{20}holds for     192.0.2.0/24\n\
             map rest\n\
             \u{20}\u{20}rule          default\n\
             \u{20}\u{20}sites         eu\n\
             \u{20}\u{20}holds for     192.0.2.0/24\n\
             by distance\n\
             \u{20}\u{20}eu          424 km\n\
             \u{20}\u{20}us-west   12345 km\n"
        );
        let nothing = GeoForm { address: "::1".into(), network: "::/0".into(), ..GeoForm::default() };
        assert_eq!(geo(&nothing), "::1\n  place         not known: [geo] databases is empty\n");
        assert_eq!(
            geo(&GeoForm { databases: 1, ..nothing }),
            "::1\n  place         not in the databases\n  holds for     ::/0\n"
        );
    }

    #[test]
    fn status_fits_a_terminal() {
        let long = "a-very-long-label-of-a-zone-that-nobody-would-type.".repeat(4);
        let overrides = (0..12).map(|_| override_form("[2001:db8:1234:5678:9abc:def0:1234:5678]:65535", None, &long)).collect();
        let form = StatusForm { node: long.clone(), overrides: 12, frozen: true, ..status_form() };
        let text = status(&form, &zone_form(&long), &OverridesForm { generation: 12, overrides, beneath: Vec::new() });
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert_eq!(widest, Some(TERMINAL), "{text}");
        assert!(text.contains('…') && text.contains("and 2 more: leeward overrides\n"), "{text}");
        assert!(text.contains("12 in force; FROZEN: what is measured changes no answer\n"), "{text}");
    }

    #[test]
    fn an_explanation_is_indented() {
        let member = MemberForm { text: "192.0.2.1 is up".into(), ..MemberForm::default() };
        let step =
            |step: &str, text: &str, members| StepForm { step: step.into(), text: text.into(), members, ..StepForm::default() };
        let form = ExplainForm {
            question: QuestionForm { name: "www.".into(), rtype: "A".into(), ..QuestionForm::default() },
            rcode: "NOERROR".into(),
            flags: vec!["qr".into(), "aa".into()],
            answers: vec!["www. 30 IN A 192.0.2.1".into()],
            client: "127.0.0.1".into(),
            why: vec![
                step("program", "the record program", Vec::new()),
                step("group", "group 1: 1 of 1 available", vec![member]),
            ],
            ..ExplainForm::default()
        };
        assert_eq!(
            explain(&form),
            "www. A -> NOERROR, flags qr aa\nanswer:\n  www. 30 IN A 192.0.2.1\nclient: 127.0.0.1, seed: 0, generation: 0\n\
             why:\n  the record program\n    group 1: 1 of 1 available\n      192.0.2.1 is up\n"
        );
    }
}
