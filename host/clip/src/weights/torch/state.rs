//! The objects of a pickle → tensors by name → their values.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::super::values::{is_count, values_of};
use super::super::{MAX_TENSORS, NamedTensor, NamedTensors, WeightsError, names, within};
use super::TorchError;
use super::archive::Archive;
use super::pickle::{Object, Pickle, Storage, Tensor, Value};

/// Greatest depth of nested modules.
const MAX_DEPTH: usize = 32;
/// The most entries of modules and dicts that are visited; an object may be reached on many paths.
const MAX_VISITS: usize = 1 << 18;
/// The longest name of a tensor, in bytes.
const MAX_NAME_BYTES: usize = 512;
/// Bytes that tensors may take in memory for each byte of the file: half precision doubles, shared layers count twice.
const GROWTH: u64 = 4;
/// Bytes that tensors may take in memory, however small the file is.
const FREE_BYTES: u64 = 64 << 20;
/// Bytes that tensors may take in memory, however large the file is. CLIP RN50 takes 408 MB.
const MAX_BYTES: u64 = 2 << 30;
/// Keys under which training programs keep the weights beside the optimiser's state.
const STATE_KEYS: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// The tensors of a TorchScript module, or of a state dict, by name.
pub(super) fn named<'p>(pickle: &Pickle<'p>) -> Result<BTreeMap<String, Tensor<'p>>, WeightsError> {
    let root = weights_in(pickle, pickle.root).ok_or_else(|| {
        TorchError::Form("data.pkl holds neither a TorchScript module nor a dict, wanted tensors by name".into())
    })?;
    let mut tensors = BTreeMap::new();
    let mut open = vec![(String::new(), 0, root)];
    let mut visits = 0;
    while let Some((prefix, depth, entries)) = open.pop() {
        let mut keys = BTreeSet::new();
        for &(key, value) in entries {
            visits += 1;
            within("entries in modules", visits, MAX_VISITS)?;
            let (Value::Text(key), Some(object)) = (key, pickle.object(value)) else { continue };
            let tensor = match object {
                Object::Tensor(tensor) => Some(tensor),
                Object::Instance(Some(attributes)) if depth < MAX_DEPTH => {
                    if let Some(Object::Dict(entries)) = pickle.object(*attributes) {
                        within("bytes in a tensor's name", prefix.len() + key.len() + 1, MAX_NAME_BYTES)?;
                        open.push((format!("{prefix}{key}."), depth + 1, entries));
                    }
                    None
                }
                Object::Instance(_) => {
                    within("modules inside one another", depth + 1, MAX_DEPTH)?;
                    None
                }
                _ => None,
            };
            let Some(tensor) = tensor else { continue };
            within("bytes in a tensor's name", prefix.len() + key.len(), MAX_NAME_BYTES)?;
            let name = format!("{prefix}{key}");
            if !keys.insert(key) {
                return Err(WeightsError::Twice { name });
            }
            if is_count(tensor.storage.dtype) || names::is_mask(&name) {
                continue;
            }
            tensors.insert(name, tensor.clone());
            within("tensors", tensors.len(), MAX_TENSORS)?;
        }
    }
    if tensors.is_empty() {
        return Err(TorchError::Form("data.pkl holds no tensors by name".into()).into());
    }
    Ok(tensors)
}

