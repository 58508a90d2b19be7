//! Every key of `default.toml` has an effect: another value changes what the daemon is put together from.

use std::path::{Path, PathBuf};

use lintel_core::door::{DoorSettings, FailMode};
use lintel_edge::compose::{self, RunOptions, analyzer, camera, display, door, link};
use lintel_edge::config::{Config, DEFAULT};
use toml::{Table, Value};

/// A key, another value for it than its default, and what else must be set for it to count.
const CHANGES: &[(&str, &str, &str)] = &[
    ("camera.kind", "'v4l2'", ""),
    ("camera.device", "'door'", V4L2),
    ("camera.width", "1280", V4L2),
    ("camera.height", "720", V4L2),
    ("camera.fps", "15", V4L2),
    ("camera.recordings", "['visits']", ""),
    ("camera.gap_s", "3.5", ""),
    ("camera.health.fault_after_s", "2.5", ""),
    ("camera.health.dark_below", "9.0", ""),
    ("pipeline.max_frame_age_ms", "400", ""),
    ("pipeline.stage_timeout_s", "6.0", ""),
    ("vote.needed", "3", ""),
    ("vote.window", "8", ""),
    ("vote.refuse_after", "14", ""),
    ("vote.lifetime_s", "4.0", ""),
    ("vote.track_gap_s", "2.0", ""),
    ("door.release_s", "4.0", ""),
    ("door.max_release_s", "20.0", ""),
    ("door.cool_down_s", "2.0", ""),
    ("door.held_open_after_s", "40.0", ""),
    ("door.max_decision_age_s", "0.8", ""),
    ("door.fail", "'safe'", ""),
    ("relay.kind", "'gpio'", ""),
    ("relay.line", "'DOOR'", GPIO),
    ("relay.active", "'low'", GPIO),
    ("relay.action", "'pulse'", GPIO),
    ("relay.pulse_s", "0.7", "relay.kind = 'gpio'\nrelay.action = 'pulse'"),
    ("relay.feedback", "'CONTACT'", GPIO),
    ("relay.feedback_released", "'high'", "relay.kind = 'gpio'\nrelay.feedback = 'CONTACT'"),
    ("inputs.exit_button", "'EXIT'", ""),
    ("inputs.exit_pressed", "'high'", WIRED),
    ("inputs.door_contact", "'LEAF'", ""),
    ("inputs.door_open", "'low'", WIRED),
    ("inputs.pull", "'down'", WIRED),
    ("inputs.debounce_ms", "50", WIRED),
    ("display.kind", "'none'", ""),
    ("display.size", "'128x64'", ""),
    ("display.history", "9", ""),
    ("display.device", "'/dev/fb1'", "display.kind = 'framebuffer'"),
    ("display.i2c_address", "0x3d", "display.kind = 'ssd1306'"),
    ("display.data_command", "'GPIO25'", ST7789),
    ("display.reset", "'GPIO27'", ST7789),
    ("display.spi_mhz", "16", ST7789),
    ("inference.providers", "['cuda', 'cpu']", ""),
    ("inference.require", "true", ""),
    ("inference.threads", "2", ""),
    ("inference.onnxruntime", "'libonnxruntime.so'", ""),
    ("lockout.tries", "4", ""),
    ("lockout.delay_s", "20.0", ""),
    ("lockout.growth", "3", ""),
    ("lockout.max_delay_s", "800.0", ""),
    ("lockout.forget_after_s", "800.0", ""),
    ("audit_log.keep", "2000", ""),
    ("network.listen", "'127.0.0.1:7443'", ""),
    ("network.name", "'hall'", NETWORK),
    ("network.announce", "false", NETWORK),
    ("network.table_expires_days", "30", NETWORK),
];

const V4L2: &str = "camera.kind = 'v4l2'";
const GPIO: &str = "relay.kind = 'gpio'";
const WIRED: &str = "inputs.exit_button = 'EXIT'\ninputs.door_contact = 'LEAF'";
const ST7789: &str = "display.kind = 'st7789'";
const NETWORK: &str = "network.listen = '127.0.0.1:7443'";

/// Everything that `compose::run` and `check` hand on of a configuration, in words.
fn effects(config: &Config) -> Vec<String> {
    let options = RunOptions {
        config: config.clone(),
        bundle: None,
        state: PathBuf::from("state"),
        events: None,
        fast: false,
        fetch: false,
        recorded: None,
        cache: None,
    };
    let mut controller = config.controller_settings();
    // The door's state machine is the same for both; what the setting does is said, and only that counts here.
    let power = door::without_power(controller.door.fail);
    controller.door = DoorSettings { fail: FailMode::default(), ..controller.door };
    vec![
        format!("{:?}", camera::plan(config)),
        format!("{:?}", config.camera_watch()),
        format!("{:?}", analyzer::inference(&options)),
        format!("{controller:?}"),
        power.to_owned(),
        format!("{:?}", door::relay_plan(config)),
        format!("{:?}", config.input_settings()),
        format!("{:?}", display::plan(&options)),
        format!("{:?}", compose::patience(config)),
        format!("{:?}", compose::audit_log::entries_kept(config)),
        format!("{:?}", link::plan(config)),
    ]
}

fn parse(text: &str) -> Config {
    Config::from_toml(text, Path::new("door.toml")).unwrap_or_else(|e| panic!("{text:?}: {e}"))
}

fn keys(table: &Table, section: &str) -> Vec<String> {
    let whole = |key: &str| if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
    let keys = table.iter().flat_map(|(key, value)| match value {
        Value::Table(inner) => keys(inner, &whole(key)),
        _ => vec![whole(key)],
    });
    keys.collect()
}

#[test]
fn every_key_has_an_effect() {
    for (key, value, context) in CHANGES {
        let before = parse(context);
        let after = parse(&format!("{context}\n{key} = {value}"));
        assert_ne!(before, after, "{key} = {value} is not another value");
        assert_ne!(effects(&before), effects(&after), "{key} = {value} changes nothing");
    }
}

/// A key without an entry above is one that nobody has looked for an effect of.
#[test]
fn every_key_is_tried() {
    let mut documented = keys(&toml::from_str(DEFAULT).unwrap(), "");
    let mut tried: Vec<String> = CHANGES.iter().map(|(key, ..)| (*key).to_owned()).collect();
    documented.sort();
    tried.sort();
    assert_eq!(tried, documented);
}
