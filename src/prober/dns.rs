//! The DNS check: a question, its response code, and data that the answer must have.
//!
//! Over UDP the socket is connected, so that what others send is not seen and a refusal is; replies that are not to this
//! question are passed over. A truncated reply is complete enough unless data is looked for: then the question is asked
//! again over TCP.
//!
//! Never here: the time limit, retries.

use std::net::{IpAddr, SocketAddr};

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::errors::{Source, Unmet, classify};
use super::{tcp, udp};
use crate::target::{DnsCheck, Failure, Inconclusive, Rcode};

/// Octets of a reply over UDP: no EDNS, but some send more all the same.
const REPLY_MAX: usize = 4096;

/// One question on its way.
struct Asking<'a> {
    from: Option<IpAddr>,
    to: SocketAddr,
    check: &'a DnsCheck,
    id: u16,
    question: Query,
}

/// Asks, and compares the answer.
pub(super) async fn probe(from: Option<IpAddr>, to: SocketAddr, check: &DnsCheck) -> Result<(), Unmet> {
    let name = Name::from_ascii(&check.name).map_err(|_| Inconclusive::Internal)?;
    let question = Query::query(name, RecordType::from(check.rtype));
    let asking = Asking { from, to, check, id: fastrand::u16(..), question };
    let query = asking.query()?;
    let reply = match check.tcp {
        true => asking.over_tcp(&query).await?,
        false => match asking.over_udp(&query).await? {
            cut if cut.metadata.truncation && check.answer.is_some() => asking.over_tcp(&query).await?,
            reply => reply,
        },
    };
    asking.judge(&reply)
}