/// The entries in which tensors are looked for.
fn weights_in<'a, 'p>(pickle: &'a Pickle<'p>, root: Value<'p>) -> Option<&'a [(Value<'p>, Value<'p>)]> {
    let entries = match pickle.object(root)? {
        Object::Instance(Some(attributes)) => match pickle.object(*attributes)? {
            Object::Dict(entries) => return Some(entries),
            _ => return None,
        },
        Object::Dict(entries) => entries,
        _ => return None,
    };
    for wanted in STATE_KEYS {
        let inner = entries.iter().find(|(key, _)| *key == Value::Text(wanted)).map(|(_, value)| *value);
        if let Some(Object::Dict(inner)) = inner.and_then(|value| pickle.object(value)) {
            return Some(inner);
        }
    }
    Some(entries)
}

/// Reads the values of `tensors`, one storage after another.
pub(super) fn load(
    tensors: &BTreeMap<String, Tensor<'_>>,
    archive: &mut Archive<'_>,
) -> Result<NamedTensors, WeightsError> {
    // Tensors may share a storage where layers share weights; thousands that share one are an attack on memory.
    let most = (archive.bytes as u64).saturating_mul(GROWTH).clamp(FREE_BYTES, MAX_BYTES);
    let mut total = 0_u64;
    let mut storages: BTreeMap<&str, Vec<(&str, &Tensor<'_>)>> = BTreeMap::new();
    for (name, tensor) in tensors {
        let count = check_extent(tensor).map_err(|what| TorchError::Tensor { name: name.clone(), what })?;
        let width = size_of_value(tensor.storage).max(size_of::<f32>());
        total = total.saturating_add(count.saturating_mul(width as u64));
        if total > most {
            let what =
                format!("brings all tensors to {total} bytes, at most {most} are allowed in a file of this size");
            return Err(TorchError::Tensor { name: name.clone(), what }.into());
        }
        storages.entry(tensor.storage.key).or_default().push((name, tensor));
    }
    let mut loaded = NamedTensors::new();
    for (key, views) in storages {
        let storage = views[0].1.storage;
        if let Some((name, other)) = views.iter().find(|(_, tensor)| tensor.storage != storage) {
            let what = format!("takes storage {key} for {:?}, another tensor for {storage:?}", other.storage);
            return Err(TorchError::Tensor { name: (*name).to_owned(), what }.into());
        }
        let bytes = archive.storage(key, storage_bytes(storage, most)?)?;
        for (name, tensor) in views {
            let values = values_of(name, storage.dtype, &contiguous(tensor, &bytes))?;
            let shape = tensor.shape.iter().map(|&size| size as usize).collect();
            loaded.insert(name, NamedTensor { shape, values });
        }
    }
    Ok(loaded)
}

/// The bytes that the archive must hold for a storage.
fn storage_bytes(storage: Storage<'_>, most: u64) -> Result<u64, TorchError> {
    let bytes = storage.count.saturating_mul(size_of_value(storage) as u64);
    if bytes > most {
        let what = format!("has {bytes} bytes, at most {most} are allowed in a file of this size");
        return Err(TorchError::Entry { entry: format!("storage {}", storage.key), what });
    }
    Ok(bytes)
}

fn size_of_value(storage: Storage<'_>) -> usize {
    storage.dtype.bitsize() / 8
}

/// The number of values of a tensor, if all of them lie inside its storage.
fn check_extent(tensor: &Tensor<'_>) -> Result<u64, String> {
    let Tensor { storage, offset, shape, strides } = tensor;
    let uncountable = || format!("has shape {shape:?} and strides {strides:?}, wanted sizes that can be counted");
    let count = shape.iter().try_fold(1_u64, |n, &size| n.checked_mul(size)).ok_or_else(uncountable)?;
    if count == 0 {
        return Ok(0);
    }
    let mut last = *offset;
    for (&size, &stride) in shape.iter().zip(strides) {
        last = (size - 1).checked_mul(stride).and_then(|step| last.checked_add(step)).ok_or_else(uncountable)?;
    }
    if last >= storage.count {
        return Err(format!(
            "with shape {shape:?} and strides {strides:?} reaches value {last} of storage {}, which has {}",
            storage.key, storage.count
        ));
    }
    Ok(count)
}

/// The tensor's bytes in row-major order. `bytes` is its whole storage, in which [`check_extent`] has found it.
fn contiguous<'b>(tensor: &Tensor<'_>, bytes: &'b [u8]) -> Cow<'b, [u8]> {
    let width = size_of_value(tensor.storage);
    let at = |index: u64| index as usize * width;
    let count: u64 = tensor.shape.iter().product();
    if count == 0 {
        return Cow::Borrowed(&[]);
    }
    let mut step = 1;
    let dense = tensor.shape.iter().zip(&tensor.strides).rev().all(|(&size, &stride)| {
        let fits = size == 1 || stride == step;
        step *= size;
        fits
    });
    if dense {
        return Cow::Borrowed(&bytes[at(tensor.offset)..at(tensor.offset + count)]);
    }
    let mut gathered = Vec::with_capacity(at(count));
    let mut index = vec![0_u64; tensor.shape.len()];
    let mut place = tensor.offset;
    for _ in 0..count {
        gathered.extend_from_slice(&bytes[at(place)..at(place + 1)]);
        // As an odometer counts: the last dimension changes fastest.
        for axis in (0..index.len()).rev() {
            if index[axis] + 1 < tensor.shape[axis] {
                index[axis] += 1;
                place += tensor.strides[axis];
                break;
            }
            place -= tensor.strides[axis] * index[axis];
            index[axis] = 0;
        }
    }
    Cow::Owned(gathered)
}
