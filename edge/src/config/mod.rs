//! A TOML file, and what the command line says otherwise → the daemon's settings.
//!
//! `default.toml` is at once the documentation, the defaults and the list of known keys: a file of the installer's is
//! laid over it key by key, and a key that is not in it is refused with the nearest one that is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lintel_shared::door::{DoorSettings, DoorSettingsError, FailMode};
use lintel_shared::verdict::{VoteSettings, VoteSettingsError};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::health::CameraWatchSettings;

mod keys;

use keys::{nearest_key, overlay};

/// The documented default configuration, as `lintel-edge run --print-config` prints it.
pub const DEFAULT: &str = include_str!("default.toml");

/// Longest configuration file, in bytes.
pub const MAX_BYTES: u64 = 1 << 20;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not TOML, or a value has the wrong type.
    #[error("{}: {why}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line or key.
        why: String,
    },
    /// A key that no version of this program knows.
    #[error("{}: unknown key `{key}`{}", path.display(), nearest.as_ref().map_or_else(String::new, |n| format!(", did you mean `{n}`?")))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The whole key, e.g. `door.relase_s`.
        key: String,
        /// The nearest known one, if any is near.
        nearest: Option<String>,
    },
    /// A number that makes no sense.
    #[error("{key} is {got}, wanted {wanted}")]
    Range {
        /// The whole key.
        key: &'static str,
        /// The value.
        got: f64,
        /// What is allowed.
        wanted: &'static str,
    },
    /// `[vote]` and `[pipeline]` do not make sense together.
    #[error(transparent)]
    Vote(#[from] VoteSettingsError),
    /// `[door]` does not make sense.
    #[error(transparent)]
    Door(#[from] DoorSettingsError),
}

/// All settings of the daemon. The keys are documented in `default.toml`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct Config {
    pub camera: Camera,
    pub pipeline: Pipeline,
    pub vote: Vote,
    pub door: Door,
    pub relay: Relay,
    pub display: Display,
    pub inference: Inference,
}

/// `[camera]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct Camera {
    pub kind: CameraKind,
    pub recordings: Vec<PathBuf>,
    pub gap_s: Seconds,
    pub health: CameraHealth,
}

/// The cameras that there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CameraKind {
    /// Plays recordings.
    Replay,
}

/// `[camera.health]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct CameraHealth {
    pub fault_after_s: Seconds,
    pub dark_below: f32,
}

/// `[pipeline]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct Pipeline {
    pub max_frame_age_ms: u32,
    pub stage_timeout_s: Seconds,
}

/// `[vote]`
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct Vote {
    pub needed: u8,
    pub window: u8,
    pub refuse_after: u8,
    pub lifetime_s: Seconds,
    pub track_gap_s: Seconds,
}

/// `[door]`
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct Door {
    pub release_s: Seconds,
    pub max_release_s: Seconds,
    pub cool_down_s: Seconds,
    pub held_open_after_s: Seconds,
    pub max_decision_age_s: Seconds,
    pub fail: Fail,
}

/// What a fault does to the strike.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fail {
    /// It locks.
    Secure,
    /// It releases.
    Safe,
}

/// `[relay]`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct Relay {
    pub kind: RelayKind,
}

/// The relays that there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RelayKind {
    /// In memory only.
    Sim,
}

/// `[display]`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct Display {
    pub kind: DisplayKind,
    pub size: Size,
    pub history: u32,
}

/// The displays that there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DisplayKind {
    /// Pictures in the state folder.
    Png,
    /// No display.
    None,
}

/// Size and depth of a display.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
pub enum Size {
    /// Black and white, 128×64.
    #[serde(rename = "128x64")]
    #[value(name = "128x64")]
    Mono128x64,
    /// Colour, 240×240.
    #[serde(rename = "240x240")]
    #[value(name = "240x240")]
    Colour240x240,
}

/// `[inference]`
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct Inference {
    pub providers: Vec<ProviderName>,
    pub threads: u16,
    pub onnxruntime: PathBuf,
}

/// ONNX Runtime's execution providers that the configuration may name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderName {
    /// NVIDIA TensorRT.
    Tensorrt,
    /// NVIDIA CUDA.
    Cuda,
    /// Any processor.
    Cpu,
}

