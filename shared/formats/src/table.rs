//! Table ⇄ the bytes of `table.lintel`: a sealed envelope around a postcard body.
//!
//! Body, version 2, in this order: encoder id, revision, template, logit scale, dimension, rule, calibration, people
//! (number, name), class matrix as little-endian f32 in one byte string, intra-class similarities likewise. Version 1
//! ends with the matrix; nobody's intra-class similarity is known there, which leaves its thresholds what they were.
//! Nothing is allocated for the matrix before its length is known to fit the people, nor for more people than a table
//! may have.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use lintel_core::embed::{EncoderId, MAX_DIM};
use lintel_core::table::{
    Calibration, MAX_NAME_CHARS, MAX_PEOPLE, MAX_TEMPLATE_CHARS, Person, PersonId, Rule, Table, TableError, TableParts,
    check_header,
};

use crate::envelope::{self, EnvelopeError};

/// First eight bytes of a table file.
pub const MAGIC: [u8; 8] = *b"LINTELtb";
/// The version that this program writes; it reads this and version 1.
pub const VERSION: u16 = 2;
/// The version without intra-class similarities.
const FIRST_VERSION: u16 = 1;
/// No table file is longer: the largest matrix, the longest names, and the header.
pub const MAX_FILE_BYTES: usize =
    MAX_PEOPLE * (MAX_DIM * 4 + MAX_NAME_CHARS * 4 + 20) + MAX_TEMPLATE_CHARS * 4 + 256 + envelope::OVERHEAD;

#[derive(Serialize, Deserialize)]
struct Body<'a> {
    encoder: EncoderId,
    revision: u64,
    template: &'a str,
    logit_scale: f32,
    dim: u32,
    rule: Rule,
    calibration: Option<Calibration>,
    #[serde(borrow, deserialize_with = "bounded_people")]
    people: Vec<Entry<'a>>,
    classes: &'a [u8],
}

#[derive(Serialize, Deserialize)]
struct Entry<'a> {
    id: PersonId,
    name: &'a str,
}

/// Why bytes are not an identity table.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum TableFileError {
    /// Not an intact table file.
    #[error("identity table: {0}")]
    File(#[from] EnvelopeError),
    /// The hash is right but the content does not decode.
    #[error("identity table: the content is not a version {VERSION} table")]
    Body,
    /// What the file holds is no table.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// The bytes of `table.lintel`. Equal tables give equal bytes.
#[must_use]
pub fn to_bytes(table: &Table) -> Vec<u8> {
    let parts = table.parts();
    let bytes = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
    let classes = bytes(&parts.classes);
    let body = Body {
        encoder: parts.encoder,
        revision: parts.revision,
        template: &parts.template,
        logit_scale: parts.logit_scale,
        dim: parts.dim as u32,
        rule: parts.rule,
        calibration: parts.calibration,
        people: parts.people.iter().map(|p| Entry { id: p.id, name: &p.name }).collect(),
        classes: &classes,
    };
    let body = (body, bytes(&parts.intra_class_similarity));
    let body = postcard::to_allocvec(&body).expect("plain data of known length always encodes");
    envelope::seal(MAGIC, VERSION, &body)
}

/// Reads hostile bytes: every limit is checked before memory is taken for what it limits.
///
/// # Errors
/// The first thing that is wrong with the file or with the table in it.
pub fn from_bytes(file: &[u8]) -> Result<Table, TableFileError> {
    let first = envelope::version(file) == Some(FIRST_VERSION);
    let bytes = envelope::open(MAGIC, if first { FIRST_VERSION } else { VERSION }, MAX_FILE_BYTES, file)?;
    let (body, rest) = postcard::take_from_bytes::<Body<'_>>(bytes).map_err(|_| TableFileError::Body)?;
    let (intra_class_similarity, rest) = if first {
        (None, rest)
    } else {
        let (intra_class_similarity, rest) =
            postcard::take_from_bytes::<&[u8]>(rest).map_err(|_| TableFileError::Body)?;
        (Some(intra_class_similarity), rest)
    };
    if !rest.is_empty() {
        return Err(TableFileError::Body);
    }
    let dim = usize::try_from(body.dim).map_err(|_| TableFileError::Body)?;
    check_header(dim, body.template, body.logit_scale)?;
    let (values, odd) = body.classes.as_chunks::<4>();
    let wanted = body.people.len() * dim;
    if values.len() != wanted || !odd.is_empty() {
        return Err(TableError::Classes { got: body.classes.len().div_ceil(4), wanted }.into());
    }
    let intra_class_similarity = match intra_class_similarity.map(<[u8]>::as_chunks::<4>) {
        None => vec![1.0; body.people.len()],
        Some((values, [])) => values.iter().map(|value| f32::from_le_bytes(*value)).collect(),
        Some(_) => return Err(TableFileError::Body),
    };
    Ok(Table::new(TableParts {
        encoder: body.encoder,
        revision: body.revision,
        template: String::from(body.template),
        logit_scale: body.logit_scale,
        people: body.people.iter().map(Entry::person).collect(),
        classes: values.iter().map(|value| f32::from_le_bytes(*value)).collect(),
        dim,
        intra_class_similarity,
        rule: body.rule,
        calibration: body.calibration,
    })?)
}

impl Entry<'_> {
    fn person(&self) -> Person {
        Person { id: self.id, name: String::from(self.name) }
    }
}

/// A sequence of at most [`MAX_PEOPLE`] entries: the announced length is checked before the vector grows.
fn bounded_people<'de: 'a, 'a, D>(deserializer: D) -> Result<Vec<Entry<'a>>, D::Error>
where
    D: Deserializer<'de>,
{
    struct People;

    impl<'de> Visitor<'de> for People {
        type Value = Vec<Entry<'de>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX_PEOPLE} people")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            if seq.size_hint().is_some_and(|hint| hint > MAX_PEOPLE) {
                return Err(A::Error::custom("too many people"));
            }
            let mut people = Vec::new();
            while let Some(entry) = seq.next_element()? {
                if people.len() == MAX_PEOPLE {
                    return Err(A::Error::custom("too many people"));
                }
                people.push(entry);
            }
            Ok(people)
        }
    }

    deserializer.deserialize_seq(People)
}
