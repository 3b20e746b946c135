//! Errors as RFC 9457 problem details.
//!
//! A problem is made where something goes wrong and written in one place (`routes`), which knows the generation that
//! every reply carries: until then it travels as an extension of an empty response. `type` is a word of the contract,
//! a relative URI reference; `detail` says what was asked and what would be right.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::answers::Generation;

/// The media type of RFC 9457 3.
const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// What went wrong with a request.
#[derive(Clone, Debug)]
pub(super) struct Problem(Box<Content>);

#[derive(Clone, Debug)]
struct Content {
    status: StatusCode,
    kind: &'static str,
    title: &'static str,
    detail: String,
    members: Map<String, Value>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let (detail, members) = (detail.into(), Map::new());
        Self(Box::new(Content { status, kind, title, detail, members, header: None }))
    }

    /// A parameter that is unknown, malformed or missing.
    pub(super) fn parameter(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_parameter", "Bad parameter", detail)
    }

    /// The engine does not answer.
    pub(super) fn silent(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::new(status, "engine_silent", "The engine does not answer", detail)
    }

    /// With an extension member.
    pub(super) fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or_default();
        self.0.members.insert(name.to_owned(), value);
        self
    }

    /// With a header of the response.
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    pub(super) const fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The response as it is sent, in place of the empty one that carried it.
    pub(super) fn write(self, carrier: Response, generation: Generation) -> Response {
        let Content { status, kind, title, detail, members, header } = *self.0;
        let mut body = json!({ "type": kind, "title": title, "status": status.as_u16(), "detail": detail });
        if let Some(body) = body.as_object_mut() {
            body.insert("generation".to_owned(), generation.0.into());
            body.extend(members);
        }
        let (mut parts, _) = carrier.into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        parts.headers.extend(header);
        Response::from_parts(parts, body.to_string().into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut carrier = self.status().into_response();
        carrier.extensions_mut().insert(self);
        carrier
    }
}
