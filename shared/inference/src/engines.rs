//! A model, the GPU of this machine → the folder where TensorRT's engines for both are kept.
//!
//! An engine takes minutes to build, and fits one model on one kind of GPU only: elsewhere TensorRT refuses it at best.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The folder under `root` for the model in `onnx` on this machine's GPU, made if need be. `None`, and a warning, where
/// it cannot be made: the engine is built every time then.
pub fn folder(root: &Path, onnx: &[u8]) -> Option<PathBuf> {
    let folder = root.join(name(onnx, &gpu()));
    match fs::create_dir_all(&folder) {
        Ok(()) => Some(folder),
        Err(e) => {
            tracing::warn!("{}: {e}; TensorRT's engine is built anew at every start", folder.display());
            None
        }
    }
}

/// Sixteen digits of the model's SHA-256, and the GPU's name in letters that any file system takes.
fn name(onnx: &[u8], gpu: &str) -> String {
    let hash: String = Sha256::digest(onnx).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let gpu: String = gpu.chars().map(plain).take(64).collect();
    format!("{hash}-{}", gpu.trim_matches('-'))
}

/// The GPU as NVIDIA's driver calls it, or the board where the GPU is part of it.
fn gpu() -> String {
    let cards = fs::read_dir("/proc/driver/nvidia/gpus").into_iter().flatten().flatten();
    let mut models: Vec<String> = cards
        .filter_map(|card| fs::read_to_string(card.path().join("information")).ok())
        .filter_map(|text| text.lines().find_map(|line| line.strip_prefix("Model:")).map(|name| name.trim().to_owned()))
        .collect();
    models.sort();
    let board = || fs::read_to_string("/proc/device-tree/model").map(|model| model.trim_end_matches('\0').to_owned());
    models.into_iter().next().or_else(|| board().ok()).unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_model_or_gpu_is_another_folder() {
        let check = |onnx: &[u8], gpu: &str, expected: &str| assert_eq!(name(onnx, gpu), expected);
        // SHA-256 of nothing begins with e3b0c44298fc1c14, of "a" with ca978112ca1bbdca.
        check(b"", "NVIDIA Jetson Orin Nano", "e3b0c44298fc1c14-nvidia-jetson-orin-nano");
        check(b"a", "NVIDIA Jetson Orin Nano", "ca978112ca1bbdca-nvidia-jetson-orin-nano");
        check(b"a", "../../etc", "ca978112ca1bbdca-etc");
        check(b"a", "", "ca978112ca1bbdca-");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(super::folder(folder.path(), b"model").unwrap().is_dir());
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert_eq!(super::folder(&file, b"model"), None);
    }
}
