//! Tensors → an archive in the form that `torch.save` and `torch.jit.save` write; and, for tests of a reader, archives
//! around any pickle.

use std::collections::BTreeMap;
use std::io::{Cursor, Seek, Write};

use half::f16;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// What the archive's outermost object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Modules inside modules, as in OpenAI's files.
    TorchScript,
    /// A dict of tensors by name.
    StateDict,
}

/// The folder inside the archive.
const FOLDER: &str = "archive";

/// An archive that grows tensor by tensor, so that a large one needs little memory.
pub struct Writer<W: Write + Seek> {
    zip: ZipWriter<W>,
    form: Form,
    tensors: Vec<(String, Vec<u64>, bool)>,
}

impl<W: Write + Seek> Writer<W> {
    /// An archive in `out`.
    #[must_use]
    pub fn new(out: W, form: Form) -> Self {
        Self { zip: ZipWriter::new(out), form, tensors: Vec::new() }
    }

    /// Adds a tensor, row-major, in half or single precision.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn add(&mut self, name: &str, shape: &[usize], values: &[f32], half: bool) -> zip::result::ZipResult<()> {
        let key = self.tensors.len();
        self.zip.start_file(format!("{FOLDER}/data/{key}"), stored())?;
        let bytes: Vec<u8> = if half {
            values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect()
        } else {
            values.iter().flat_map(|v| v.to_le_bytes()).collect()
        };
        self.zip.write_all(&bytes)?;
        self.tensors.push((name.to_owned(), shape.iter().map(|&size| size as u64).collect(), half));
        Ok(())
    }

    /// Writes the description of the tensors and ends the archive.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn finish(mut self) -> zip::result::ZipResult<W> {
        let mut pickle = Pickle::new();
        match self.form {
            Form::StateDict => {
                pickle.global("collections", "OrderedDict").op(b")R(");
                for (key, (name, shape, half)) in self.tensors.iter().enumerate() {
                    pickle.text(name).dense(storage_class(*half), key, shape);
                }
                pickle.op(b"u");
            }
            Form::TorchScript => {
                let mut root = Module::default();
                for (key, (name, _, _)) in self.tensors.iter().enumerate() {
                    root.insert(name, key);
                }
                root.write(&self.tensors, &mut pickle);
            }
        }
        let files: [(&str, &[u8]); 3] =
            [("data.pkl", &pickle.op(b".").0), ("version", b"3\n"), ("byteorder", b"little")];
        for (name, content) in files {
            self.zip.start_file(format!("{FOLDER}/{name}"), stored())?;
            self.zip.write_all(content)?;
        }
        self.zip.finish()
    }
}

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

fn storage_class(half: bool) -> &'static str {
    if half { "HalfStorage" } else { "FloatStorage" }
}

/// A TorchScript module: attributes that are tensors (by their key) or modules.
#[derive(Default)]
struct Module {
    tensors: BTreeMap<String, usize>,
    modules: BTreeMap<String, Module>,
}

impl Module {
    fn insert(&mut self, name: &str, key: usize) {
        match name.split_once('.') {
            Some((module, rest)) => self.modules.entry(module.to_owned()).or_default().insert(rest, key),
            None => drop(self.tensors.insert(name.to_owned(), key)),
        }
    }

    fn write(&self, all: &[(String, Vec<u64>, bool)], pickle: &mut Pickle) {
        pickle.global("__torch__.clip.model", "Module").op(b")\x81}(");
        for (name, &key) in &self.tensors {
            let (_, shape, half) = &all[key];
            pickle.text(name).dense(storage_class(*half), key, shape);
        }
        pickle.text("training").op(b"\x89");
        for (name, module) in &self.modules {
            pickle.text(name);
            module.write(all, pickle);
        }
        pickle.op(b"ub");
    }
}

/// A pickle that grows opcode by opcode.
#[derive(Clone, Debug)]
pub struct Pickle(pub Vec<u8>);

impl Default for Pickle {
    fn default() -> Self {
        Self::new()
    }
}

impl Pickle {
    /// The mark of protocol 2.
    #[must_use]
    pub fn new() -> Self {
        Self(vec![0x80, 2])
    }

    /// Any bytes.
    pub fn op(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A class or function.
    pub fn global(&mut self, module: &str, name: &str) -> &mut Self {
        self.op(format!("c{module}\n{name}\n").as_bytes())
    }

    /// Text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        let length = u32::try_from(text.len()).expect("short texts");
        self.op(b"X").op(&length.to_le_bytes()).op(text.as_bytes())
    }

    /// An integer, in the shortest form that Python writes.
    pub fn int(&mut self, value: i64) -> &mut Self {
        if let Ok(byte) = u8::try_from(value) {
            self.op(&[b'K', byte])
        } else if let Ok(short) = u16::try_from(value) {
            self.op(b"M").op(&short.to_le_bytes())
        } else if let Ok(int) = i32::try_from(value) {
            self.op(b"J").op(&int.to_le_bytes())
        } else {
            self.op(&[0x8a, 8]).op(&value.to_le_bytes())
        }
    }

    /// A tuple of integers.
    pub fn ints(&mut self, values: &[i64]) -> &mut Self {
        self.op(b"(");
        for &value in values {
            self.int(value);
        }
        self.op(b"t")
    }

    /// A tensor: `count` values of `class` in `data/KEY`, seen through an offset, a shape and strides.
    pub fn tensor(
        &mut self,
        (class, key, count): (&str, &str, i64),
        offset: i64,
        shape: &[i64],
        strides: &[i64],
    ) -> &mut Self {
        self.global("torch._utils", "_rebuild_tensor_v2").op(b"((").text("storage").global("torch", class);
        self.text(key).text("cpu").int(count).op(b"tQ").int(offset).ints(shape).ints(strides);
        self.op(b"\x89").global("collections", "OrderedDict").op(b")RtR")
    }

    /// A tensor that is all of its storage.
    fn dense(&mut self, class: &str, key: usize, shape: &[u64]) -> &mut Self {
        let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        self.tensor((class, &key.to_string(), shape.iter().product()), 0, &shape, &strides)
    }
}

/// An archive of any entries, each stored or deflated.
///
/// # Panics
/// When two entries have one name.
#[must_use]
pub fn archive(entries: &[(&str, &[u8], bool)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content, deflated) in entries {
        let method = if *deflated { CompressionMethod::Deflated } else { CompressionMethod::Stored };
        zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).expect("an own name");
        zip.write_all(content).expect("memory");
    }
    zip.finish().expect("memory").into_inner()
}
