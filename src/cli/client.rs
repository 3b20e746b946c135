//! Finds the server and asks it.
//!
//! Which server, the first of these that is there:
//!
//! 1. `--socket` or `--url`
//! 2. `LEEWARD_URL`
//! 3. the control socket at its default place, if a server answers there
//! 4. the admin port at its default address
//!
//! A token (`--token-file`, `LEEWARD_TOKEN_FILE`) goes with addresses only: the control socket needs none.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::api::forms::ProblemForm;
use crate::notify::innermost;

use super::args::ClientArgs;

const SOCKET: &str = "/run/leeward/control.sock";
const URL: &str = "http://127.0.0.1:8053";
/// Longer than any call may take on the server.
const REPLY_WITHIN: Duration = Duration::from_secs(75);
/// A stream that does not even say that there is nothing to say, for three times as long as it should, is broken.
const SILENT: Duration = Duration::from_secs(45);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// Nobody is there, or it is no leeward.
    #[error("cannot reach the server at {server}: {reason}\nis it running? name another with --socket or --url")]
    Unreachable { server: String, reason: String },
    /// The answer is an error.
    #[error("{}", super::show::problem(.0))]
    Refused(Box<ProblemForm>, Value),
    /// What the user said cannot be used.
    #[error("{0}")]
    Usage(String),
}

/// Where the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Server {
    Socket(PathBuf),
    Url(Url),
}

/// A connection to be made.
#[derive(Debug)]
pub(super) struct Client {
    server: Server,
    token: Option<String>,
}

impl Client {
    pub(super) fn find(args: &ClientArgs) -> Result<Self, Failed> {
        let env = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let server = server(args, env("LEEWARD_URL"), |path| std::os::unix::net::UnixStream::connect(path).is_ok())?;
        let file = args.token_file.clone().or_else(|| env("LEEWARD_TOKEN_FILE").map(PathBuf::from));
        let token = file.filter(|_| matches!(server, Server::Url(_))).map(|file| read_token(&file)).transpose()?;
        Ok(Self { server, token })
    }

    /// The reply to a call without a body, as JSON and as its form.
    pub(super) fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<(Value, T)> {
        let value = self.exchange(method, path, query)?;
        let form = serde_json::from_value(value.clone()).context("the server speaks another version of the API")?;
        Ok((value, form))
    }

    fn exchange(&self, method: Method, path: &str, query: &[(&str, String)]) -> anyhow::Result<Value> {
        install_provider();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (status, body) = runtime.block_on(self.send(method, path, query)).map_err(|error| self.unreachable(&error))?;
        let value: Value = serde_json::from_str(&body).unwrap_or_default();
        if status.is_success() && value.is_object() {
            return Ok(value);
        }
        Err(self.refused(status, value).into())
    }

    /// A stream of events that goes on after the one with the number `last`.
    pub(super) async fn stream(
        &self,
        path: &str,
        query: &[(&str, String)],
        last: Option<&str>,
    ) -> anyhow::Result<reqwest::Response> {
        install_provider();
        let builder = reqwest::Client::builder().read_timeout(SILENT);
        let begin = async {
            let request = self.request(builder, Method::GET, path, query)?.header("accept", "text/event-stream");
            last.iter().fold(request, |request, last| request.header("last-event-id", *last)).send().await
        };
        let response = begin.await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, body) = (response.status(), response.text().await.unwrap_or_default());
        Err(self.refused(status, serde_json::from_str(&body).unwrap_or_default()).into())
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<(http::StatusCode, String), reqwest::Error> {
        let builder = reqwest::Client::builder().timeout(REPLY_WITHIN);
        let response = self.request(builder, method, path, query)?.send().await?;
        Ok((response.status(), response.text().await?))
    }

    fn request(
        &self,
        builder: reqwest::ClientBuilder,
        method: Method,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<reqwest::RequestBuilder, reqwest::Error> {
        let builder = builder.connect_timeout(CONNECT_WITHIN);
        let (builder, base) = match &self.server {
            Server::Socket(path) => (builder.unix_socket(path.as_path()).no_proxy(), "http://localhost"),
            Server::Url(url) => (builder, url.as_str().trim_end_matches('/')),
        };
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let mark = if query.is_empty() { "" } else { "?" };
        let request = builder.build()?.request(method, format!("{base}{path}{mark}{query}"));
        Ok(self.token.iter().fold(request, |request, token| request.bearer_auth(token)))
    }

    fn refused(&self, status: http::StatusCode, value: Value) -> Failed {
        match serde_json::from_value::<ProblemForm>(value.clone()) {
            Ok(problem) if problem.status != 0 => Failed::Refused(Box::new(problem), value),
            _ => Failed::Unreachable { server: self.to_string(), reason: format!("HTTP {status}, not a leeward answer") },
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failed {
        Failed::Unreachable { server: self.to_string(), reason: innermost(error) }
    }
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.server {
            Server::Socket(path) => path.display().fmt(f),
            Server::Url(url) => url.as_str().trim_end_matches('/').fmt(f),
        }
    }
}

fn server(args: &ClientArgs, env: Option<OsString>, answers: impl Fn(&Path) -> bool) -> Result<Server, Failed> {
    if let Some(path) = &args.socket {
        return Ok(Server::Socket(path.clone()));
    }
    if let Some(text) = args.url.clone().or_else(|| env.map(|text| text.to_string_lossy().into_owned())) {
        return parse_url(&text);
    }
    if answers(Path::new(SOCKET)) { Ok(Server::Socket(SOCKET.into())) } else { parse_url(URL) }
}

fn parse_url(text: &str) -> Result<Server, Failed> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Server::Url(url)),
        _ => Err(Failed::Usage(format!("{text:?} is not an address of a server; it should look like {URL}"))),
    }
}

