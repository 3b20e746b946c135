//! The answer to a question, and why: the answer routine itself, run with a listener.
//!
//! Nothing is computed a second way, so an explanation cannot differ from the answer. What the engine knows beyond the
//! snapshot (last results, thresholds) is joined by whoever shows it, by [`CheckId`](crate::target::CheckId).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::geo::Places;
use crate::program::{Failure, Step, Under, Visit};
use crate::target::{Status, StatusTable};
use crate::wire::{Class, ClientSubnet, Name, NameRef, QueryBuilder, RecordType};

use super::counters::Transport;
use super::prepared::AnswerSet;
use super::respond::{Ctx, Now, Response, Worker, respond_traced};
use super::snapshot::{Generation, Snapshot, ZoneEntry};

/// A question to be explained.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: RecordType,
    /// The address that asks.
    pub client: IpAddr,
    /// The client subnet option of the query.
    pub subnet: Option<ClientSubnet>,
    /// Decides every draw by chance.
    pub seed: u64,
    /// When it is asked.
    pub now: Now,
}

/// An answer and how it came about.
#[derive(Clone, Debug)]
pub struct Explanation<'s> {
    /// The snapshot that answered.
    pub generation: Generation,
    /// The reply, as sent over TCP.
    pub reply: Vec<u8>,
    /// What happened, in order.
    pub traces: Vec<Trace<'s>>,
}

/// What kind of node answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The name itself.
    Exact,
    /// A wildcard (RFC 4592).
    Wildcard,
    /// A delegation at or above the name.
    Cut,
    /// A redirection of all that is below a name above this one (RFC 6672).
    Dname,
    /// Nothing; the closest encloser is named.
    None,
}

/// One thing that happened on the way to an answer.
#[derive(Clone, Debug)]
pub enum Trace<'s> {
    /// The zone was chosen; `None`: no zone that is served holds the name.
    Zone(Option<&'s ZoneEntry>),
    /// A node was found.
    Found(Found, NameRef<'s>),
    /// A program ran.
    Program {
        /// Its answer set.
        set: &'s AnswerSet,
        /// What it came by, in order.
        trail: Vec<Visit>,
        /// Why it gave no answer, if it gave none.
        failure: Option<Failure>,
    },
    /// A CNAME, stored, drawn or made by a DNAME, was followed.
    Follow(Name),
}

/// Answers `asked` from `snapshot` as a query over TCP would be, and says how. Counts as a query of its zone in no
/// counter: its worker has no slot.
#[must_use]
pub fn explain<'s>(snapshot: &'s Arc<Snapshot>, asked: &Asked) -> Explanation<'s> {
    let request = QueryBuilder::new(&asked.name, asked.rtype, Class::IN).client_subnet(asked.subnet).build();
    let mut worker = Worker::new(usize::MAX, fastrand::Rng::with_seed(asked.seed));
    let client = SocketAddr::new(asked.client, 0);
    let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);
    let ctx = Ctx { client, local, transport: Transport::Tcp, now: asked.now };
    let mut reply = vec![0; usize::from(u16::MAX)];
    let mut traces = Vec::new();
    match respond_traced(snapshot, &mut worker, &ctx, &request, &mut reply, Some(&mut traces)) {
        Response::Reply(len) => reply.truncate(len),
        Response::Drop => reply.clear(),
    }
    Explanation { generation: snapshot.generation, reply, traces }
}

impl AnswerSet {
    /// Why a piece of the program offers what it offers under `statuses`. Empty for code that could not be compiled.
    #[must_use]
    pub fn steps(&self, piece: u16, statuses: &StatusTable, places: &Places) -> Vec<Step> {
        let Some(program) = self.prepared().program() else { return Vec::new() };
        let status = |at: usize| self.checks().get(at).map_or(Status::NEVER, |&id| statuses.get(id));
        let asked = program.checks().len();
        let standing = |at: usize| status(asked + at);
        program.explain(piece, &Under { status: &status, standing: &standing, places })
    }
}
