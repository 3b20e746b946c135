//! The words in which a place is told.

use super::News;

/// In which words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Template {
    /// The event as the API has it, and the node's name.
    Json,
    /// A message for Slack's incoming webhooks, and what takes the same: Mattermost, Rocket.Chat, Discord's `/slack`.
    Slack,
    /// A mail (RFC 5322) for what takes one on its standard input, such as `sendmail -t`, which adds the date.
    Email {
        /// Whom it comes from.
        from: Box<str>,
        /// Whom it goes to.
        to: Box<str>,
    },
}

/// Characters of a subject; the text has the whole.
const SUBJECT_MAX: usize = 120;

impl Template {
    /// The media type, and the text.
    pub(super) fn fill(&self, news: &News) -> (&'static str, String) {
        match self {
            Self::Json => ("application/json", news.json.clone()),
            Self::Slack => {
                let text = format!("*{}*: {}", slack(&news.node), slack(&news.text));
                ("application/json", serde_json::json!({ "text": text }).to_string())
            }
            Self::Email { from, to } => ("message/rfc822", mail(from, to, news)),
        }
    }
}

/// Slack reads these three as markup.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn mail(from: &str, to: &str, news: &News) -> String {
    let News { number, at, kind, text, node, .. } = news;
    let subject = encoded(&format!("[leeward {node}] {text}"));
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 8bit\r\nAuto-Submitted: auto-generated\r\n\r\n\
         {text}\r\n\r\nnode: {node}\r\ntime: {at}\r\nevent: {kind}, number {number}\r\n"
    )
}

/// A subject on one line; what is not ASCII in encoded words (RFC 2047), each of at most 75 characters.
fn encoded(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SUBJECT_MAX).collect();
    if text.is_ascii() {
        return text;
    }
    let mut words: Vec<String> = vec![String::new()];
    for c in text.chars() {
        let last = words.last_mut().expect("there is always one");
        if last.len() + c.len_utf8() > 45 {
            words.push(c.to_string());
        } else {
            last.push(c);
        }
    }
    let word = |word: &String| format!("=?utf-8?B?{}?=", data_encoding::BASE64.encode(word.as_bytes()));
    words.iter().map(word).collect::<Vec<_>>().join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(text: &str) -> News {
        let json = "{}".to_owned();
        let at = "2026-01-02T03:04:05.678Z".to_owned();
        News { number: 7, at, kind: "transition".into(), text: text.into(), node: "eu-1".into(), json }
    }

    #[test]
    fn slack_reads_no_markup_into_it() {
        let (_, text) = Template::Slack.fill(&news("a <!channel> & \"b\" -> c"));
        assert_eq!(text, r#"{"text":"*eu-1*: a &lt;!channel&gt; &amp; \"b\" -&gt; c"}"#);
    }

    #[test]
    fn a_mail_has_one_subject_whatever_the_text() {
        let template = Template::Email { from: "leeward@example.com".into(), to: "oncall@example.com".into() };
        let (_, mail) = template.fill(&news("down\r\nBcc: everyone@example.com"));
        let (head, body) = mail.split_once("\r\n\r\n").expect("a head and a body");
        assert!(
            head.contains("Subject: [leeward eu-1] down  Bcc: everyone@example.com\r\n") && !head.contains("\nBcc"),
            "{head}"
        );
        assert!(body.contains("time: 2026-01-02T03:04:05.678Z\r\n"), "{body}");
        let (_, mail) = template.fill(&news(&"ü".repeat(200)));
        let subject: Vec<&str> = mail.lines().skip_while(|line| !line.starts_with("Subject")).take(6).collect();
        assert!(subject[1].starts_with(" =?utf-8?B?") && subject.iter().all(|line| line.len() <= 85), "{subject:?}");
    }
}
