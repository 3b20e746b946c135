//! Heeds what queries leave to be told: writes log lines, a few in a second, and hands wishes on.
//!
//! A thread of its own: a log that blocks must block nothing else.

use std::borrow::Cow;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use super::clock;
use super::drive::Message;
use super::resolver::Resolver;
use crate::answers::Notice;
use crate::control::Event;
use crate::geo::Fence;
use crate::health::Moment;
use crate::target::CheckRequest;
use crate::wire::Name;

/// Lines in a second, of all programs together.
const LINES_MAX: u32 = 5;
const SECOND: Duration = Duration::from_secs(1);

/// Where notices arrive, and where wishes go.
pub(super) struct Listener {
    pub(super) engine: Sender<Message>,
    pub(super) resolver: Resolver,
    /// `[prober] deny` and `allow`.
    pub(super) fence: Fence,
    pub(super) lines: Lines,
}

impl Listener {
    /// Listens as long as anybody can tell anything.
    pub(super) fn run(mut self, mut notices: Receiver<Notice>) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime,
            Err(error) => return tracing::error!(%error, "no runtime to listen to record programs"),
        };
        runtime.block_on(async {
            loop {
                let told = timeout(SECOND, notices.recv()).await;
                if let Some(count) = self.lines.left_out(clock::now()) {
                    tracing::warn!("record programs: {count} more lines were left out");
                }
                match told {
                    Ok(Some(notice)) => self.take_in(notice),
                    Ok(None) => return,
                    Err(_nothing_told) => {}
                }
            }
        });
    }

    fn take_in(&mut self, notice: Notice) {
        match notice {
            Notice::WantsCheck(wish) => self.wants_check(wish),
            Notice::WantsAnswer(name, rtype) => self.resolver.want(name, rtype),
            Notice::Failed { name, rtype, zone, why } => {
                if self.lines.admit(clock::now()) {
                    tracing::warn!(%zone, "{name} LUA {rtype}: {}", one_line(&why));
                }
            }
            Notice::Logged { level, message } => {
                if self.lines.admit(clock::now()) {
                    log(level, &one_line(&message));
                }
            }
        }
    }

    fn wants_check(&mut self, wish: Box<(CheckRequest, Name)>) {
        let (request, zone) = &*wish;
        let denied = request.spec.named_address().and_then(|address| Some((address, self.fence.forbids(address)?)));
        match denied {
            None => drop(self.engine.send(Message::Event(Event::Wanted(wish)))),
            Some((address, why)) if self.lines.admit(clock::now()) => {
                tracing::warn!(%zone, "a record program wants {} probed, and {address} may not be: {why}", request.spec);
            }
            Some(_) => {}
        }
    }
}

/// At the level that syslog's number stands for.
fn log(level: u8, message: &str) {
    match level {
        0..=3 => tracing::error!("record program: {message}"),
        4 => tracing::warn!("record program: {message}"),
        5 | 6 => tracing::info!("record program: {message}"),
        _ => tracing::debug!("record program: {message}"),
    }
}

/// What a program says may hold what its client chose: no line of the log is anybody else's to begin.
fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(shown).collect())
}

/// Who may write: [`LINES_MAX`] in a second, and the rest is counted.
#[derive(Debug, Default)]
pub(super) struct Lines {
    since: Option<Moment>,
    written: u32,
    left_out: u64,
}

impl Lines {
    /// Whether a line may be written.
    fn admit(&mut self, now: Moment) -> bool {
        if self.since.is_none_or(|since| now.since(since) >= SECOND) {
            (self.since, self.written) = (Some(now), 0);
        }
        let admitted = self.written < LINES_MAX;
        if admitted {
            self.written += 1;
        } else {
            self.left_out += 1;
        }
        admitted
    }

    /// How many lines were left out, once their second is over.
    fn left_out(&mut self, now: Moment) -> Option<u64> {
        let over = self.since.is_some_and(|since| now.since(since) >= SECOND);
        (over && self.left_out > 0).then(|| std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lines_in_a_second_and_a_count_of_the_rest() {
        let (mut lines, at) = (Lines::default(), |millis| Moment::at(Duration::from_millis(millis)));
        assert_eq!((0..100).filter(|_| lines.admit(at(5_000))).count(), LINES_MAX as usize);
        assert_eq!(lines.left_out(at(5_999)), None);
        assert_eq!(lines.left_out(at(6_000)), Some(100 - u64::from(LINES_MAX)));
        assert_eq!(lines.left_out(at(6_000)), None);
        assert!(lines.admit(at(6_000)));
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(one_line("a\nleeward stopped\u{1b}[0m"), "a\\nleeward stopped\\u{1b}[0m");
    }
}
