//! What one probe found. Our own troubles are never the target's (DESIGN 6.3): they are [`Inconclusive`], and no
//! verdict is changed by them.

use std::fmt;

use super::http::Codes;
use super::kinds::Rcode;

/// The result of one probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target answered as expected.
    Pass {
        /// The weight that it gave itself; 0: it was not asked for one.
        weight: u32,
    },
    /// The target did not answer as expected.
    Fail(Failure),
    /// The probe says nothing about the target.
    Inconclusive(Inconclusive),
}

impl Outcome {
    /// The target answered as expected, and was not asked for a weight.
    pub const PASS: Self = Self::Pass { weight: 0 };

    /// Whether the target passed; `None`: that is not known.
    #[must_use]
    pub const fn passed(&self) -> Option<bool> {
        match self {
            Self::Pass { .. } => Some(true),
            Self::Fail(_) => Some(false),
            Self::Inconclusive(_) => None,
        }
    }
}

/// How a target failed its probe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Connection refused.
    #[error("connection refused")]
    Refused,
    /// Reset or closed before the answer was complete.
    #[error("connection closed early")]
    Closed,
    /// The target's network says that the target cannot be reached (ICMP unreachable).
    #[error("target unreachable")]
    Unreachable,
    /// Silence until the time limit.
    #[error("no answer within the time limit")]
    Timeout,
    /// The TLS handshake failed.
    #[error("TLS handshake failed: {0}")]
    Tls(Box<str>),
    /// The answer was not of the protocol that was spoken.
    #[error("not an answer of the protocol: {0}")]
    Protocol(Box<str>),
    /// The certificate is valid for too short a time.
    #[error("the certificate is valid for {left} more days where {wanted} are expected")]
    Expiring {
        /// Whole days, rounded down; negative: it has expired.
        left: i64,
        /// How many there should be.
        wanted: u16,
    },
    /// Another response code of DNS than the expected one.
    #[error("DNS response code {got} where {wanted} is expected")]
    Rcode {
        /// What came.
        got: Rcode,
        /// What was expected.
        wanted: Rcode,
    },
    /// No record of the answer has the expected data.
    #[error("the answer lacks the expected data")]
    Answer,
    /// The command said no.
    #[error("the command ended with exit code {code}{}", spoken(.said))]
    Exit {
        /// Its exit code.
        code: i32,
        /// The first line that it wrote.
        said: Box<str>,
    },
    /// The gRPC call failed, or the service does not serve.
    #[error("gRPC: {0}")]
    Grpc(Box<str>),
    /// The file, or the target itself, says that it is down.
    #[error("it is said to be down")]
    Said,
    /// Too few are ready of what stands behind the target.
    #[error("{ready} of {wanted} ready")]
    NotReady {
        /// How many are.
        ready: u32,
        /// How many must be.
        wanted: u32,
    },
    /// The target, which reports itself, has not done so in time.
    #[error("no report in time")]
    Silent,
    /// Another status than the expected one.
    #[error("HTTP status {got} where {wanted} is expected")]
    Status {
        /// What came.
        got: u16,
        /// What was expected.
        wanted: Codes,
    },
    /// The body lacks the expected text.
    #[error("the body lacks the expected text")]
    Body,
    /// The body does not match the expected pattern.
    #[error("the body does not match the pattern")]
    Pattern,
    /// The URL's host name does not exist, or leads where no probe may go.
    #[error("bad host name: {0}")]
    Name(Box<str>),
    /// Redirects beyond the limit, or one that leads nowhere.
    #[error("bad redirect: {0}")]
    Redirect(Box<str>),
}

fn spoken(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

impl Failure {
    /// Whether a cut on the way to the target, or a filter there, may look the same. Else the target itself was heard.
    #[must_use]
    pub const fn may_be_the_way(&self) -> bool {
        matches!(self, Self::Refused | Self::Closed | Self::Unreachable | Self::Timeout)
    }

    /// Every [`Failure::reason`], for metrics that must list them.
    pub const REASONS: [&str; 19] = [
        "refused",
        "closed",
        "unreachable",
        "timeout",
        "tls",
        "protocol",
        "expiring",
        "rcode",
        "answer",
        "exit",
        "grpc",
        "said",
        "not_ready",
        "silent",
        "status",
        "body",
        "pattern",
        "name",
        "redirect",
    ];

    /// A short, stable name for metrics and JSON: one of [`Failure::REASONS`].
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Tls(_) => "tls",
            Self::Protocol(_) => "protocol",
            Self::Expiring { .. } => "expiring",
            Self::Rcode { .. } => "rcode",
            Self::Answer => "answer",
            Self::Exit { .. } => "exit",
            Self::Grpc(_) => "grpc",
            Self::Said => "said",
            Self::NotReady { .. } => "not_ready",
            Self::Silent => "silent",
            Self::Status { .. } => "status",
            Self::Body => "body",
            Self::Pattern => "pattern",
            Self::Name(_) => "name",
            Self::Redirect(_) => "redirect",
        }
    }
}

