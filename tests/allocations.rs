//! Rule 1 of the data plane: no allocation per query, for static and planned answers.
#![allow(unsafe_code, unreachable_pub, dead_code, reason = "a counting allocator is an allocator")]

#[path = "../fuzz/property.rs"]
mod property;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use leeward::answers::{Response, Transport, Worker, respond};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local cell that needs none.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn no_query_allocates() {
    let snapshots = [property::snapshot(), property::strict_snapshot()];
    let mut worker = Worker::new(0, fastrand::Rng::with_seed(1));
    let mut reply = vec![0; 65_535];
    let seeds = property::seeds();
    let (mut answered, mut asked) = (0, 0);
    let before = COUNT.with(Cell::get);
    for (snapshot, transport) in snapshots.iter().flat_map(|snapshot| Transport::ALL.map(|transport| (snapshot, transport))) {
        let ctx = property::ctx(transport);
        for seed in &seeds {
            asked += 1;
            answered += usize::from(respond(snapshot, &mut worker, &ctx, seed, &mut reply) != Response::Drop);
        }
    }
    let after = COUNT.with(Cell::get);
    assert_eq!(asked, 2 * Transport::ALL.len() * seeds.len());
    assert!((asked - seeds.len()..asked).contains(&answered), "over UDP the strict one drops some: {answered} of {asked}");
    assert_eq!(after - before, 0, "allocations for {answered} queries");
}