impl Asking<'_> {
    fn query(&self) -> Result<Vec<u8>, Inconclusive> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = self.check.recursion;
        message.add_query(self.question.clone());
        message.to_vec().map_err(|_| Inconclusive::Internal)
    }

    async fn over_udp(&self, query: &[u8]) -> Result<Message, Unmet> {
        let socket = udp::connect(self.from, self.to)?;
        socket.send(query).await.map_err(|error| classify(Source::Host, &error))?;
        let mut octets = [0; REPLY_MAX];
        loop {
            let length = socket.recv(&mut octets).await.map_err(|error| classify(Source::Network, &error))?;
            let octets = &octets[..length];
            if !octets.starts_with(&self.id.to_be_bytes()) {
                continue;
            }
            match Message::from_vec(octets) {
                Ok(reply) if self.is_answered_by(&reply) => return Ok(reply),
                Ok(_) => {}
                Err(error) => return Err(unreadable(&error)),
            }
        }
    }

    async fn over_tcp(&self, query: &[u8]) -> Result<Message, Unmet> {
        let network = |error: std::io::Error| classify(Source::Network, &error);
        let mut stream = tcp::connect(self.from, self.to).await?;
        let length = u16::try_from(query.len()).map_err(|_| Inconclusive::Internal)?;
        let framed: Vec<u8> = length.to_be_bytes().iter().chain(query).copied().collect();
        stream.write_all(&framed).await.map_err(network)?;
        let length = stream.read_u16().await.map_err(network)?;
        let mut octets = vec![0; usize::from(length)];
        stream.read_exact(&mut octets).await.map_err(network)?;
        match Message::from_vec(&octets) {
            Ok(reply) if self.is_answered_by(&reply) => Ok(reply),
            Ok(_) => Err(Failure::Protocol("a reply to another question".into()).into()),
            Err(error) => Err(unreadable(&error)),
        }
    }

    /// Whether it is a reply to this question. Servers that understand nothing repeat no question.
    fn is_answered_by(&self, reply: &Message) -> bool {
        let ours = |query: &Query| query.name() == self.question.name() && query.query_type() == self.question.query_type();
        let of_error = u16::from(reply.metadata.response_code) != 0;
        let asked = reply.queries.first().map_or(of_error, ours);
        reply.metadata.id == self.id && reply.metadata.message_type == MessageType::Response && asked
    }

    fn judge(&self, reply: &Message) -> Result<(), Unmet> {
        let (got, wanted) = (Rcode(u16::from(reply.metadata.response_code)), self.check.rcode);
        if got != wanted {
            return Err(Failure::Rcode { got, wanted }.into());
        }
        let Some(wanted) = &self.check.answer else { return Ok(()) };
        let asked = |record: &&hickory_proto::rr::Record| record.record_type() == self.question.query_type();
        let found = reply.answers.iter().filter(asked).any(|record| is_data(&record.data.to_string(), wanted));
        if found { Ok(()) } else { Err(Failure::Answer.into()) }
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> Unmet {
    Failure::Protocol(error.to_string().into()).into()
}

/// Whether two texts are the same data: addresses by their value, all else without case, quotes and final dots.
fn is_data(found: &str, wanted: &str) -> bool {
    match (found.parse::<IpAddr>(), wanted.parse::<IpAddr>()) {
        (Ok(found), Ok(wanted)) => found == wanted,
        _ => plain(found).eq_ignore_ascii_case(plain(wanted)),
    }
}

fn plain(text: &str) -> &str {
    text.trim_matches('"').trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UdpSocket;

    fn check(answer: Option<&str>) -> DnsCheck {
        let (name, mnemonic, answer) = ("www.example.test.".into(), "A".into(), answer.map(Into::into));
        DnsCheck { name, rtype: 1, mnemonic, tcp: false, recursion: true, rcode: Rcode::NOERROR, answer }
    }

    /// What a probe makes of the datagrams that `reply` makes of its query.
    async fn judged(check: DnsCheck, reply: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Result<(), Unmet> {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = server.local_addr().unwrap();
        let probe = tokio::spawn(async move { probe(None, to, &check).await });
        let mut query = [0; 512];
        let (length, peer) = server.recv_from(&mut query).await.unwrap();
        for datagram in reply(&query[..length]) {
            server.send_to(&datagram, peer).await.unwrap();
        }
        probe.await.unwrap()
    }

    fn answered(query: &[u8]) -> Vec<u8> {
        let mut reply = query.to_vec();
        reply[2] |= 0x80;
        reply
    }

    #[tokio::test]
    async fn replies_to_other_questions_are_passed_over() {
        let noise = |query: &[u8]| {
            let mut other_id = answered(query);
            other_id[0] ^= 1;
            let mut other_name = answered(query);
            other_name[13] ^= 1;
            vec![query.to_vec(), other_id, other_name, b"x".to_vec(), answered(query)]
        };
        assert_eq!(judged(check(None), noise).await, Ok(()));
    }

    #[tokio::test]
    async fn what_cannot_be_read_and_what_lacks_is_told_apart() {
        let cut = |query: &[u8]| vec![answered(query)[..14].to_vec()];
        assert!(matches!(judged(check(None), cut).await, Err(Unmet::Fail(Failure::Protocol(_)))));
        let empty = |query: &[u8]| vec![answered(query)];
        assert_eq!(judged(check(Some("192.0.2.1")), empty).await, Err(Failure::Answer.into()));
        let refused = |query: &[u8]| {
            let mut reply = answered(query);
            reply[3] |= 5;
            vec![reply]
        };
        let unlike = Failure::Rcode { got: Rcode(5), wanted: Rcode::NOERROR };
        assert_eq!(judged(check(None), refused).await, Err(unlike.into()));
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_refuses() {
        let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(probe(None, closed, &check(None)).await, Err(Failure::Refused.into()));
    }

    #[test]
    fn data_is_compared_by_what_it_means() {
        for (found, wanted, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("2001:db8::1", "2001:DB8:0::1", true),
            ("192.0.2.1", "192.0.2.11", false),
            ("ns.Example.test.", "ns.example.TEST", true),
            ("v=1", "\"v=1\"", true),
            ("v=1", "v=2", false),
        ] {
            assert_eq!(is_data(found, wanted), same, "{found} {wanted}");
        }
    }
}
