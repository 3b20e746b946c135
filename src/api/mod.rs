//! The admin API: what an operator, a load balancer's health check and Prometheus ask over HTTP.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /livez`, `/healthz` | `ok`; 503 only when the engine or the prober is late by more than 10 s |
//! | `GET /readyz[?verbose]` | `ok`; 503 until zones are loaded and the start gate is open |
//! | `GET /metrics` | Prometheus text |
//! | `GET /api/v1/status` | [`forms::StatusForm`] |
//! | `GET /api/v1/checks` | [`forms::ChecksForm`] |
//! | `GET /api/v1/zones` | [`forms::ZonesForm`] |
//! | `GET /api/v1/events?since=&limit=` | [`forms::EventsForm`]; `since` is a number, a duration or a time |
//! | `GET /api/v1/explain?name=&type=&client=&subnet=&seed=` | [`forms::ExplainForm`] |
//! | `POST /api/v1/reload?dry_run=&zone=&accept=` | [`forms::ReloadForm`] |
//!
//! Every reply carries the generation that it saw or made, as a header and in JSON. Every error is
//! `application/problem+json` (RFC 9457). A parameter that does not exist is an error, not a silent default.
//!
//! - `ask`: the interface to the node: questions through one channel, and the published snapshot.
//! - `access`: who may do what.
//! - `listen`: the control socket and the TCP port, bound before they are served.
//! - `routes`: the calls. `forms`: their replies, types of their own so that inner types stay free to change.
//! - `problem`: errors. `metrics`: the scrape. `explain`: an answer, and why.
//!
//! Never here: the engine's state, a clock (the node passes one in), a global recorder, a body that is read.

mod access;
mod ask;
mod explain;
pub mod forms;
mod listen;
mod metrics;
mod problem;
mod routes;

#[cfg(test)]
mod testing;

pub use access::{Access, Config, Role, Secret, Token};
pub use ask::{Ask, Finding, Lateness, Node, ReloadOutcome, ReloadReport, ReloadRequest, ZoneReport};
pub use explain::explain_form;
pub use forms::Clock;
pub use listen::{Error, Listeners};
pub use metrics::Meters;
pub use routes::router;
