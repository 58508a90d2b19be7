//! The bytes of `data.pkl` → objects, without execution.
//!
//! Python's pickle is a program for a stack machine that may import any function and call it. This machine knows the
//! opcodes of protocol 2 that PyTorch writes, and only the names of which tensors are made. Objects are in one list and
//! refer to one another by index, so that deep nesting and cycles are harmless.

use std::collections::BTreeMap;

use safetensors::Dtype;

use super::TorchError;
use crate::weights::MAX_RANK;

/// The most objects that a pickle may make. A state dict of 8192 tensors has some 60 000.
const MAX_OBJECTS: usize = 1 << 18;
/// The most values that may wait on the stack.
const MAX_STACK: usize = 1 << 16;
/// The longest name of a class or function, in bytes.
const MAX_NAME_BYTES: usize = 1024;

/// The most arguments of a call, and sizes in a shape.
const MAX_PARTS: usize = 16;

/// A value on the machine's stack. Text is borrowed from the pickle.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) enum Value<'p> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'p str),
    /// The object at this index.
    Object(usize),
}

/// A value with parts.
#[derive(Clone, Debug)]
pub(super) enum Object<'p> {
    Tuple(Vec<Value<'p>>),
    List(Vec<Value<'p>>),
    Dict(Vec<(Value<'p>, Value<'p>)>),
    /// A function or class that makes tensors.
    Known(Known),
    /// A class of TorchScript.
    Class,
    /// An instance of such a class, and its attributes once they are set.
    Instance(Option<Value<'p>>),
    Storage(Storage<'p>),
    Tensor(Tensor<'p>),
}

/// The names that the machine knows.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) enum Known {
    RebuildTensor,
    RebuildParameter,
    OrderedDict,
    /// A TorchScript list of numbers or tensors, or a value with its type: both become their first argument.
    Wrapper,
    Storage(Dtype),
}

/// Where values are stored.
#[derive(Copy, Clone, Debug, PartialEq)]
pub(super) struct Storage<'p> {
    pub dtype: Dtype,
    /// Name of the entry in the archive's folder `data`.
    pub key: &'p str,
    /// Number of values.
    pub count: u64,
}

/// A strided view into a storage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tensor<'p> {
    pub storage: Storage<'p>,
    /// The first value's index.
    pub offset: u64,
    pub shape: Vec<u64>,
    /// Steps from one index to the next along each dimension, in values.
    pub strides: Vec<u64>,
}

/// The result of a pickle.
#[derive(Debug)]
pub(super) struct Pickle<'p> {
    objects: Vec<Object<'p>>,
    /// The outermost value.
    pub root: Value<'p>,
}

impl<'p> Pickle<'p> {
    /// The object that `value` refers to, if it is one.
    pub(super) fn object(&self, value: Value<'p>) -> Option<&Object<'p>> {
        let Value::Object(place) = value else { return None };
        self.objects.get(place)
    }
}

/// Runs the machine until it stops.
pub(super) fn run(bytes: &[u8]) -> Result<Pickle<'_>, TorchError> {
    let mut machine =
        Machine { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: BTreeMap::new(), objects: Vec::new() };
    loop {
        let at = machine.at;
        match machine.step() {
            Ok(None) => {}
            Ok(Some(root)) => return Ok(Pickle { objects: machine.objects, root }),
            Err(Stop::Forbidden(name)) => return Err(TorchError::Forbidden { name }),
            Err(Stop::Malformed(what)) => return Err(TorchError::Pickle { at, what }),
        }
    }
}

enum Stop {
    Malformed(String),
    Forbidden(String),
}

impl From<&str> for Stop {
    fn from(what: &str) -> Self {
        Self::Malformed(what.to_owned())
    }
}

struct Machine<'p> {
    bytes: &'p [u8],
    at: usize,
    stack: Vec<Value<'p>>,
    /// Stack heights of the open marks.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Value<'p>>,
    objects: Vec<Object<'p>>,
}

