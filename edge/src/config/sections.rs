//! The sections of the configuration, key by key.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Seconds;
use crate::io::display::png::Size;
use crate::io::gpio::{Active, Pull};

/// Section `[camera]`: which camera, and its pictures.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct Camera {
    pub kind: CameraKind,
    pub device: String,
    pub width: u32,
    pub height: u32,
    pub fps: u32,
    pub recordings: Vec<PathBuf>,
    pub gap_s: Seconds,
    pub health: CameraHealth,
}

/// Where pictures come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CameraKind {
    /// Plays recordings.
    Replay,
    /// A camera of the kernel's.
    V4l2,
}

/// Section `[camera.health]`: when a camera is a fault.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct CameraHealth {
    pub fault_after_s: Seconds,
    pub dark_below: f32,
}

/// Section `[pipeline]`: limits of time between the stages.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct Pipeline {
    pub max_frame_age_ms: u32,
    pub stage_timeout_s: Seconds,
}

/// Section `[vote]`: how opinions become a verdict.
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

/// Section `[door]`: how long the strike is released.
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

/// Section `[relay]`: what moves the strike.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct Relay {
    pub kind: RelayKind,
    pub line: String,
    pub active: Level,
    pub action: RelayAction,
    pub pulse_s: Seconds,
    pub feedback: String,
    pub feedback_released: Level,
}

/// What moves the strike.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum RelayKind {
    /// In memory only.
    Sim,
    /// A line of the kernel's GPIO character device.
    Gpio,
    /// A pin of a Raspberry Pi.
    RaspberryPi,
}

/// A level of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Near the supply.
    High,
    /// Near ground.
    Low,
}

impl From<Level> for Active {
    fn from(level: Level) -> Self {
        match level {
            Level::High => Self::High,
            Level::Low => Self::Low,
        }
    }
}

/// How a release is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelayAction {
    /// The line is held.
    Latched,
    /// The line is active for a moment.
    Pulse,
}

/// Section `[inputs]`: exit button and door contact.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct Inputs {
    pub exit_button: String,
    pub exit_pressed: Level,
    pub door_contact: String,
    pub door_open: Level,
    pub pull: PullName,
    pub debounce_ms: u32,
}

/// What the board does with a wire that nobody drives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "default.toml documents every value")]
pub enum PullName {
    Up,
    Down,
    Off,
    AsIs,
}

impl From<PullName> for Pull {
    fn from(name: PullName) -> Self {
        match name {
            PullName::Up => Self::Up,
            PullName::Down => Self::Down,
            PullName::Off => Self::Off,
            PullName::AsIs => Self::AsIs,
        }
    }
}

/// Section `[display]`: what shows the screens.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct Display {
    pub kind: DisplayKind,
    pub size: Size,
    pub history: u32,
    pub device: String,
    pub i2c_address: u8,
    pub data_command: String,
    pub reset: String,
    pub spi_mhz: u32,
}

/// What shows the screens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DisplayKind {
    /// Pictures in the state folder.
    Png,
    /// A one-bit panel on I²C.
    Ssd1306,
    /// A colour panel on SPI.
    St7789,
    /// A screen of Linux.
    Framebuffer,
    /// No display.
    None,
}

/// Section `[inference]`: what computes the models.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct Inference {
    pub providers: Vec<ProviderName>,
    pub require: bool,
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

/// Section `[lockout]`: when refusals make everybody wait.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct Lockout {
    pub tries: u32,
    pub delay_s: Seconds,
    pub growth: u32,
    pub max_delay_s: Seconds,
    pub forget_after_s: Seconds,
}

/// Section `[audit_log]`: size of the audit log.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct AuditLog {
    pub keep: u64,
}

/// Section `[network]`: how workstations reach the device.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "default.toml documents every key, next to its default")]
pub struct Network {
    pub listen: String,
    pub name: String,
    pub announce: bool,
    pub table_expires_days: u32,
}
