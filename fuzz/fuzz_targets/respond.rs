//! Any bytes as a datagram: see `property.rs`, which `tests/properties.rs` drives on a stable compiler.
#![no_main]

#[path = "../property.rs"]
#[allow(dead_code, reason = "the seeds are for the test that shares it")]
mod property;

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use leeward::answers::{Snapshot, Worker};
use libfuzzer_sys::fuzz_target;

static SNAPSHOTS: LazyLock<[Arc<Snapshot>; 2]> = LazyLock::new(|| [property::snapshot(), property::strict_snapshot()]);

thread_local! {
    static WORKER: RefCell<(Worker, Vec<u8>)> = RefCell::new((Worker::new(0, fastrand::Rng::with_seed(1)), vec![0; 65_535]));
}

fuzz_target!(|request: &[u8]| {
    WORKER.with_borrow_mut(|(worker, reply)| {
        SNAPSHOTS.iter().for_each(|snapshot| property::holds(snapshot, worker, request, reply));
    });
});