/// A length of time in seconds, 0 to a day.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Seconds(Duration);

impl Seconds {
    /// As a duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl TryFrom<f64> for Seconds {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        if !(0.0..=86_400.0).contains(&seconds) {
            return Err(format!("{seconds} seconds, wanted 0 to 86400"));
        }
        Ok(Self(Duration::from_secs_f64(seconds)))
    }
}

impl From<Seconds> for f64 {
    fn from(seconds: Seconds) -> Self {
        seconds.0.as_secs_f64()
    }
}

impl Default for Config {
    fn default() -> Self {
        toml::from_str(DEFAULT).expect("default.toml is the configuration that the tests parse")
    }
}

impl Config {
    /// The settings of a file laid over the defaults.
    ///
    /// # Errors
    /// An unreadable file, bad TOML, an unknown key, a value out of range.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let read = |source| ConfigError::Read { path: path.to_owned(), source };
        let bytes = std::fs::metadata(path).map_err(read)?.len();
        if bytes > MAX_BYTES {
            let why = format!("is {bytes} bytes long, wanted at most {MAX_BYTES}");
            return Err(ConfigError::Value { path: path.to_owned(), why });
        }
        Self::from_toml(&std::fs::read_to_string(path).map_err(read)?, path)
    }

    /// The settings of `text` laid over the defaults; `path` only says in errors where it comes from.
    ///
    /// # Errors
    /// As [`Config::from_file`].
    pub fn from_toml(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let value = |e: toml::de::Error| {
            let why = match e.span() {
                Some(span) => {
                    let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
                    format!("line {line}: {}", e.message())
                }
                None => e.message().to_owned(),
            };
            ConfigError::Value { path: path.to_owned(), why: why.replace('\n', ", ") }
        };
        let own: Table = toml::from_str(text).map_err(value)?;
        let mut all: Table = toml::from_str(DEFAULT).map_err(value)?;
        overlay(&mut all, own, "").map_err(|key| {
            let nearest = nearest_key(&key);
            ConfigError::UnknownKey { path: path.to_owned(), key, nearest }
        })?;
        let config: Self = Value::Table(all).try_into().map_err(value)?;
        config.check()?;
        Ok(config)
    }

    /// Whether the numbers make sense together.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let range =
            |key, ok: bool, got: f64, wanted| if ok { Ok(()) } else { Err(ConfigError::Range { key, got, wanted }) };
        let timeout = f64::from(self.pipeline.stage_timeout_s);
        range("pipeline.stage_timeout_s", timeout >= 1.0, timeout, "at least 1")?;
        let silence = f64::from(self.camera.health.fault_after_s);
        range("camera.health.fault_after_s", silence > 0.0, silence, "more than 0")?;
        let dark = self.camera.health.dark_below;
        range("camera.health.dark_below", (0.0..=255.0).contains(&dark), f64::from(dark), "0 to 255")?;
        self.vote_settings().check()?;
        Ok(self.door_settings().check()?)
    }

    /// `[vote]` and `[pipeline]` as the decider takes them.
    #[must_use]
    pub fn vote_settings(&self) -> VoteSettings {
        let Vote { needed, window, refuse_after, lifetime_s, track_gap_s } = self.vote;
        VoteSettings {
            needed,
            window,
            refuse_after,
            max_frame_age: Duration::from_millis(self.pipeline.max_frame_age_ms.into()),
            vote_lifetime: lifetime_s.duration(),
            track_gap: track_gap_s.duration(),
            ..VoteSettings::default()
        }
    }

    /// `[door]` as the door takes it.
    #[must_use]
    pub fn door_settings(&self) -> DoorSettings {
        let Door { release_s, max_release_s, cool_down_s, held_open_after_s, max_decision_age_s, fail } = self.door;
        DoorSettings {
            release: release_s.duration(),
            max_release: max_release_s.duration(),
            cool_down: cool_down_s.duration(),
            held_open_after: held_open_after_s.duration(),
            max_decision_age: max_decision_age_s.duration(),
            fail: match fail {
                Fail::Secure => FailMode::Secure,
                Fail::Safe => FailMode::Safe,
            },
        }
    }

    /// `[camera.health]` as the watch takes it.
    #[must_use]
    pub fn camera_watch(&self) -> CameraWatchSettings {
        let CameraHealth { fault_after_s, dark_below } = self.camera.health;
        CameraWatchSettings { fault_after: fault_after_s.duration(), dark_below }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::from_toml(text, Path::new("door.toml")).map_err(|e| e.to_string())
    }

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        assert_eq!(parse("").unwrap(), Config::default());
        assert_eq!(parse(DEFAULT).unwrap(), Config::default());
        // And they are what the settings' own types call their defaults.
        assert_eq!(Config::default().vote_settings(), VoteSettings::default());
        assert_eq!(Config::default().door_settings(), DoorSettings::default());
        // Every key of the structure is in the file, and no other.
        let written = Table::try_from(Config::default()).unwrap();
        let documented: Table = toml::from_str(DEFAULT).unwrap();
        let keys = |table: &Table| {
            let mut keys: Vec<String> = Vec::new();
            for (section, value) in table {
                keys.extend(value.as_table().unwrap().keys().map(|key| format!("{section}.{key}")));
            }
            keys.sort();
            keys
        };
        assert_eq!(keys(&written), keys(&documented));
    }

    #[test]
    fn every_key_has_a_comment() {
        let mut commented = false;
        for line in DEFAULT.lines() {
            if line.starts_with('#') {
                commented = true;
            } else if line.is_empty() || line.starts_with('[') {
                commented = false;
            } else {
                // `needed` and `window` share theirs: a comment covers the lines up to the next blank one.
                assert!(commented, "no comment above {line:?}");
            }
        }
    }

    #[test]
    fn a_file_names_only_what_differs() {
        let config = parse("[door]\nrelease_s = 3\n[display]\nsize = \"128x64\"\n").unwrap();
        let expected = Config {
            door: Door { release_s: Seconds(Duration::from_secs(3)), ..Config::default().door },
            display: Display { size: Size::Mono128x64, ..Config::default().display },
            ..Config::default()
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn what_is_refused() {
        let check = |text: &str, expected: &str| {
            assert_eq!(parse(text).unwrap_err(), expected, "{text:?}");
        };
        check("[door]\nrelase_s = 3", "door.toml: unknown key `door.relase_s`, did you mean `door.release_s`?");
        check("[dor]\nrelease_s = 3", "door.toml: unknown key `dor`, did you mean `door`?");
        check("release_s = 3", "door.toml: unknown key `release_s`, did you mean `door.release_s`?");
        check(
            "[camera]\ndark_below = 3",
            "door.toml: unknown key `camera.dark_below`, did you mean `camera.health.dark_below`?",
        );
        check("[zzz]\nq = 3", "door.toml: unknown key `zzz`");
        check("[door]\nrelease_s = 61", "door setting release is 61s, wanted 1s to 60s");
        check("[door]\nrelease_s = 0.5", "door setting release is 500ms, wanted 1s to 60s");
        check("[vote]\nneeded = 7", "vote setting needed is out of range, wanted 1 to window");
        check("[vote]\nneeded = 0", "vote setting needed is out of range, wanted 1 to window");
        check("[camera.health]\ndark_below = nan", "camera.health.dark_below is NaN, wanted 0 to 255");
        check("[pipeline]\nstage_timeout_s = 0.5", "pipeline.stage_timeout_s is 0.5, wanted at least 1");
    }

    #[test]
    fn wrong_types_are_refused_with_their_place() {
        let check = |text: &str, part: &str| {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with("door.toml: ") && error.contains(part), "{text:?}: {error}");
            assert!(!error.contains('\n'), "{error}");
        };
        check("[door]\nrelease_s = -1", "wanted 0 to 86400");
        check("[door]\nrelease_s = inf", "wanted 0 to 86400");
        check("[door]\nrelease_s = \"five\"", "invalid type");
        check("[door]\nfail = \"open\"", "unknown variant `open`");
        check("[door\n", "line 1");
        check("door = 3", "invalid type");
        check("[vote]\nneeded = 300", "300");
    }
}