impl<'p> Machine<'p> {
    /// Runs one opcode; the last one gives the outermost value.
    fn step(&mut self) -> Result<Option<Value<'p>>, Stop> {
        let [opcode] = self.take()?;
        match opcode {
            0x80 => match self.take()? {
                [2] => {}
                [other] => return Err(Stop::Malformed(format!("protocol {other}, wanted 2, torch.save's default"))),
            },
            b'.' => return self.pop().map(Some),
            b'(' => self.mark()?,
            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            b'K' => {
                let [byte] = self.take()?;
                self.push(Value::Int(byte.into()))?;
            }
            b'M' => {
                let number = u16::from_le_bytes(self.take()?);
                self.push(Value::Int(number.into()))?;
            }
            b'J' => {
                let number = i32::from_le_bytes(self.take()?);
                self.push(Value::Int(number.into()))?;
            }
            0x8a => self.long()?,
            b'G' => {
                let number = f64::from_be_bytes(self.take()?);
                self.push(Value::Float(number))?;
            }
            b'X' => {
                let length = u32::from_le_bytes(self.take()?);
                let bytes = self.slice(length as usize)?;
                let text = std::str::from_utf8(bytes).map_err(|_| "text that is not UTF-8")?;
                self.push(Value::Text(text))?;
            }
            b')' => self.make(Object::Tuple(Vec::new()))?,
            b'\x85'..=b'\x87' => {
                let parts = self.pop_many(usize::from(opcode - 0x84))?;
                self.make(Object::Tuple(parts))?;
            }
            b't' => {
                let parts = self.pop_to_mark()?;
                self.make(Object::Tuple(parts))?;
            }
            b']' => self.make(Object::List(Vec::new()))?,
            b'a' => {
                let part = self.pop()?;
                self.append(vec![part])?;
            }
            b'e' => {
                let parts = self.pop_to_mark()?;
                self.append(parts)?;
            }
            b'}' => self.make(Object::Dict(Vec::new()))?,
            b's' => {
                let pair = self.pop_many(2)?;
                self.set(&pair)?;
            }
            b'u' => {
                let pairs = self.pop_to_mark()?;
                self.set(&pairs)?;
            }
            b'q' => {
                let [place] = self.take()?;
                self.remember(place.into())?;
            }
            b'r' => {
                let place = u32::from_le_bytes(self.take()?);
                self.remember(place)?;
            }
            b'h' => {
                let [place] = self.take()?;
                self.recall(place.into())?;
            }
            b'j' => {
                let place = u32::from_le_bytes(self.take()?);
                self.recall(place)?;
            }
            b'c' => self.global()?,
            b'R' => self.reduce()?,
            0x81 => self.new_instance()?,
            b'b' => self.build()?,
            b'Q' => self.persistent()?,
            other => return Err(Stop::Malformed(format!("opcode {other:#04x}, which PyTorch's archives don't use"))),
        }
        Ok(None)
    }

    fn slice(&mut self, length: usize) -> Result<&'p [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let slice = rest
            .get(..length)
            .ok_or_else(|| Stop::Malformed(format!("{length} more bytes are announced, {} are there", rest.len())))?;
        self.at += length;
        Ok(slice)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let slice = self.slice(N)?;
        Ok(slice.try_into().expect("a slice of N bytes"))
    }

    fn line(&mut self) -> Result<&'p str, Stop> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take(MAX_NAME_BYTES).position(|&byte| byte == b'\n').ok_or("a name without an end")?;
        let line = self.slice(length)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_| "a name that is not UTF-8".into())
    }

    /// Little-endian two's complement, as Python's long integers are written.
    fn long(&mut self) -> Result<(), Stop> {
        let [length] = self.take()?;
        let bytes = self.slice(length.into())?;
        if bytes.len() > 8 {
            return Err(Stop::Malformed(format!("an integer of {length} bytes, at most 8 are allowed")));
        }
        let fill = if bytes.last().is_some_and(|&top| top >= 0x80) { 0xff } else { 0 };
        let mut number = [fill; 8];
        number[..bytes.len()].copy_from_slice(bytes);
        self.push(Value::Int(i64::from_le_bytes(number)))
    }

    fn push(&mut self, value: Value<'p>) -> Result<(), Stop> {
        if self.stack.len() == MAX_STACK {
            return Err(Stop::Malformed(format!("more than {MAX_STACK} values on the stack")));
        }
        self.stack.push(value);
        Ok(())
    }

    fn make(&mut self, object: Object<'p>) -> Result<(), Stop> {
        if self.objects.len() == MAX_OBJECTS {
            return Err(Stop::Malformed(format!("more than {MAX_OBJECTS} objects")));
        }
        self.objects.push(object);
        self.push(Value::Object(self.objects.len() - 1))
    }

    fn mark(&mut self) -> Result<(), Stop> {
        if self.marks.len() == MAX_STACK {
            return Err(Stop::Malformed(format!("more than {MAX_STACK} marks")));
        }
        self.marks.push(self.stack.len());
        Ok(())
    }

    fn pop(&mut self) -> Result<Value<'p>, Stop> {
        self.pop_many(1).map(|values| values[0])
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Value<'p>>, Stop> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(height) if height >= floor => Ok(self.stack.split_off(height)),
            _ => Err("fewer values on the stack than the opcode takes".into()),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value<'p>>, Stop> {
        let height = self.marks.pop().ok_or("no mark on the stack")?;
        Ok(self.stack.split_off(height))
    }

    fn top(&self) -> Result<Value<'p>, Stop> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = self.stack.last().filter(|_| self.stack.len() > floor);
        top.copied().ok_or_else(|| "no value on the stack".into())
    }

    fn object(&mut self, value: Value<'p>, wanted: &str) -> Result<&mut Object<'p>, Stop> {
        match value {
            Value::Object(place) => Ok(&mut self.objects[place]),
            other => Err(Stop::Malformed(format!("{other:?}, wanted {wanted}"))),
        }
    }

    fn append(&mut self, parts: Vec<Value<'p>>) -> Result<(), Stop> {
        let top = self.top()?;
        let Object::List(list) = self.object(top, "a list")? else { return Err("wanted a list to append to".into()) };
        list.extend(parts);
        Ok(())
    }

    fn set(&mut self, pairs: &[Value<'p>]) -> Result<(), Stop> {
        let top = self.top()?;
        let Object::Dict(dict) = self.object(top, "a dict")? else {
            return Err("wanted a dict to put items in".into());
        };
        let (pairs, rest) = pairs.as_chunks();
        if !rest.is_empty() {
            return Err("a key without a value".into());
        }
        dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    fn remember(&mut self, place: u32) -> Result<(), Stop> {
        let top = self.top()?;
        if self.memo.len() == MAX_OBJECTS && !self.memo.contains_key(&place) {
            return Err(Stop::Malformed(format!("more than {MAX_OBJECTS} values in the memo")));
        }
        self.memo.insert(place, top);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<(), Stop> {
        let value = self.memo.get(&place).copied();
        let value = value.ok_or_else(|| Stop::Malformed(format!("memo {place}, which was never filled")))?;
        self.push(value)
    }

    fn global(&mut self) -> Result<(), Stop> {
        let (module, name) = (self.line()?, self.line()?);
        let object = if module.starts_with("__torch__.") || module == "__torch__" {
            Object::Class
        } else {
            Object::Known(known(module, name).ok_or_else(|| {
                let readable = |text: &str| text.escape_debug().take(100).collect::<String>();
                Stop::Forbidden(format!("{}.{}", readable(module), readable(name)))
            })?)
        };
        self.make(object)
    }

    /// The parts of a short tuple: arguments of a call, or a shape.
    fn tuple(&mut self, value: Value<'p>) -> Result<Vec<Value<'p>>, Stop> {
        match self.object(value, "a tuple")? {
            Object::Tuple(parts) if parts.len() <= MAX_PARTS => Ok(parts.clone()),
            Object::Tuple(parts) => {
                Err(Stop::Malformed(format!("a tuple of {} parts, at most {MAX_PARTS} are allowed here", parts.len())))
            }
            _ => Err("not a tuple, wanted one".into()),
        }
    }

    /// A call of one of the known names.
    fn reduce(&mut self) -> Result<(), Stop> {
        let arguments = self.pop()?;
        let arguments = self.tuple(arguments)?;
        let callee = self.pop()?;
        let Object::Known(known) = *self.object(callee, "a function")? else {
            return Err("a call of something that is not a function".into());
        };
        match (known, arguments.as_slice()) {
            (Known::OrderedDict, []) => self.make(Object::Dict(Vec::new())),
            (Known::RebuildParameter | Known::Wrapper, &[value, ..]) => self.push(value),
            (Known::RebuildTensor, &[storage, offset, shape, strides, ..]) => {
                let Object::Storage(storage) = *self.object(storage, "a storage")? else {
                    return Err("a tensor without a storage".into());
                };
                let [offset] = self.sizes(&[offset])?[..] else { unreachable!("one in, one out") };
                let (shape, strides) = (self.tuple(shape)?, self.tuple(strides)?);
                let (shape, strides) = (self.sizes(&shape)?, self.sizes(&strides)?);
                if shape.len() != strides.len() || shape.len() > MAX_RANK {
                    return Err(Stop::Malformed(format!(
                        "a tensor of {} dimensions with {} strides, wanted as many, at most {}",
                        shape.len(),
                        strides.len(),
                        MAX_RANK
                    )));
                }
                self.make(Object::Tensor(Tensor { storage, offset, shape, strides }))
            }
            _ => Err(Stop::Malformed(format!("a call of {known:?} with {} arguments", arguments.len()))),
        }
    }

    fn sizes(&self, values: &[Value<'p>]) -> Result<Vec<u64>, Stop> {
        let size = |value: &Value<'p>| match *value {
            Value::Int(size) => u64::try_from(size).ok(),
            _ => None,
        };
        values.iter().map(size).collect::<Option<_>>().ok_or_else(|| "a size that is not a natural number".into())
    }

    fn new_instance(&mut self) -> Result<(), Stop> {
        let arguments = self.pop()?;
        let arguments = self.tuple(arguments)?;
        let class = self.pop()?;
        match self.object(class, "a class")? {
            Object::Class if arguments.is_empty() => self.make(Object::Instance(None)),
            _ => Err("an instance of something that is not a class of TorchScript without arguments".into()),
        }
    }

    fn build(&mut self) -> Result<(), Stop> {
        let state = self.pop()?;
        let top = self.top()?;
        match self.object(top, "an instance")? {
            Object::Instance(attributes @ None) => {
                *attributes = Some(state);
                Ok(())
            }
            // Python attaches the versions of modules to a state dict.
            Object::Dict(_) => Ok(()),
            _ => Err("attributes for a value that has none".into()),
        }
    }

    /// A storage: ("storage", class, key, device, number of values).
    fn persistent(&mut self) -> Result<(), Stop> {
        let reference = self.pop()?;
        let parts = self.tuple(reference)?;
        let &[Value::Text("storage"), class, Value::Text(key), Value::Text(_), Value::Int(count), ..] =
            parts.as_slice()
        else {
            return Err("a reference to something that is not a storage".into());
        };
        let Object::Known(Known::Storage(dtype)) = *self.object(class, "a storage's class")? else {
            return Err("a storage of an unknown class".into());
        };
        let count = u64::try_from(count).map_err(|_| "a storage with a negative number of values")?;
        if key.is_empty() || key.len() > 64 || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Err(Stop::Malformed(format!(
                "a storage called {:?}, wanted a number",
                key.get(..64).unwrap_or(key)
            )));
        }
        self.make(Object::Storage(Storage { dtype, key, count }))
    }
}

/// The closed list of names.
fn known(module: &str, name: &str) -> Option<Known> {
    Some(match (module, name) {
        ("torch._utils", "_rebuild_tensor_v2") => Known::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Known::RebuildParameter,
        ("collections", "OrderedDict") => Known::OrderedDict,
        (
            "torch.jit._pickle",
            "build_intlist" | "build_doublelist" | "build_boollist" | "build_tensorlist" | "restore_type_tag",
        ) => Known::Wrapper,
        ("torch", storage) => Known::Storage(match storage {
            "DoubleStorage" => Dtype::F64,
            "FloatStorage" => Dtype::F32,
            "HalfStorage" => Dtype::F16,
            "BFloat16Storage" => Dtype::BF16,
            "LongStorage" => Dtype::I64,
            "IntStorage" => Dtype::I32,
            "ShortStorage" => Dtype::I16,
            "CharStorage" => Dtype::I8,
            "ByteStorage" => Dtype::U8,
            "BoolStorage" => Dtype::BOOL,
            _ => return None,
        }),
        _ => return None,
    })
}
