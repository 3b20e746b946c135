//! Checks that programs make up while they run (`ifportup` with an address that was computed), as queries find them.
//!
//! Checks of constant calls are known at load and have their place in the program's answer set. These are found by what
//! they are: a map from probe and judgement to the check's number, shared by all snapshots but for what changed. A query
//! that finds one marks it as consulted, and writes nothing where that mark stands already; the engine takes the marks
//! off again and lets go of what got none for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::target::{CheckId, CheckRequest, CheckSpec, Judgement};

/// The ad hoc checks that the engine keeps. A clone shares them.
#[derive(Clone, Debug, Default)]
pub struct AdHocChecks(imbl::HashMap<(Arc<CheckSpec>, Judgement), Arc<AdHocCheck>>);

/// One of them.
#[derive(Debug)]
pub struct AdHocCheck {
    /// Its number.
    pub id: CheckId,
    /// What was first asked for.
    pub request: CheckRequest,
    consulted: AtomicBool,
}

impl AdHocChecks {
    /// The check that a program asks for, marked as consulted. Its interval is that of whoever came first.
    #[must_use]
    pub fn consult(&self, request: &CheckRequest) -> Option<CheckId> {
        let check = self.0.get(&key(request))?;
        if !check.consulted.load(Ordering::Relaxed) {
            check.consulted.store(true, Ordering::Relaxed);
        }
        Some(check.id)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the check `id`, which counts as consulted.
    pub fn insert(&mut self, id: CheckId, request: CheckRequest) -> Arc<AdHocCheck> {
        let key = key(&request);
        let check = Arc::new(AdHocCheck { id, request, consulted: AtomicBool::new(true) });
        self.0.insert(key, Arc::clone(&check));
        check
    }

    /// Takes out the check that `request` describes.
    pub fn remove(&mut self, request: &CheckRequest) {
        self.0.remove(&key(request));
    }
}

impl AdHocCheck {
    /// Whether it was consulted since [`AdHocCheck::take_consulted`].
    #[must_use]
    pub fn is_consulted(&self) -> bool {
        self.consulted.load(Ordering::Relaxed)
    }

    /// Whether it was consulted since this was last asked.
    #[must_use]
    pub fn take_consulted(&self) -> bool {
        self.consulted.swap(false, Ordering::Relaxed)
    }
}

fn key(request: &CheckRequest) -> (Arc<CheckSpec>, Judgement) {
    (Arc::clone(&request.spec), request.judgement)
}
