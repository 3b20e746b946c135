//! `vote`: by which rule the words of several nodes count.

use super::raw::{Item, Value};
use super::section::Section;
use crate::target::Vote;

const REMEDY: &str = "write \"local\", \"any-up\", \"majority\", \"region-then-majority\", or { quorum = N } for at least N nodes that see it down";

/// The rule; `None`: nothing is said, or nothing that can be used.
pub(super) fn vote(section: &mut Section<'_>) -> Option<Vote> {
    let spelled = section.spell("vote");
    let Item { at, value } = section.item("vote")?;
    let message = match value {
        Value::Text(text) => match &*text {
            "local" => return Some(Vote::Local),
            "any-up" => return Some(Vote::AnyUp),
            "majority" => return Some(Vote::Majority),
            "region-then-majority" => return Some(Vote::RegionThenMajority),
            _ => format!("{spelled} is {text:?}, which is no rule"),
        },
        Value::Table(mut table) => {
            let quorum = table.remove("quorum").map(|setting| setting.item.value);
            match quorum {
                Some(Value::Integer(nodes @ 1..=1000)) if table.is_empty() => {
                    return u16::try_from(nodes).ok().map(Vote::Quorum);
                }
                Some(Value::Integer(nodes)) if table.is_empty() => {
                    format!("{spelled} has a quorum of {nodes}, which is not from 1 to 1000")
                }
                _ => format!("{spelled} is a table of something else than `quorum`, a number of nodes"),
            }
        }
        other => format!("{spelled} is {}, which is no rule", other.kind()),
    };
    section.findings.error(&at, message, REMEDY);
    None
}
