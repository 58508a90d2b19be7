//! A TOML file, and what the command line says otherwise → the daemon's settings.
//!
//! `default.toml` is at once the documentation, the defaults and the list of known keys: a file of the installer's is
//! laid over it key by key, and a key that is not in it is refused with the nearest one that is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lintel_core::camera_watch::CameraWatchSettings;
use lintel_core::controller::ControllerSettings;
use lintel_core::decision::{VoteSettings, VoteSettingsError};
use lintel_core::door::{DoorSettings, DoorSettingsError, FailMode};
use lintel_core::frame::MAX_SIDE;
use lintel_core::lockout::{LockoutSettings, LockoutSettingsError};
use lintel_core::track::{TrackSettings, TrackSettingsError};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::io::camera::v4l2::V4l2Settings;
use crate::io::camera::v4l2::mode::Wanted;
use crate::io::gpio::inputs::InputSettings;
use crate::io::relay::line::Action;

mod keys;
mod sections;

pub use crate::io::display::png::Size;
use keys::{UnknownKey, nearest_key, overlay};
pub use sections::{
    AuditLog, Camera, CameraHealth, CameraKind, Display, DisplayKind, Door, Fail, Inference, Inputs, Level, Lockout,
    Network, Pipeline, ProviderName, PullName, Relay, RelayAction, RelayKind, Vote,
};

