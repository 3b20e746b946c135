//! `POST /api/v1/checks/{key}/report?status=up|down`: a target says how it is.
//!
//! The one call whose caller is no operator: it shows the token of its check (`Authorization: Bearer`), on whichever
//! listener, and may do nothing else with it. What it says is seen by the check's next probe, which is due within the
//! check's interval.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::access::bearer;
use super::problem::Problem;
use crate::target::{CheckKey, Reports, Taken};

/// The reply.
#[derive(Debug, Serialize)]
pub(super) struct ReportedForm {
    /// The published generation.
    pub(super) generation: u64,
    /// The check.
    pub(super) check: String,
    /// What was said, `up` or `down`.
    pub(super) status: &'static str,
}

/// Whether a call is a report, which needs the token of a check and no other.
pub(super) fn is_report(path: &str) -> bool {
    path.strip_prefix("/api/v1/checks/").and_then(|rest| rest.strip_suffix("/report")).is_some_and(|key| !key.contains('/'))
}

/// Takes what is said of the check `key`.
pub(super) fn take(
    reports: &Reports,
    key: &str,
    status: &str,
    headers: &HeaderMap,
    now: Duration,
) -> Result<&'static str, Problem> {
    let (up, status) = match status {
        "up" => (true, "up"),
        "down" => (false, "down"),
        _ => return Err(Problem::parameter("status is `up` or `down`")),
    };
    let shown = headers.get(header::AUTHORIZATION).and_then(bearer).ok_or_else(refused)?;
    let key = u128::from_str_radix(key, 16).ok().filter(|_| key.len() == 32).ok_or_else(refused)?;
    match reports.take(CheckKey(key), shown, up, now) {
        Taken::Taken => Ok(status),
        Taken::Refused => Err(refused()),
    }
}

fn refused() -> Problem {
    let detail = "no check of kind push has this key and this token; the key is that of `leeward checks --json`";
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "not_the_target", "Not the target of this check", detail);
    problem.header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}