/// Why a probe says nothing about its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Inconclusive {
    /// No file descriptor, buffer or port left (EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL).
    Resources,
    /// The address that the probe is to come from is not this host's.
    NoSource,
    /// The trust store, by which a certificate is to be verified, cannot be read or is empty.
    NoTrust,
    /// The system forbids it (EPERM, EACCES: a local firewall).
    Forbidden,
    /// No route from here (ENETUNREACH and the like by our own routing table).
    NoRoute,
    /// A host name did not resolve.
    Unresolved,
    /// The check's command could not be started.
    Spawn,
    /// The check's command was killed by a signal that is not ours.
    Killed,
    /// The system grants this process no socket for ICMP.
    NoPing,
    /// The check's file cannot be read, or one of its lines: then none of them counts.
    BadFile,
    /// The check's file has no line for the target, or one whose time is over; the target that reports itself has not done
    /// so yet.
    NoWord,
    /// The files of a check by Kubernetes, its token or authorities, cannot be read.
    KubeFiles,
    /// The API of Kubernetes cannot be reached, or breaks off.
    KubeUnreachable,
    /// It is silent until the time limit.
    KubeSilent,
    /// It does not let us ask (401, 403).
    KubeDenied,
    /// It wants to be asked less often (429).
    KubeBusy,
    /// It answers with another status.
    KubeFailing,
    /// What it answers is no list of what was asked for, or is too long.
    KubeGarbled,
    /// Our process was paused while the probe ran.
    Paused,
    /// The probe itself failed to run to its end: a defect.
    Internal,
}

impl Inconclusive {
    /// Every variant, for metrics that must list them.
    pub const ALL: [Self; 20] = [
        Self::Resources,
        Self::NoSource,
        Self::NoTrust,
        Self::Forbidden,
        Self::NoRoute,
        Self::Unresolved,
        Self::Spawn,
        Self::Killed,
        Self::NoPing,
        Self::BadFile,
        Self::NoWord,
        Self::KubeFiles,
        Self::KubeUnreachable,
        Self::KubeSilent,
        Self::KubeDenied,
        Self::KubeBusy,
        Self::KubeFailing,
        Self::KubeGarbled,
        Self::Paused,
        Self::Internal,
    ];

    /// Whether the probe could not be made for want of a way out, or of the means.
    #[must_use]
    pub const fn is_no_way_out(self) -> bool {
        matches!(self, Self::Resources | Self::NoSource | Self::Forbidden | Self::NoRoute)
    }

    /// A short, stable name for metrics and JSON.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Resources => "resources",
            Self::NoSource => "no_source",
            Self::NoTrust => "no_trust",
            Self::Forbidden => "forbidden",
            Self::NoRoute => "no_route",
            Self::Unresolved => "unresolved",
            Self::Spawn => "spawn",
            Self::Killed => "killed",
            Self::NoPing => "no_ping",
            Self::BadFile => "bad_file",
            Self::NoWord => "no_word",
            Self::KubeFiles => "kubernetes_files",
            Self::KubeUnreachable => "kubernetes_unreachable",
            Self::KubeSilent => "kubernetes_silent",
            Self::KubeDenied => "kubernetes_denied",
            Self::KubeBusy => "kubernetes_busy",
            Self::KubeFailing => "kubernetes_failing",
            Self::KubeGarbled => "kubernetes_garbled",
            Self::Paused => "paused",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Inconclusive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resources => "this host ran out of descriptors, buffers or ports",
            Self::NoSource => "the source address is not this host's",
            Self::NoTrust => "this host's trust store holds no certificate that can be read",
            Self::Forbidden => "this host's own rules forbid the connection",
            Self::NoRoute => "this host has no route to the target",
            Self::Unresolved => "a host name did not resolve",
            Self::Spawn => "the check's command could not be started on this host",
            Self::Killed => "the check's command was killed by a signal on this host",
            Self::NoPing => "this host grants no ICMP socket to this process: net.ipv4.ping_group_range leaves its group out",
            Self::BadFile => "the check's file, or one of its lines, cannot be read",
            Self::NoWord => "nothing is said of the target, or no longer",
            Self::KubeFiles => "the token or the authorities for the Kubernetes API cannot be read",
            Self::KubeUnreachable => "the Kubernetes API cannot be reached",
            Self::KubeSilent => "the Kubernetes API did not answer within the time limit",
            Self::KubeDenied => "the Kubernetes API does not let us ask: 401 or 403",
            Self::KubeBusy => "the Kubernetes API wants to be asked less often: 429",
            Self::KubeFailing => "the Kubernetes API answers with an error",
            Self::KubeGarbled => "the Kubernetes API answers what is no such list, or too long",
            Self::Paused => "this process was paused during the probe",
            Self::Internal => "the probe did not run to its end, which is a defect of leeward",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass { weight: 0 } => f.write_str("pass"),
            Self::Pass { weight } => write!(f, "pass, weight {weight}"),
            Self::Fail(failure) => write!(f, "fail: {failure}"),
            Self::Inconclusive(reason) => write!(f, "inconclusive: {reason}"),
        }
    }
}