fn read_token(file: &Path) -> Result<String, Failed> {
    let unusable = |why: String| Failed::Usage(format!("the token file {}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error: io::Error| unusable(error.to_string()))?;
    match text.trim() {
        "" => Err(unusable("it is empty".to_owned())),
        token => Ok(token.to_owned()),
    }
}

/// Refused only when a provider is installed already, which is as good.
fn install_provider() {
    drop(rustls::crypto::ring::default_provider().install_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_that_is_named_wins() {
        let socket = ClientArgs { socket: Some("/x.sock".into()), ..ClientArgs::default() };
        let url = ClientArgs { url: Some("http://named:1".into()), ..ClientArgs::default() };
        let none = ClientArgs::default();
        let env = || Some(OsString::from("http://env:2"));
        let found = |args: &ClientArgs, env, answers: bool| {
            Client { server: server(args, env, |_| answers).unwrap(), token: None }.to_string()
        };
        assert_eq!(found(&socket, env(), true), "/x.sock");
        assert_eq!(found(&url, env(), true), "http://named:1");
        assert_eq!(found(&none, env(), true), "http://env:2");
        assert_eq!(found(&none, None, true), SOCKET);
        assert_eq!(found(&none, None, false), URL);
        assert!(matches!(server(&none, Some("localhost:8053".into()), |_| true), Err(Failed::Usage(_))));
    }

    /// Answers one request on `stream` with `reply`, and gives back the request's head.
    fn answer(mut stream: impl io::Read + io::Write, reply: &str) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut octet = [0];
            stream.read_exact(&mut octet).unwrap();
            head.extend_from_slice(&octet);
        }
        stream.write_all(reply.as_bytes()).unwrap();
        String::from_utf8(head).unwrap().to_lowercase()
    }

    fn reply(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    #[test]
    fn a_control_socket_is_asked_without_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let serving = std::thread::spawn(move || answer(listener.accept().unwrap().0, &reply("200 OK", "{\"generation\": 4}")));
        let args = ClientArgs { socket: Some(path.clone()), token_file: Some("/no/such/file".into()), ..ClientArgs::default() };
        let query = [("name", "a&b=c".to_owned())];
        let (value, _) = Client::find(&args).unwrap().call::<Value>(Method::GET, "/api/v1/explain", &query).unwrap();
        assert_eq!(value["generation"], 4);
        let head = serving.join().unwrap();
        assert!(head.starts_with("get /api/v1/explain?name=a%26b%3dc http/1.1\r\n") && !head.contains("authorization"), "{head}");
        drop(dir);
        let gone = Client::find(&args).unwrap().call::<Value>(Method::GET, "/", &[]).unwrap_err();
        assert!(matches!(gone.downcast_ref(), Some(Failed::Unreachable { .. })), "{gone}");
    }

    #[test]
    fn an_address_is_asked_with_the_token() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let body = r#"{"type": "check_regression", "title": "Refused", "status": 409, "detail": "no", "regressions": []}"#;
        let serving = std::thread::spawn(move || answer(listener.accept().unwrap().0, &reply("409 Conflict", body)));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "swordfish\n").unwrap();
        let args = ClientArgs { url: Some(url), token_file: Some(file.path().into()), ..ClientArgs::default() };
        let refused = Client::find(&args).unwrap().call::<Value>(Method::POST, "/api/v1/reload", &[]).unwrap_err();
        assert!(
            matches!(refused.downcast_ref(), Some(Failed::Refused(problem, _)) if problem.kind == "check_regression"),
            "{refused}"
        );
        let head = serving.join().unwrap();
        assert!(
            head.starts_with("post /api/v1/reload http/1.1\r\n") && head.contains("authorization: bearer swordfish\r\n"),
            "{head}"
        );
    }
}
