//! Scoring one embedding against tables of growing size.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lintel_core::embed::{Embedding, EncoderId};
use lintel_core::table::{Person, PersonId, Rule, Table, TableParts};

const ENCODER: EncoderId = EncoderId([1; 32]);

/// A direction that looks random and is the same in every run.
fn direction(dim: usize, seed: u64) -> Embedding {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let raw: Vec<f32> = (0..dim)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
        })
        .collect();
    Embedding::new(&raw, ENCODER).expect("has a direction")
}

fn table(people: u32, dim: usize) -> Table {
    Table::new(TableParts {
        encoder: ENCODER,
        revision: 1,
        template: String::new(),
        logit_scale: 100.0,
        people: (0..people).map(|id| Person { id: PersonId(id), name: format!("Person {id}") }).collect(),
        classes: (0..people).flat_map(|id| direction(dim, id.into()).vector().to_vec()).collect(),
        dim,
        intra_class_similarity: vec![0.9; people as usize],
        rule: Rule::PAPER,
        calibration: None,
    })
    .expect("unit rows")
}

fn score(c: &mut Criterion) {
    let mut group = c.benchmark_group("table/score");
    for dim in [256, 1024] {
        for people in [10, 1_000, 10_000] {
            let table = table(people, dim);
            let face = direction(dim, 1 << 40);
            group.throughput(Throughput::Elements(people.into()));
            group.bench_with_input(BenchmarkId::new(format!("{dim}d"), people), &table, |b, table| {
                b.iter(|| table.opinion(&table.score(black_box(&face)).expect("same encoder and width")));
            });
        }
    }
    group.finish();
}

fn read(c: &mut Criterion) {
    let bytes = lintel_formats::table::to_bytes(&table(1_000, 1024));
    let mut group = c.benchmark_group("table/read");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("1024d/1000", |b| {
        b.iter(|| lintel_formats::table::from_bytes(black_box(&bytes)).expect("just written"))
    });
    group.finish();
}

criterion_group!(benches, score, read);
criterion_main!(benches);
