//! Time to render pictures, on one thread.

use criterion::{Criterion, criterion_group, criterion_main};
use lintel_faces::{Approach, crowd, photo};

fn pictures(c: &mut Criterion) {
    let mut n = 0;
    let mut next = move || {
        n += 1;
        n
    };
    c.bench_function("photo 224", |b| b.iter(|| photo(next(), 0, [224, 224])));
    let mut n = 0;
    let mut next = move || {
        n += 1;
        n
    };
    c.bench_function("crowd 640x480, up to 4 faces", |b| b.iter(|| crowd(next(), [640, 480], 4, 20.0)));
    let door = Approach::new(&[1], 1, [640, 480], 15.0, 5.0);
    c.bench_function("recording frame 640x480", |b| b.iter(|| door.frame(40)));
}

criterion_group!(benches, pictures);
criterion_main!(benches);
