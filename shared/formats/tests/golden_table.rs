//! The bytes of `table.lintel`, pinned: what was written once must be readable for ever, and mean the same.

use lintel_core::embed::EncoderId;
use lintel_core::table::{Calibration, Person, PersonId, Rule, Table, TableError, TableParts};
use lintel_formats::envelope::{self, EnvelopeError};
use lintel_formats::table::{self, MAGIC, MAX_FILE_BYTES, TableFileError, VERSION};
use sha2::{Digest, Sha256};

fn person(id: u32, name: &str) -> Person {
    Person { id: PersonId(id), name: name.into() }
}

fn parts() -> TableParts {
    TableParts {
        encoder: EncoderId([0xe1; 32]),
        revision: 300,
        template: "a photo of {name}".into(),
        logit_scale: 100.0,
        people: vec![person(1, "Ada"), person(200, "Zoë")],
        classes: vec![1.0, 0.0, 0.6, -0.8],
        dim: 2,
        intra_class_similarity: vec![0.75, 1.0],
        rule: Rule::Calibrated { similarity: 0.5, margin: 0.25 },
        calibration: Some(Calibration {
            target_fpir: 0.01,
            strangers: 1000,
            observed_fpir: 0.005,
            fpir_upper: 0.0125,
            fnir: 0.125,
        }),
    }
}

/// Everything but the hash at the end.
#[rustfmt::skip]
const GOLDEN: &[u8] = &[
    // magic
    0x4c, 0x49, 0x4e, 0x54, 0x45, 0x4c, 0x74, 0x62,
    // version 2
    0x02, 0x00,
    // body length 124
    0x7c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    // encoder
    0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1,
    0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1, 0xe1,
    // revision 300
    0xac, 0x02,
    // template, 17 bytes
    0x11, 0x61, 0x20, 0x70, 0x68, 0x6f, 0x74, 0x6f, 0x20, 0x6f, 0x66, 0x20, 0x7b, 0x6e, 0x61, 0x6d,
    0x65, 0x7d,
    // logit scale 100
    0x00, 0x00, 0xc8, 0x42,
    // dimension 2
    0x02,
    // rule: calibrated, similarity 0.5, margin 0.25
    0x01, 0x00, 0x00, 0x00, 0x3f, 0x00, 0x00, 0x80, 0x3e,
    // calibration: some; 0.01, 1000 strangers, 0.005, 0.0125, 0.125
    0x01, 0x0a, 0xd7, 0x23, 0x3c, 0xe8, 0x07, 0x0a, 0xd7, 0xa3, 0x3b, 0xcd, 0xcc, 0x4c, 0x3c, 0x00,
    0x00, 0x00, 0x3e,
    // two people: 1 Ada, 200 Zoë
    0x02, 0x01, 0x03, 0x41, 0x64, 0x61, 0xc8, 0x01, 0x04, 0x5a, 0x6f, 0xc3, 0xab,
    // class matrix, 16 bytes: 1, 0, 0.6, -0.8
    0x10, 0x00, 0x00, 0x80, 0x3f, 0x00, 0x00, 0x00, 0x00, 0x9a, 0x99, 0x19, 0x3f, 0xcd, 0xcc, 0x4c,
    0xbf,
    // intra-class similarities, 8 bytes: 0.75, 1
    0x08, 0x00, 0x00, 0x40, 0x3f, 0x00, 0x00, 0x80, 0x3f,
];

fn with_hash(bytes: &[u8]) -> Vec<u8> {
    [bytes, &Sha256::digest(bytes)].concat()
}

#[test]
fn bytes_are_pinned() {
    let table = Table::new(parts()).expect("valid parts");
    assert_eq!(table::to_bytes(&table), with_hash(GOLDEN));
    assert_eq!(table::from_bytes(&with_hash(GOLDEN)), Ok(table));
}

#[test]
fn tables_of_version_1_mean_what_they_meant() {
    let body = &GOLDEN[18..GOLDEN_END_1];
    let first = envelope::seal(MAGIC, 1, body);
    let table = Table::new(TableParts { intra_class_similarity: vec![1.0; 2], ..parts() }).expect("valid parts");
    assert_eq!(table::from_bytes(&first), Ok(table));
    // What only version 2 has is too much there, and what it must have too little here.
    assert_eq!(table::from_bytes(&envelope::seal(MAGIC, 1, &GOLDEN[18..])), Err(TableFileError::Body));
    assert_eq!(table::from_bytes(&envelope::seal(MAGIC, 2, body)), Err(TableFileError::Body));
    let one_short = [body, &[0x04, 0x00, 0x00, 0x80, 0x3f]].concat();
    let expected = TableFileError::Table(TableError::IntraClassSimilarities { got: 1, wanted: 2 });
    assert_eq!(table::from_bytes(&envelope::seal(MAGIC, 2, &one_short)), Err(expected));
    let cut = [body, &[0x03, 0x00, 0x00, 0x80]].concat();
    assert_eq!(table::from_bytes(&envelope::seal(MAGIC, 2, &cut)), Err(TableFileError::Body));
}

#[test]
fn unfit_files_say_what_is_wrong() {
    let sealed = |body: &[u8]| envelope::seal(MAGIC, VERSION, body);
    let body = &GOLDEN[18..];
    let check = |file: &[u8], expected: &str| {
        assert_eq!(table::from_bytes(file).map_err(|error| error.to_string()), Err(expected.to_string()));
    };
    check(b"", "identity table: file has 0 bytes, at least 50 are needed");
    check(&with_hash(&GOLDEN[..60]), "identity table: file has 92 bytes, its header announces 174");
    check(&sealed(&body[..40]), "identity table: the content is not a version 2 table");
    check(&sealed(&[body, &[0]].concat()), "identity table: the content is not a version 2 table");
    check(&envelope::seal(MAGIC, 3, body), "identity table: file has version 3, this program reads version 2");
    let mut flipped = with_hash(GOLDEN);
    flipped[40] ^= 1;
    check(&flipped, "identity table: file is damaged: its SHA-256 does not match its content");
}

#[test]
fn announced_sizes_take_no_memory() {
    // (where in the body, what is written there, the error)
    let check = |at: usize, bytes: &[u8], expected: TableFileError| {
        let mut body = GOLDEN[18..].to_vec();
        body.splice(at..at + 1, bytes.iter().copied());
        assert_eq!(table::from_bytes(&envelope::seal(MAGIC, VERSION, &body)), Err(expected), "at {at}");
    };
    let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let (dim, people, classes) = (GOLDEN_DIM, GOLDEN_PEOPLE, GOLDEN_CLASSES);
    check(dim, &huge, TableError::Dim { got: 0xffff_ffff }.into());
    check(dim, &[3], TableError::Classes { got: 4, wanted: 6 }.into());
    check(people, &huge, TableFileError::Body);
    check(people, &[0xa1, 0x9c, 0x01], TableFileError::Body);
    check(classes, &huge, TableFileError::Body);
}

#[test]
fn too_long_a_file_is_not_even_hashed() {
    let file = vec![0; MAX_FILE_BYTES + 1];
    let wanted = MAX_FILE_BYTES as u64;
    let expected = TableFileError::File(EnvelopeError::TooLong { got: wanted + 1, wanted });
    assert_eq!(table::from_bytes(&file), Err(expected));
}

/// Where the body of a version 1 table would end in [`GOLDEN`].
const GOLDEN_END_1: usize = 18 + 115;
/// Offsets in the body of [`GOLDEN`].
const GOLDEN_DIM: usize = 56;
const GOLDEN_PEOPLE: usize = 85;
const GOLDEN_CLASSES: usize = 98;
