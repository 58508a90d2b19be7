//! The names that checkpoints give to CLIP's tensors → OpenAI's.

use super::{NamedTensor, NamedTensors, WeightsError};

/// Prefixes that wrappers (distributed training, `torch.compile`) add to every name.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];
/// The prefix of the text tower's names in open_clip's models where that tower is a module of its own.
const TEXT: &str = "text.";
/// The causal mask: −∞ above the diagonal, the same for every model of one context length.
const MASK: &str = "attn_mask";

/// Whether `name` is a tensor that follows from the architecture and is not a weight.
pub(super) fn is_mask(name: &str) -> bool {
    name.rsplit('.').next() == Some(MASK)
}

/// Removes the prefixes that training programs add.
pub(super) fn openai(tensors: NamedTensors) -> Result<NamedTensors, WeightsError> {
    let mut skip = 0;
    while let Some(wrapper) = WRAPPERS.into_iter().find(|wrapper| {
        !tensors.is_empty() && tensors.0.keys().all(|name| name.get(skip..).is_some_and(|n| n.starts_with(wrapper)))
    }) {
        skip += wrapper.len();
    }
    let mut named = NamedTensors::new();
    for (name, tensor) in tensors.0 {
        let name = &name[skip..];
        let name = name.strip_prefix(TEXT).unwrap_or(name);
        if named.find(name).is_some() {
            return Err(WeightsError::Twice { name: name.to_owned() });
        }
        named.insert(name, scalar(name, tensor));
    }
    Ok(named)
}

/// Some of open_clip's checkpoints hold the logit scale as a list of one number.
fn scalar(name: &str, tensor: NamedTensor) -> NamedTensor {
    if name == "logit_scale" && tensor.shape == [1] {
        return NamedTensor { shape: Vec::new(), values: tensor.values };
    }
    tensor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_wrappers_and_towers_go() {
        let check = |from: &[&str], expected: Option<&[&str]>| {
            let mut tensors = NamedTensors::new();
            from.iter().for_each(|name| tensors.insert(*name, NamedTensor::new(vec![1], vec![0.0])));
            let got = openai(tensors).ok();
            let names = got.as_ref().map(|named| named.iter().map(|(name, _)| name).collect::<Vec<_>>());
            assert_eq!(names.as_deref(), expected);
        };
        check(&[], Some(&[]));
        check(&["a.b", "c"], Some(&["a.b", "c"]));
        check(&["module.a", "module.b"], Some(&["a", "b"]));
        check(&["module._orig_mod.a", "module._orig_mod.b"], Some(&["a", "b"]));
        // No wrapper: one name is without the prefix.
        check(&["module.a", "b"], Some(&["b", "module.a"]));
        check(&["text.ln_final.bias", "visual.conv1.weight"], Some(&["ln_final.bias", "visual.conv1.weight"]));
        check(&["text.a", "a"], None);
        check(&["module.module"], Some(&["module"]));
    }

    #[test]
    fn a_logit_scale_is_a_scalar() {
        let mut tensors = NamedTensors::new();
        tensors.insert("logit_scale", NamedTensor::new(vec![1], vec![4.6]));
        assert_eq!(openai(tensors).expect("tensors").find("logit_scale"), Some(&NamedTensor::scalar(4.6)));
    }

    #[test]
    fn masks_are_known_by_their_last_part() {
        assert!(is_mask("attn_mask") && is_mask("transformer.resblocks.3.attn_mask"));
        assert!(!is_mask("attn_mask.weight") && !is_mask("my_attn_mask"));
    }
}
