//! Carries what happens to those who are to be told: webhooks and commands.
//!
//! A [`Carrier`] takes one piece of [`News`] to one place, within a time limit, and says how that went; `template` puts it into
//! the words that the place expects. A webhook is a POST whose answer must be a success; redirects are not followed, for a URL
//! may hold a secret that is nobody else's. A command gets the text on its standard input; no shell reads anything of it, and
//! what it has started is killed with it when its time is over.
//!
//! Never here: what happens, who is told of what, when it is tried again (`node`).

mod template;

use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode, header};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use url::Url;

pub use template::Template;

/// What a command searches for its own commands where we have no PATH ourselves.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `[notify.NAME]`: whom to tell, of what, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub name: Box<str>,
    /// Where the news goes.
    pub to: To,
    /// In which words.
    pub template: Template,
    /// Kinds of events; none: all.
    pub kinds: Vec<Box<str>>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Events that may wait, at least 1; the oldest are dropped beyond that.
    pub backlog: usize,
}

/// Where news goes.
#[derive(Clone, PartialEq, Eq)]
pub enum To {
    /// A URL that takes POST, and more headers.
    Webhook(Url, Box<[(HeaderName, HeaderValue)]>),
    /// A program and its arguments.
    Command(Box<[Box<str>]>),
}

impl fmt::Debug for To {
    /// Without what may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook(url, _) => write!(f, "Webhook({})", url.host_str().unwrap_or_default()),
            Self::Command(argv) => write!(f, "Command({})", argv.first().map_or("", |program| program)),
        }
    }
}

/// Something that happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Its number.
    pub number: u64,
    /// When, in RFC 3339.
    pub at: String,
    /// Its kind, in a word.
    pub kind: String,
    /// What, as a sentence.
    pub text: String,
    /// The node that it happened on.
    pub node: String,
    /// All of it as a JSON object.
    pub json: String,
}

/// Why news did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// It may another time.
    #[error("{0}")]
    Yet(String),
    /// It would be refused again.
    #[error("refused for good: {0}")]
    Ever(String),
}

/// Takes news to one place.
#[derive(Clone, Debug)]
pub struct Carrier {
    to: To,
    template: Template,
    timeout: Duration,
    client: reqwest::Client,
}

impl Carrier {
    /// A carrier for what `config` says.
    ///
    /// # Errors
    /// [`reqwest::Error`]: this host has no trust store, or none that can be read.
    pub fn new(config: &Config) -> Result<Self, reqwest::Error> {
        // Refused only when a provider is installed already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(config.timeout);
        let Config { to, template, timeout, .. } = config.clone();
        Ok(Self { to, template, timeout, client: client.build()? })
    }

    /// One attempt.
    ///
    /// # Errors
    /// [`Undelivered`]: whether another attempt is worth while, and what went wrong, without secrets.
    pub async fn carry(&self, news: &News) -> Result<(), Undelivered> {
        let (media_type, text) = self.template.fill(news);
        match &self.to {
            To::Webhook(url, headers) => self.post(url, headers, (media_type, text)).await,
            To::Command(argv) => match tokio::time::timeout(self.timeout, run(argv, &text, &news.kind)).await {
                Ok(ran) => ran,
                Err(_) => Err(Undelivered::Yet(format!("the command took longer than {:?} and was killed", self.timeout))),
            },
        }
    }

    async fn post(
        &self,
        url: &Url,
        headers: &[(HeaderName, HeaderValue)],
        (media_type, text): (&'static str, String),
    ) -> Result<(), Undelivered> {
        let request = self.client.post(url.clone()).header(header::CONTENT_TYPE, media_type);
        let request = request.header(header::USER_AGENT, concat!("leeward/", env!("CARGO_PKG_VERSION")));
        let own = headers.iter().fold(http::HeaderMap::new(), |mut own, (name, value)| {
            own.insert(name, value.clone());
            own
        });
        let response = request.headers(own).body(text).send().await;
        let response = response.map_err(|error| Undelivered::Yet(innermost(&error.without_url())))?;
        judged(response.status())
    }
}

/// What a webhook's answer means: what is wrong with the message itself does not go away by sending it again.
fn judged(status: StatusCode) -> Result<(), Undelivered> {
    let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    let said = || format!("HTTP status {status}");
    match status {
        status if status.is_success() => Ok(()),
        // A token that is being replaced, a path that is being deployed: worth another attempt.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Err(Undelivered::Yet(said())),
        status if status.is_client_error() && !passing.contains(&status) => Err(Undelivered::Ever(said())),
        _ => Err(Undelivered::Yet(said())),
    }
}

/// A command that runs. When this goes, it and all that it has started are killed.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Without a number it has been waited for, and the number may be another's.
        if let Some(group) = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            let _it_may_have_ended = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn run(argv: &[Box<str>], text: &str, kind: &str) -> Result<(), Undelivered> {
    let failed = |what: &str, error: std::io::Error| Undelivered::Yet(format!("the command {what}: {error}"));
    let Some((program, arguments)) = argv.split_first() else { return Err(Undelivered::Ever("no command".to_owned())) };
    let mut command = Command::new(&**program);
    command.args(arguments.iter().map(|argument| &**argument)).env_clear().env("LEEWARD_EVENT", kind).current_dir("/");
    command.env("PATH", std::env::var_os("PATH").unwrap_or_else(|| PATH.into()));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).kill_on_drop(true);
    let mut running = Running(command.spawn().map_err(|error| failed("cannot be started", error))?);
    if let Some(mut input) = running.0.stdin.take() {
        // One that does not read it may know all that it needs.
        let _its_exit_code_tells = input.write_all(text.as_bytes()).await;
    }
    let status = running.0.wait().await.map_err(|error| failed("cannot be waited for", error))?;
    match status.code() {
        Some(0) => Ok(()),
        Some(code) => Err(Undelivered::Yet(format!("the command ended with exit code {code}"))),
        None => Err(Undelivered::Yet("the command was killed".to_owned())),
    }
}

