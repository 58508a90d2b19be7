//! Settings of the verbs for devices: sites, keys, pairing, pushes.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tough::schema::RoleType;

use crate::use_cases::{keys, push};

/// The folder of the site.
#[derive(Debug, Clone, Default, Args)]
pub struct SiteArgs {
    /// The site's folder: keys, devices, receipts [default: $LINTEL_SITE, or lintel/site in the configuration folder]
    #[arg(long, value_name = "DIR", global = true)]
    pub site: Option<PathBuf>,
}

/// What to do with keys.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel keys new --root-keys 3 --threshold 2
  lintel keys show
  lintel keys rotate targets --root-key /media/stick/root-1.key --root-key /media/stick/root-2.key

A device runs only what the site's keys signed (The Update Framework). The root keys say whose signatures count and \
are needed for nothing else: keep them off this machine. The other keys sign every push. Replace a key that is lost or \
stolen with `rotate`: devices take the new root with the next push and refuse the old key from then on.")]
pub struct KeysArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: KeysAction,
    /// The folder of the site.
    #[command(flatten)]
    pub site: SiteArgs,
}

/// What can be done with keys.
#[derive(Debug, Clone, Subcommand)]
pub enum KeysAction {
    /// Make a site with its keys and its first root
    New {
        /// Number of root keys to make
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
        root_keys: u32,
        /// How many of them must sign a new root
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=16))]
        threshold: u32,
    },
    /// Show the newest root, its keys, and which of them are here
    Show,
    /// Give this workstation a new identity, for a copy of a site on a new machine; devices must be paired again
    Identity,
    /// Replace the keys of a role; the old keys no longer count
    Rotate {
        /// Whose keys
        role: RoleArg,
        /// A root key that is kept elsewhere; may be given several times
        #[arg(long, value_name = "FILE")]
        root_key: Vec<PathBuf>,
    },
}

/// The roles of The Update Framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RoleArg {
    /// Says whose signatures count.
    Root,
    /// Says what may be installed.
    Targets,
    /// Says which versions belong together.
    Snapshot,
    /// Says which is the newest.
    Timestamp,
}

/// What to do with devices.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel device find
  lintel device pair 192.168.1.20 --name hall
  lintel device status hall
  lintel device revoke hall --person \"Rosa Ito\"
  lintel device log hall --csv

Pairing needs somebody at the device: `lintel-edge pair` there shows a code for ten minutes. From then on, device \
and workstation recognise each other by their certificates, and everything between them is encrypted (TLS 1.3).

Exit codes: 0 done, 1 a device failed or refused, 2 bad input or usage, 130 Ctrl-C.")]
pub struct DeviceArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: DeviceAction,
    /// The folder of the site.
    #[command(flatten)]
    pub site: SiteArgs,
}

/// What can be done with devices.
#[derive(Debug, Clone, Subcommand)]
pub enum DeviceAction {
    /// Look for devices in this network
    Find {
        /// How long to listen
        #[arg(long, value_name = "S", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=60))]
        seconds: u32,
    },
    /// Pair a device with this workstation
    Pair {
        /// Host name or address of the device, with :PORT where it is not 7443
        address: String,
        /// The code on the device's display [default: asked for]
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
        /// What to call the device here [default: its address]
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// What the device is to call this workstation [default: this machine's name]
        #[arg(long, value_name = "NAME")]
        workstation: Option<String>,
    },
    /// Show the devices that are paired
    List,
    /// Show what devices run, and their faults
    Status {
        /// Names of devices [default: all]
        devices: Vec<String>,
    },
    /// Show who may enter, with their numbers
    People {
        /// Device, by the name that `lintel device list` shows
        device: String,
    },
    /// Show the device's audit log, and check that nothing was taken out of it
    Log {
        /// Device, by the name that `lintel device list` shows
        device: String,
        /// Show only entries that are at most this old: 90m, 12h, 7d
        #[arg(long, value_name = "AGE")]
        since: Option<String>,
        /// Print comma-separated values, one line per entry
        #[arg(long)]
        csv: bool,
    },
    /// Go back to the bundle that ran before
    Rollback {
        /// Device, by the name that `lintel device list` shows
        device: String,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Remove people at once, without a trace
    Revoke {
        /// Names of devices
        #[arg(required = true)]
        devices: Vec<String>,
        /// The person's name or number; may be given several times
        #[arg(long, value_name = "NAME|ID", required = true)]
        person: Vec<String>,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Show which workstations a device knows, or make it forget one
    Workstations {
        /// Device, by the name that `lintel device list` shows
        device: String,
        /// The fingerprint of the workstation to forget
        #[arg(long, value_name = "FINGERPRINT")]
        forget: Option<String>,
    },
    /// Forget a device on this workstation
    Forget {
        /// Device, by the name that `lintel device list` shows
        device: String,
    },
}

/// Settings of `lintel push`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel push hall bundle
  lintel push hall garage trained
  lintel push hall trained/table.lintel --yes

WHAT is a bundle (`lintel export`), a folder of `lintel train` (its table alone, for the encoder that the device \
runs), or a table. Lintel shows what changes and then sends it to all devices at once. A device tries what it gets \
before it runs it: the decisions there must be the same as here. Recognition continues meanwhile. A transfer that was \
cut resumes where it stopped. The site's folder keeps the receipt that each device signs.

Exit codes: 0 every device runs it, 1 at least one does not, 2 bad input or usage, 130 Ctrl-C.")]
pub struct PushArgs {
    /// Names of devices, then what to push
    #[arg(value_names = ["DEVICE", "WHAT"], num_args = 2.., required = true)]
    pub words: Vec<PathBuf>,
    /// Don't ask
    #[arg(long, short)]
    pub yes: bool,
    /// Attempts in a row without any progress before giving up
    #[arg(long, value_name = "N", default_value_t = push::RETRIES,
        value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub retries: u32,
    /// The folder of the site.
    #[command(flatten)]
    pub site: SiteArgs,
}

impl KeysArgs {
    /// As the use case takes it.
    #[must_use]
    pub fn request(&self) -> keys::Request {
        let action = match self.action.clone() {
            KeysAction::New { root_keys, threshold } => keys::Action::New { root_keys, threshold },
            KeysAction::Show => keys::Action::Show,
            KeysAction::Identity => keys::Action::Identity,
            KeysAction::Rotate { role, root_key } => {
                let role = match role {
                    RoleArg::Root => RoleType::Root,
                    RoleArg::Targets => RoleType::Targets,
                    RoleArg::Snapshot => RoleType::Snapshot,
                    RoleArg::Timestamp => RoleType::Timestamp,
                };
                keys::Action::Rotate { role, root_keys: root_key }
            }
        };
        keys::Request { site: self.site.site.clone(), action }
    }
}

impl PushArgs {
    /// As the use case takes it. The last word is what to push; clap lets no fewer than two pass.
    #[must_use]
    pub fn request(&self) -> push::Request {
        let mut devices: Vec<String> = self.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        devices.pop();
        let what = self.words.last().cloned().unwrap_or_default();
        push::Request { site: self.site.site.clone(), devices, what, retries: self.retries }
    }
}
