//! What is chosen about a table that exists: who joins it, who leaves it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::use_cases::audit;
use crate::use_cases::table::{NewThresholds, add, remove, show};

use super::values::{positive, rate};
use super::{Output, PackArgs};

/// What to do with a table.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel table show trained
  lintel ingest new-people --joining --out new-faces
  lintel table add trained new-faces --out trained-2
  lintel table remove trained-2 \"Ada Abara\" --out trained-3

Rows of people who are in the table already do not change, bit for bit; training separates new people from them. \
The thresholds are set again each time, on the same strangers. `lintel export` and `lintel push` bring the result to \
the door.")]
pub struct TableArgs {
    /// The action to run on the table.
    #[command(subcommand)]
    pub action: TableAction,
}

/// What `lintel table` can do with a table.
#[derive(Debug, Clone, Subcommand)]
pub enum TableAction {
    /// Show who is in a table, and its thresholds
    Show(TableShowArgs),
    /// Add people without training everybody again
    Add(TableAddArgs),
    /// Remove people, without training
    Remove(TableRemoveArgs),
}

/// Settings of `lintel table show`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel table show trained
  lintel table show bundle/table.lintel --json")]
pub struct TableShowArgs {
    /// A folder that `lintel train`, `table` or `export` made, or a table.lintel
    #[arg(value_name = "TABLE")]
    pub table: PathBuf,
}

/// Who joins.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel ingest new-people --joining --out new-faces
  lintel table add trained new-faces --out trained-2

FACES may hold everybody: people who are in the table already are skipped. Training learns one prompt for each new \
person against the rows of the others; its time does not depend on the size of the table. Ctrl-C keeps a checkpoint; \
the same command resumes from it.")]
pub struct TableAddArgs {
    /// A folder that `lintel train` or `lintel table` made
    #[arg(value_name = "TRAINED")]
    pub trained: PathBuf,
    /// A folder that `lintel ingest` made, with the new people in it
    #[arg(value_name = "FACES")]
    pub faces: PathBuf,
    /// The output folder.
    #[command(flatten)]
    pub output: Output,
    /// The model pack to use.
    #[command(flatten)]
    pub pack: PackArgs,
    /// Passes over the new people's faces [default: the pack's, or more until there are 150 steps]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub epochs: Option<u32>,
    /// Highest learning rate [default: the pack's]
    #[arg(long, value_name = "X", value_parser = positive)]
    pub lr: Option<f64>,
    /// Seed for the choice of held-out photos and for the order of the others
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How the thresholds are set.
    #[command(flatten)]
    pub thresholds: NewThresholdsArgs,
    /// Start over where a checkpoint was left
    #[arg(long)]
    pub fresh: bool,
}

/// Who leaves.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel table remove trained \"Ada Abara\" --out trained-2
  lintel table remove trained --id 7 --id 9 --out trained-2

The new folder holds nothing of the person: no name, no row, no held-out face. The old folder does not change; delete \
it. `lintel device revoke` removes somebody at the door at once.")]
pub struct TableRemoveArgs {
    /// A folder that `lintel train` or `lintel table` made
    #[arg(value_name = "TRAINED")]
    pub trained: PathBuf,
    /// Names, as `lintel table show` has them
    #[arg(value_name = "NAME", required_unless_present = "ids")]
    pub names: Vec<String>,
    /// Person id instead of a name; may be given several times
    #[arg(long = "id", value_name = "N")]
    pub ids: Vec<u32>,
    /// The output folder.
    #[command(flatten)]
    pub output: Output,
    /// The model pack to use.
    #[command(flatten)]
    pub pack: PackArgs,
    /// How the thresholds are set.
    #[command(flatten)]
    pub thresholds: NewThresholdsArgs,
}

/// How the thresholds of a changed table are set.
#[derive(Debug, Clone, Args)]
pub struct NewThresholdsArgs {
    /// Ingested faces of people who are not enrolled; they set the thresholds [default: rendered people]
    #[arg(long, value_name = "DIR")]
    pub strangers: Option<PathBuf>,
    /// Target FPIR: how often a stranger may be named [default: the table's own]
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub target_fpir: Option<f64>,
}

/// What to look at before a table is shipped.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:
  lintel audit trained faces --out audit
  lintel audit trained-2 faces --against bundle --strict --out audit

Writes audit.html, a page with faces: the enrolled people who are most similar to each other, the strangers who are \
closest to being named, people with too few or too similar photos, photos that are most similar to another person; \
and, with --against, what changes at the door. audit.json has the same findings as figures.")]
pub struct AuditArgs {
    /// A folder that `lintel train` or `lintel table` made
    #[arg(value_name = "TRAINED")]
    pub trained: PathBuf,
    /// A folder that `lintel ingest` made, with the people of the table
    #[arg(value_name = "FACES")]
    pub faces: PathBuf,
    /// The output folder.
    #[command(flatten)]
    pub output: Output,
    /// The model pack to use.
    #[command(flatten)]
    pub pack: PackArgs,
    /// The table that is deployed: a bundle, a trained folder, or a table.lintel
    #[arg(long, value_name = "TABLE")]
    pub against: Option<PathBuf>,
    /// Who the strangers are.
    #[command(flatten)]
    pub thresholds: NewThresholdsArgs,
    /// Fail (exit code 1) if the audit finds anything
    #[arg(long)]
    pub strict: bool,
}

impl TableShowArgs {
    /// As the use case takes it.
    #[must_use]
    pub fn request(&self) -> show::Request {
        show::Request { table: self.table.clone() }
    }
}

impl TableAddArgs {
    /// As the use case takes it.
    #[must_use]
    pub fn request(&self) -> add::Request {
        add::Request {
            trained: self.trained.clone(),
            faces: self.faces.clone(),
            output: self.output.output(),
            pack: self.pack.choice(),
            epochs: self.epochs,
            learning_rate: self.lr,
            seed: self.seed,
            thresholds: self.thresholds.thresholds(),
            fresh: self.fresh,
        }
    }
}

impl TableRemoveArgs {
    /// As the use case takes it.
    #[must_use]
    pub fn request(&self) -> remove::Request {
        remove::Request {
            trained: self.trained.clone(),
            names: self.names.clone(),
            ids: self.ids.clone(),
            output: self.output.output(),
            pack: self.pack.choice(),
            thresholds: self.thresholds.thresholds(),
        }
    }
}

impl NewThresholdsArgs {
    /// As a use case takes them.
    #[must_use]
    pub fn thresholds(&self) -> NewThresholds {
        NewThresholds { strangers: self.strangers.clone(), target_fpir: self.target_fpir }
    }
}

impl AuditArgs {
    /// As the use case takes it.
    #[must_use]
    pub fn request(&self) -> audit::Request {
        audit::Request {
            trained: self.trained.clone(),
            faces: self.faces.clone(),
            output: self.output.output(),
            pack: self.pack.choice(),
            against: self.against.clone(),
            thresholds: self.thresholds.thresholds(),
            strict: self.strict,
        }
    }
}