/// What an error comes down to: "connection refused", not "error sending request".
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    fn config(to: To) -> Config {
        let (template, timeout) = (Template::Json, Duration::from_secs(20));
        Config { name: "x".into(), to, template, kinds: Vec::new(), timeout, backlog: 10 }
    }

    fn news() -> News {
        let text = "tcp 192.0.2.1:80: up -> down".into();
        News { number: 7, kind: "transition".into(), text, json: "{\"number\":7}".into(), ..News::default() }
    }

    /// Answers one request with this status line; gives what was sent.
    async fn answers(listener: &TcpListener, status: &str) -> String {
        let (mut stream, _) = listener.accept().await.expect("accepted");
        let mut request = Vec::new();
        while !request.ends_with(b"{\"number\":7}") {
            assert!(stream.read_buf(&mut request).await.expect("read") > 0);
        }
        let reply = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nLocation: http://192.0.2.1/\r\nConnection: close\r\n\r\n");
        stream.write_all(reply.as_bytes()).await.expect("written");
        String::from_utf8(request).expect("text").to_lowercase()
    }

    #[tokio::test]
    async fn a_webhook_is_told_and_its_answer_counts() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let url: Url = format!("http://{}/hook/swordfish", listener.local_addr().expect("bound")).parse().expect("a URL");
        let headers = [(header::AUTHORIZATION, HeaderValue::from_static("Bearer swordfish"))];
        let carrier = Carrier::new(&config(To::Webhook(url, headers.into()))).expect("a client");
        for (status, expected) in [("204 No Content", true), ("503 No", false), ("429 Slow", false), ("404 No", false)] {
            let news = news();
            let (sent, request) = tokio::join!(carrier.carry(&news), answers(&listener, status));
            assert!(request.starts_with("post /hook/swordfish ") && request.contains("authorization: bearer swordfish\r\n"));
            assert!(request.contains("content-type: application/json\r\n"), "{request}");
            assert!(if expected { sent.is_ok() } else { matches!(sent, Err(Undelivered::Yet(_))) }, "{status}: {sent:?}");
        }
        for status in ["400 Bad", "302 Elsewhere"] {
            let news = news();
            let (sent, _) = tokio::join!(carrier.carry(&news), answers(&listener, status));
            assert_eq!(matches!(sent, Err(Undelivered::Ever(_))), status == "400 Bad", "{sent:?}");
        }
        drop(listener);
        let Err(Undelivered::Yet(why)) = carrier.carry(&news()).await else { panic!("nobody is there") };
        assert!(why.contains("refused") && !why.contains("swordfish"), "{why}");
        assert!(!format!("{carrier:?}").contains("swordfish"));
    }

    #[tokio::test]
    async fn a_command_reads_it_from_its_input() {
        let folder = tempfile::tempdir().expect("tempdir");
        let file = folder.path().join("told").display().to_string();
        let argv = |script: &str| -> Box<[Box<str>]> { ["/bin/sh", "-c", script, "sh", &file].map(Into::into).into() };
        let carrier = |argv| Carrier::new(&config(To::Command(argv))).expect("a client");
        carrier(argv("cat > \"$1\"; echo \" $LEEWARD_EVENT\" >> \"$1\"")).carry(&news()).await.expect("told");
        assert_eq!(std::fs::read_to_string(&file).expect("written"), "{\"number\":7} transition\n");
        assert_eq!(
            carrier(argv("exit 3")).carry(&news()).await,
            Err(Undelivered::Yet("the command ended with exit code 3".into()))
        );
        let missing = carrier(["/no/such/program".into()].into()).carry(&news()).await;
        assert!(matches!(missing, Err(Undelivered::Yet(why)) if why.contains("cannot be started")));
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_its_children() {
        let folder = tempfile::tempdir().expect("tempdir");
        let pid_file = folder.path().join("pid").display().to_string();
        let script = "sleep 600 & echo $! > \"$1\"; wait";
        let argv = ["/bin/sh", "-c", script, "sh", &pid_file].map(Into::into).into();
        let carrier = Carrier::new(&Config { timeout: Duration::from_secs(2), ..config(To::Command(argv)) }).expect("a client");
        assert!(matches!(carrier.carry(&news()).await, Err(Undelivered::Yet(why)) if why.contains("killed")));
        let child: i32 = std::fs::read_to_string(&pid_file).expect("it was started").trim().parse().expect("a number");
        let child = Pid::from_raw(child).expect("a process");
        let is_alive = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.as_raw_nonzero())).unwrap_or_default();
            !(stat.is_empty() || stat.contains(") Z "))
        };
        while is_alive() {
            tokio::task::yield_now().await;
        }
    }
}
