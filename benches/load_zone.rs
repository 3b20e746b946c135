//! What it costs to load a zone of a million names: reading its text, and building what queries look at.

mod common;

use std::fmt::Write;

use common::{HEAD, contents, is_measured};
use criterion::{BatchSize, Criterion, Throughput};
use leeward::zone::{ProgramId, Zone};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let names = if is_measured() { 1_000_000 } else { 1000 };
    let mut text = HEAD.to_owned();
    for name in 0..names {
        writeln!(text, "host{name} A 10.{}.{}.{}", name >> 16, name >> 8 & 255, name & 255).expect("memory");
    }
    let mut group = criterion.benchmark_group("load_zone");
    group.sample_size(10).throughput(Throughput::Elements(names));
    group.bench_function("read", |bencher| {
        bencher.iter_batched(|| (), |()| contents(&text), BatchSize::PerIteration);
    });
    let read = contents(&text);
    group.bench_function("build", |bencher| {
        bencher.iter_batched(|| read.clone(), |read| Zone::build(read, &mut |_| ProgramId(0)), BatchSize::PerIteration);
    });
    group.finish();
    criterion.final_summary();
}