/// The documented default configuration, as `lintel-edge run --print-config` prints it.
pub const DEFAULT: &str = include_str!("config/default.toml");

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
    /// The file is no configuration, however long it is.
    #[error("{}: is {bytes} bytes long, wanted at most {MAX_BYTES}", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// The file is not TOML, or a value has the wrong type.
    #[error("{}: {why}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// What the parser said, in one line, with line or key.
        why: String,
    },
    /// A key that no version of this program knows.
    #[error("{}: unknown key `{key}`{}", path.display(), meant(nearest.as_deref()))]
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
        /// The number in the file.
        got: f64,
        /// What is allowed.
        wanted: &'static str,
    },
    /// `[vote]` and `[pipeline]` do not make sense together.
    #[error(transparent)]
    Vote(#[from] VoteSettingsError),
    /// `[vote]` makes no sense for tracks.
    #[error(transparent)]
    Track(#[from] TrackSettingsError),
    /// `[door]` does not make sense.
    #[error(transparent)]
    Door(#[from] DoorSettingsError),
    /// `[lockout]` does not make sense.
    #[error(transparent)]
    Lockout(#[from] LockoutSettingsError),
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!(", did you mean `{nearest}`?"))
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
    pub inputs: Inputs,
    pub display: Display,
    pub inference: Inference,
    pub lockout: Lockout,
    pub audit_log: AuditLog,
    pub network: Network,
}

/// A length of time in seconds, 0 to a day.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Seconds(Duration);

impl Seconds {
    /// Converts to the standard library's type.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }
}

/// A length of time that no setting has.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[error("{0} seconds, wanted 0 to 86400")]
pub struct SecondsError(f64);

impl TryFrom<f64> for Seconds {
    type Error = SecondsError;

    fn try_from(seconds: f64) -> Result<Self, SecondsError> {
        if !(0.0..=86_400.0).contains(&seconds) {
            return Err(SecondsError(seconds));
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
            return Err(ConfigError::TooLong { path: path.to_owned(), bytes });
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
        overlay(&mut all, own, "").map_err(|UnknownKey(key)| {
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
        let Camera { width, height, fps, .. } = self.camera;
        let sides = 1..=MAX_SIDE;
        range("camera.width", sides.contains(&width), width.into(), "1 to 8192")?;
        range("camera.height", sides.contains(&height), height.into(), "1 to 8192")?;
        range("camera.fps", (1..=1000).contains(&fps), fps.into(), "1 to 1000")?;
        let debounce = self.inputs.debounce_ms;
        range("inputs.debounce_ms", debounce <= 1000, debounce.into(), "0 to 1000")?;
        let Display { i2c_address, spi_mhz, .. } = self.display;
        range(
            "display.i2c_address",
            (0x08..=0x77).contains(&i2c_address),
            i2c_address.into(),
            "8 to 119 (0x08 to 0x77)",
        )?;
        range("display.spi_mhz", (1..=80).contains(&spi_mhz), spi_mhz.into(), "1 to 80")?;
        self.vote_settings().check()?;
        self.track_settings().check()?;
        self.door_settings().check()?;
        self.lockout_settings().check()?;
        let keep = self.audit_log.keep;
        range("audit_log.keep", (1000..=10_000_000).contains(&keep), keep as f64, "1000 to 10000000")?;
        let days = self.network.table_expires_days;
        range("network.table_expires_days", days <= 3650, days.into(), "0 to 3650")?;
        let pulse = self.relay.pulse_s.duration();
        let lasts = (Duration::from_millis(50)..=self.door.release_s.duration()).contains(&pulse);
        range("relay.pulse_s", lasts, pulse.as_secs_f64(), "0.05 to door.release_s")
    }

    /// `[relay]` as the relay's line takes it.
    #[must_use]
    pub fn relay_action(&self) -> Action {
        // The door locks in time by itself; beyond this it hangs.
        const GRACE: Duration = Duration::from_secs(1);
        match self.relay.action {
            RelayAction::Latched => Action::Latched { at_most: self.door.max_release_s.duration() + GRACE },
            RelayAction::Pulse => Action::Pulse { length: self.relay.pulse_s.duration() },
        }
    }

    /// `[inputs]`, if any wire is there.
    #[must_use]
    pub fn input_settings(&self) -> Option<InputSettings> {
        let Inputs { exit_button, exit_pressed, door_contact, door_open, pull, debounce_ms } = self.inputs.clone();
        let wired = !exit_button.is_empty() || !door_contact.is_empty();
        wired.then(|| InputSettings {
            exit_button,
            pressed: exit_pressed.into(),
            door_contact,
            open: door_open.into(),
            pull: pull.into(),
            debounce: Duration::from_millis(debounce_ms.into()),
        })
    }

    /// `[camera]` as the V4L2 camera takes it.
    #[must_use]
    pub fn v4l2_settings(&self) -> V4l2Settings {
        let Camera { ref device, width, height, fps, .. } = self.camera;
        V4l2Settings {
            device: device.clone(),
            wanted: Wanted { width, height, fps },
            silent_after: self.camera.health.fault_after_s.duration(),
        }
    }

    /// `[vote]` and `[pipeline]` as the decider takes them.
    #[must_use]
    pub fn vote_settings(&self) -> VoteSettings {
        let Vote { needed, window, refuse_after, lifetime_s, track_gap_s: _ } = self.vote;
        VoteSettings {
            needed,
            window,
            refuse_after,
            max_frame_age: Duration::from_millis(self.pipeline.max_frame_age_ms.into()),
            vote_lifetime: lifetime_s.duration(),
        }
    }

    /// `[vote]` as the tracker takes it.
    #[must_use]
    pub fn track_settings(&self) -> TrackSettings {
        TrackSettings { gap: self.vote.track_gap_s.duration(), ..TrackSettings::default() }
    }

    /// `[vote]`, `[pipeline]`, `[door]` and `[lockout]` as the door controller takes them; how long the relay moves,
    /// the relay says.
    #[must_use]
    pub fn controller_settings(&self) -> ControllerSettings {
        ControllerSettings {
            vote: self.vote_settings(),
            track: self.track_settings(),
            door: self.door_settings(),
            lockout: self.lockout_settings(),
            relay_settle: Duration::ZERO,
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

    /// `[lockout]` as the keeper takes it.
    #[must_use]
    pub fn lockout_settings(&self) -> LockoutSettings {
        let Lockout { tries, delay_s, growth, max_delay_s, forget_after_s } = self.lockout;
        LockoutSettings {
            tries,
            delay: delay_s.duration(),
            growth,
            max_delay: max_delay_s.duration(),
            forget_after: forget_after_s.duration(),
        }
    }

    /// How long a table counts without a push; `None`: for ever.
    #[must_use]
    pub fn table_lasts(&self) -> Option<Duration> {
        let days = self.network.table_expires_days;
        (days > 0).then(|| Duration::from_secs(86_400 * u64::from(days)))
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
        assert_eq!(Config::default().track_settings(), TrackSettings::default());
        assert_eq!(Config::default().door_settings(), DoorSettings::default());
        assert_eq!(Config::default().lockout_settings(), LockoutSettings::default());
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
        check("[lockout]\ngrowth = 0", "lockout setting growth is out of range, wanted 1 to 10");
        check("[network]\ntable_expires_days = 4000", "network.table_expires_days is 4000, wanted 0 to 3650");
        check("[audit_log]\nkeep = 9", "audit_log.keep is 9, wanted 1000 to 10000000");
        check("[relay]\npulse_s = 5.5", "relay.pulse_s is 5.5, wanted 0.05 to door.release_s");
        check("[relay]\npulse_s = 0.01", "relay.pulse_s is 0.01, wanted 0.05 to door.release_s");
        check("[camera]\nfps = 0", "camera.fps is 0, wanted 1 to 1000");
        check("[camera]\nwidth = 9000", "camera.width is 9000, wanted 1 to 8192");
        check(
            "[inputs]\nexit_buton = 'x'",
            "door.toml: unknown key `inputs.exit_buton`, did you mean `inputs.exit_button`?",
        );
        check("[display]\ni2c_address = 0x78", "display.i2c_address is 120, wanted 8 to 119 (0x08 to 0x77)");
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
