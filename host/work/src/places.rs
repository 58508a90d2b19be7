//! The user's folders for Lintel, after the XDG base directory rules, and the default way to open models.

use std::path::PathBuf;

use etcetera::BaseStrategy as _;
use etcetera::base_strategy::Xdg;
use lintel_inference::{Library, Options};

/// `lintel` in the folder that `place` gives; `None` where the user has no home folder.
fn lintel_in(place: impl FnOnce(&Xdg) -> PathBuf) -> Option<PathBuf> {
    Xdg::new().ok().map(|xdg| place(&xdg).join("lintel")).filter(|path| path.is_absolute())
}

/// Files that can be made again: `$XDG_CACHE_HOME/lintel`.
#[must_use]
pub fn cache() -> Option<PathBuf> {
    lintel_in(Xdg::cache_dir)
}

/// Files that the user installed: `$XDG_DATA_HOME/lintel`.
#[must_use]
pub fn data() -> Option<PathBuf> {
    lintel_in(Xdg::data_dir)
}

/// Files that the user configured: `$XDG_CONFIG_HOME/lintel`.
#[must_use]
pub fn config() -> Option<PathBuf> {
    lintel_in(Xdg::config_dir)
}

/// The default way to open models: on the processor, with an ONNX Runtime that is fetched into [`cache`] if there is
/// none.
#[must_use]
pub fn runtime() -> Options {
    Options { library: Library { cache: cache(), ..Library::default() }, ..Options::default() }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Prints the folders; the next test starts this one with other environments.
    #[test]
    #[ignore = "prints for the next test"]
    fn prints() {
        println!("({})({})", data().unwrap_or_default().display(), cache().unwrap_or_default().display());
    }

    #[test]
    fn folders_follow_the_xdg_rules() {
        let check = |data: Option<&str>, home: &str, expected: &str| {
            let mut command = Command::new(std::env::current_exe().expect("a test program"));
            command.args(["--ignored", "--exact", "places::tests::prints", "--nocapture"]);
            command.env_remove("XDG_CACHE_HOME").env_remove("XDG_DATA_HOME").env("HOME", home);
            command.envs(data.map(|data| ("XDG_DATA_HOME", data)));
            let out = command.output().expect("it starts").stdout;
            let text = String::from_utf8(out).expect("text");
            assert!(text.contains(expected), "{data:?} {home:?}: {text}");
        };
        check(Some("/data"), "/of/x", "(/data/lintel)(/of/x/.cache/lintel)");
        check(Some("data"), "/of/x", "(/of/x/.local/share/lintel)(/of/x/.cache/lintel)");
        check(Some(""), "/of/x", "(/of/x/.local/share/lintel)(/of/x/.cache/lintel)");
        check(None, "x", "()()");
    }
}
