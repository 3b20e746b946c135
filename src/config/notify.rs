//! `[notify.NAME]`: whom to tell of what happens. URLs, headers and arguments may hold secrets, and are in no finding.

use std::time::Duration;

use url::Url;

use super::check::{HOUR, SECOND, secret_text};
use super::checks::{argv, headers, is_name};
use super::finding::Place;
use super::raw::Table;
use super::section::Section;
use crate::api::EVENT_KINDS;
use crate::notify::{Config, Template, To};

/// Events that wait where nothing else is said.
const BACKLOG: usize = 1000;
/// No more are kept anywhere.
const BACKLOG_MAX: usize = 10_000;

pub(super) fn notify(root: &mut Section<'_>) -> Vec<Config> {
    let named = root.named("notify");
    named.into_iter().filter_map(|(name, at, table)| one(root, name, &at, table)).collect()
}

fn one(root: &mut Section<'_>, name: String, at: &Place, table: Table) -> Option<Config> {
    let mut section = root.below("notify", &name, table);
    if !is_name(&name) {
        let message = format!("`{}` is no name for this", name.escape_debug());
        section.findings.error(at, message, "write letters, digits, `-`, `_` and `.`, at most 63 of them");
    }
    let kinds = kinds(&mut section);
    let (_, timeout) = section.duration("timeout", 10 * SECOND, SECOND..=HOUR);
    let backlog = section.number("backlog", BACKLOG, 1..=BACKLOG_MAX);
    let template = template(&mut section, at);
    let to = to(&mut section, at);
    section.finish(&[]);
    Some(Config { name: name.into(), to: to?, template, kinds, timeout: timeout.max(Duration::from_millis(1)), backlog })
}

fn kinds(section: &mut Section<'_>) -> Vec<Box<str>> {
    let remedy = format!("write some of {}", EVENT_KINDS.map(|kind| format!("\"{kind}\"")).join(", "));
    let known = |text: &str| EVENT_KINDS.into_iter().find(|kind| *kind == text).ok_or("no kind of event");
    section.list("events", &remedy, known).map(|(_, kinds)| kinds.into_iter().map(Into::into).collect()).unwrap_or_default()
}

fn template(section: &mut Section<'_>, at: &Place) -> Template {
    const ADDRESS: &str = "write an address such as \"oncall@example.com\"";
    let template = section.parsed("template", "write \"json\", \"slack\" or \"email\"", |text| match text {
        "json" | "slack" | "email" => Ok(text.to_owned()),
        _ => Err("no template"),
    });
    let is_mail = template.as_ref().is_some_and(|(_, template)| template == "email");
    if is_mail {
        ["from", "to"].into_iter().for_each(|key| section.require(key, at, ADDRESS));
    }
    let mut address = |key| section.parsed(key, ADDRESS, mail_address);
    let (from, to) = (address("from"), address("to"));
    if let Some((at, _)) = from.as_ref().or(to.as_ref()).filter(|_| !is_mail) {
        section.findings.error(at, "only a mail has a sender and a receiver", "add template = \"email\", or remove this");
    }
    match template.as_ref().map(|(_, template)| template.as_str()) {
        Some("slack") => Template::Slack,
        Some("email") => {
            let text = |address: Option<(Place, Box<str>)>| address.map(|(_, text)| text).unwrap_or_default();
            Template::Email { from: text(from), to: text(to) }
        }
        _ => Template::Json,
    }
}

/// It stands in a header of a mail as it is.
fn mail_address(text: &str) -> Result<Box<str>, &'static str> {
    let sound = text.contains('@') && text.len() <= 320 && text.bytes().all(|byte| (0x20..0x7F).contains(&byte));
    if sound { Ok(text.into()) } else { Err("no address") }
}

/// A URL, a file that holds one, or a command: one of them.
fn to(section: &mut Section<'_>, at: &Place) -> Option<To> {
    const URL: &str = "write a URL such as \"https://hooks.example.com/x\"";
    const ARGV: &str = "write a path and arguments, such as [\"/usr/sbin/sendmail\", \"-t\"]";
    let given: Vec<&str> = ["url", "url_file", "command"].into_iter().filter(|key| section.place(key).is_some()).collect();
    if given.len() != 1 {
        let message = if given.is_empty() { "nobody is told".to_owned() } else { format!("{} are given", given.join(" and ")) };
        section.findings.error(at, message, "give one of `url`, `url_file` and `command`");
    }
    let url = section.text("url", URL);
    let file = section.path("url_file", "write the path of a file that holds the URL");
    let from_file = file.and_then(|(at, path)| Some((at.clone(), secret_text(&path?, &at, "URL", URL, section.findings)?)));
    let headers = headers(section);
    let (program, arguments) = argv(section, "command", ARGV, "until it can, nobody is told");
    match (url.or(from_file), given.as_slice()) {
        (Some((at, text)), _) => match Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(To::Webhook(url, headers)),
            _ => {
                section.findings.error(&at, "this is no URL of a webhook", URL);
                None
            }
        },
        (None, ["command"]) => {
            let program = program.display().to_string().into();
            Some(To::Command(std::iter::once(program).chain(arguments).collect()))
        }
        (None, _) => None,
    }
}
