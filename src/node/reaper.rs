//! Frees retired snapshots, on a thread of its own.
//!
//! The engine hands in each snapshot as it is replaced. The reaper keeps it until it is the only holder, so the last
//! reference is never dropped by a query thread, nor by the engine: freeing a million-name zone takes a while.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::answers::Snapshot;

/// How often retired snapshots are looked at while there are any. Query threads let go of a snapshot within a quarter
/// of a second, busy ones at once; none keeps one while it waits for a client.
const LOOK: Duration = Duration::from_millis(50);

/// Runs until the engine has gone.
pub fn reap(retired: &Receiver<Arc<Snapshot>>) {
    let mut waiting: Vec<Arc<Snapshot>> = Vec::new();
    loop {
        let next = if waiting.is_empty() {
            retired.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            retired.recv_timeout(LOOK)
        };
        match next {
            Ok(snapshot) => waiting.push(snapshot),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        waiting.extend(retired.try_iter());
        waiting.retain(|snapshot| Arc::strong_count(snapshot) > 1);
    }
}
