//! `[notify.NAME]`, good and bad.

use crate::notify::{Config, Template, To};

use super::*;

/// The section `x` of a file with this text.
#[track_caller]
fn notify(text: &str) -> Config {
    let place = Place::with(&[("leeward.toml", &format!("[notify.x]\n{text}\n[zone.z]\nfile = \"z\"\n"))]);
    assert_eq!(place.findings(), "", "{text}");
    place.config().notify.into_iter().next().expect("one")
}

#[test]
fn webhooks_and_commands() {
    let plain = notify("url = \"https://hooks.example.com/x\"");
    assert_eq!((plain.template, plain.kinds.len(), plain.backlog), (Template::Json, 0, 1000));
    assert!(matches!(plain.to, To::Webhook(url, headers) if url.path() == "/x" && headers.is_empty()));
    let full = notify(
        "url = \"http://192.0.2.1/\"\nheaders = { X-Token = \"hush\" }\ntemplate = \"slack\"\nevents = [\"transition\", \"isolated\"]\n\
         timeout = \"3s\"\nbacklog = 5",
    );
    assert_eq!((full.template, full.timeout, full.backlog), (Template::Slack, Duration::from_secs(3), 5));
    assert_eq!(full.kinds, ["transition".into(), "isolated".into()]);
    let mail =
        notify("command = [\"/bin/sh\", \"-c\", \"-c\"]\ntemplate = \"email\"\nfrom = \"a@example.com\"\nto = \"b@example.com\"");
    assert_eq!(mail.template, Template::Email { from: "a@example.com".into(), to: "b@example.com".into() });
    assert_eq!(mail.to, To::Command(["/bin/sh", "-c", "-c"].map(Into::into).into()));
    let place = Place::with(&[
        ("u", "https://hooks.example.com/secret\n"),
        ("leeward.toml", "[notify.x]\nurl_file = \"u\"\n[zone.z]\nfile = \"z\"\n"),
    ]);
    assert!(matches!(&place.config().notify[0].to, To::Webhook(url, _) if url.path() == "/secret"));
}

#[test]
fn what_is_wrong_is_told_without_secrets() {
    for (text, expected) in [
        ("", "nobody is told"),
        ("url = \"http://x.test/\"\ncommand = [\"/bin/true\"]", "url and command are given"),
        ("url = \"ftp://hush.test/\"", "this is no URL of a webhook"),
        ("url = \"http://x.test/\"\nevents = [\"transitions\"]", "no kind of event"),
        ("url = \"http://x.test/\"\ntemplate = \"xml\"", "no template"),
        ("url = \"http://x.test/\"\nto = \"a@b\"", "only a mail has a sender and a receiver"),
        ("command = [\"/bin/true\"]\ntemplate = \"email\"\nfrom = \"a@b\"", "`[notify.x] to` is missing"),
        ("command = [\"/bin/true\"]\ntemplate = \"email\"\nfrom = \"a@b\"\nto = \"a@b\\r\\nBcc: c\"", "no address"),
        ("command = [\"true\"]", "which is no path"),
        ("url = \"http://x.test/\"\ncolour = \"red\"", "unknown key"),
    ] {
        let place = Place::with(&[("leeward.toml", &format!("[notify.x]\n{text}\n[zone.z]\nfile = \"z\"\n"))]);
        let findings = place.findings();
        assert!(findings.contains(expected) && !findings.contains("hush"), "{text}: {findings}");
    }
}
