//! leeward: an authoritative DNS server for a delegated GSLB zone.
//!
//! Zone files hold **record programs** (PowerDNS-compatible `LUA` records) that say how to answer. leeward probes their
//! targets itself and publishes **immutable answer sets**, swapped without locks, that the query threads read. This page
//! is the architecture; each module's page argues its own decisions.
//!
//! # Bird's-eye view
//!
//! A **pure middle** decides everything: given events and the time, it returns effects. A **thin shell** does the I/O.
//! Queries never meet the middle's mutable state: they read **one immutable snapshot behind one swapped pointer**. There
//! is **one writer**, and it **never waits**: not for a disk, a probe or an operator; each comes back as an event.
//!
//! ```text
//!                  datagram                                     zone files, leeward.toml
//!                     │                                                  │
//!  server ── answers::respond ── snapshot ◄── publish ── node ◄── loader (read, compile)
//!                     └── notices: failures, log lines, wishes ──► node
//!                                                         │ ▲            │
//!                                                  effects│ │events      │Loaded
//!                                                         ▼ │            ▼
//!                                               control::Engine (the one writer)
//!                                                         │ ▲
//!                                                   Probe │ │ Probed
//!                                                         ▼ │
//!                                                       prober ── targets
//! ```
//!
//! # Layers
//!
//! A module imports only from layers below, and only what its row names; `tests/architecture.rs` keeps this.
//!
//! | layer | module | responsibility | imports |
//! | --- | --- | --- | --- |
//! | 0 | [`wire`] | DNS messages ↔ bytes: names, types, RDATA layout, EDNS | — |
//! | 0 | [`target`] | what a check is, and a pool of targets; what may be believed of them | — |
//! | 0 | [`geo`] | address → network, place, sites in order, and the prefix they hold for | — |
//! | 1 | [`zone`] | zone text → checked zone; lookup; versions | wire |
//! | 1 | [`program`] | record program text → plan or script; that + statuses + query → records | wire, target, geo |
//! | 1 | [`health`] | probe outcomes → one status per check; when to probe next; what operators say over it; rules of pools | target |
//! | 2 | [`answers`] | the snapshot, the answer routine, the swap cell, counters | wire, target, geo, zone, program |
//! | 3 | [`control`] | event + now → state change + effects | all below |
//! | 4 | [`config`] | files → checked component configurations | target; the components' config types |
//! | 4 | [`server`] | DNS over UDP, TCP, TLS, HTTPS and QUIC: caps, proxies, certificates | wire, geo, answers |
//! | 4 | [`prober`] | run one check against one target | target |
//! | 4 | [`api`] | admin calls, explain, metrics | geo, zone; views of answers, control, health, program |
//! | 4 | [`notify`] | webhooks and commands that are told what happens | — |
//! | 4 | [`peers`] | carry what nodes tell each other: sessions, authentication, HTTP | target, health |
//! | 4 | [`store`] | durable state: last-good copies of zones, operators' words, what was measured, what pools remember, where names led, what happened | wire, target, health |
//! | 5 | [`node`] | owns the engine: threads, effects, loading, signals | all below |
//! | 6 | [`cli`] | arguments, wiring, exit codes, the operator's client | everything |
//!
//! Two edges that are **not** there, on purpose: `program` does not know `health` (both know `target`), and `server` does
//! not know `control`: of what is above `answers` it sees nothing, so nothing in the control plane can block a query.
//!
//! # Walks
//!
//! **A query.** A worker thread owns its socket and buffers → receives a batch → loads the snapshot once per batch → for
//! each datagram [`answers::respond`]: parse (QR set or short: drop; malformed: FORMERR) → EDNS: cookie, client subnet →
//! zone by longest apex → node → stored RRset: copy its prepared bytes; record program: draw from its answer set → on to
//! where an alias leads → rate limit → write, truncate to the client's limit, EDNS with the scope of what was drawn → one
//! batched send.
//!
//! **A script's wish.** A script consults a check that nobody has, or a name of another server's: the query goes on with what
//! is not known, and leaves an [`answers::Notice`] → [`node`] → [`control::Event::Wanted`], and the check is probed and
//! published like any other for as long as it is consulted; or the resolver, which enters what it learns in
//! [`answers::Resolved`]. Failures and log lines of programs go the same way.
//!
//! **A connection.** Accepted at once → a place in the table of connections, for which the idlest may have to go → the
//! proxy's header, the TLS handshake → whole messages, each through [`answers::respond`] as a datagram is → the replies to
//! one read in one write. DoH and DoQ differ in how a message is framed, and in nothing else.
//!
//! **A probe result.** The schedule of [`health::Checks`] says due, at a step that many share → [`control::Effect::Probe`] → [`node`]
//! has [`prober`] run what is due together as one task, each under its time limit → [`control::Event::Probed`], an outcome of pass,
//! fail or inconclusive, of which a pass alone wakes nobody → is it we who are cut off? →
//! hysteresis and damping → a surprise is asked about again soon → under what operators say,
//! does it count as something else? → the programs that consult the check are settled again → the first change publishes at
//! once, then at most `[publish] max_per_second` → a new snapshot that shares everything unchanged, generation + 1. Where more than a thousand
//! programs consult the check, they are settled in slices, and other flips go first (`control`'s `backlog`).
//!
//! **What happened.** [`control::Effect::Log`] → the log, and [`api::History`], which gives it to whoever reads on from a number:
//! the ledger in batches, streams of events, and a task for each of `[notify]`, which has [`notify`] carry it. None of them holds
//! up the engine; one that falls too far behind misses the oldest, and that is counted.
//!
//! **A peer's bulletin.** HTTP on a listener of its own → [`peers`]: whose, of this session, in order, whole? →
//! [`control::Event::Heard`] → [`health`]: what is new in that peer's map → each check that it concerns is believed to be what the
//! votes make of it, this node's own result among them, and is probed soon if they contradict each other → from there on as of a
//! probe's result. What this node sees goes out the same way: [`control::Effect::Tell`], to each peer what is new since it was told
//! last; [`control::Event::Told`] is what it has then.
//!
//! **A pool.** A check that a pool's member has counts as something else → the rules of the pool that need a memory
//! ([`health::PoolState`]): may it be withdrawn now, must it wait to come back, how much of its weight it gets → its **standing**,
//! a status of its own in the same table → the programs that say `pool(...)` are settled like any others. What a query does is
//! draw among members, copy what the record's type shows of them, and count for each that it was given.
//!
//! **A member that is a name.** Its addresses are looked up on a timer by [`node`]. Another set of them is a load like any other, of
//! what is served already: pools, checks and plans have no second way to change. The last good set is in the ledger.
//!
//! **A start or a reload.** The loader reads the configuration and the zone files and compiles record programs, off the
//! engine's thread → [`control::Event::Loaded`] → the load is **on trial**: its new checks are probed while the old zones
//! serve (at a start: while the ports are closed) → when each has a result, or `startup_wait` is over, it is adopted
//! whole, or refused because it would take down more than half of the targets that a changed definition had up →
//! [`control::Effect::Publish`], [`control::Effect::Open`] at a start, and each zone's last-good copy is kept. What others
//! say comes the same way: a watched file that has changed, or where the name of a pool's member leads, is a load of what is
//! served already.
//!
//! **An operator's call.** HTTP over the control socket or the admin port → access → [`api::Ask`] → the engine or the
//! loader → the reply carries the generation that was seen or made. A reload is acknowledged when it is being served. An
//! override ([`control::Command`]) is judged by the engine → [`control::Effect::Record`] → the ledger writes it →
//! [`control::Event::Recorded`] → it is in force, published, and only then acknowledged. What the overrides file says comes with
//! a load, is judged as a whole, and lies beneath what operators say.
//!
//! # Invariants
//!
//! 1. Nothing published is ever changed; generations only move forward; a query sees one snapshot from start to end.
//! 2. The query path takes no lock, allocates nothing, logs nothing, reads no clock, and is total: any datagram gets a
//!    well-formed reply or none. A program that is a script, or that fails, is the exception: see [`answers`].
//! 3. Losing sight is not death: an inconclusive probe changes no answer, nor does silence while it is we who are cut off.
//!    Only what was never known is unknown.
//! 4. No DNS port is bound before the first load is adopted.
//! 5. A bad file, a bad reload or a bad disk keeps the good state serving.
//! 6. No clock and no randomness below the shell: `now` and the random source are arguments. A script's time limit is the
//!    one exception.
//! 7. `unsafe` code is in `server/batch.rs` only.

pub mod answers;
pub mod api;
pub mod cli;
pub mod config;
pub mod control;
pub mod geo;
pub mod health;
pub mod node;
pub mod notify;
pub mod peers;
pub mod prober;
pub mod program;
pub mod server;
pub mod store;
pub mod target;
pub mod wire;
pub mod zone;
