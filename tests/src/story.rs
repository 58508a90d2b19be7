//! A story's TOML file → who comes, what goes wrong and what must happen; and whether it happened.

use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

/// One story at the door.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    /// One sentence that says what happens.
    pub about: String,
    /// Seconds between two visits.
    #[serde(default = "two")]
    pub gap_s: f64,
    /// The visits, in order.
    #[serde(rename = "visit")]
    pub visits: Vec<Visit>,
    /// What is wrong with the relay.
    #[serde(default)]
    pub relay: RelaySetup,
    /// What is wrong with the display.
    #[serde(default)]
    pub display: DisplaySetup,
    /// What is wrong with the disk.
    #[serde(default)]
    pub disk: DiskSetup,
    /// What is wrong with the clock.
    #[serde(default)]
    pub clock: ClockSetup,
    /// Who was removed from the table.
    #[serde(default)]
    pub table: TableSetup,
    /// When the power is cut.
    #[serde(default)]
    pub power: Option<PowerCut>,
    /// What must happen.
    pub expect: Expect,
}

fn two() -> f64 {
    2.0
}

/// A camera's flaw must be reported within this many seconds, on every rig.
const TOLD_WITHIN_S: f64 = 2.0;

/// What the camera sees for some seconds: people walk up to the door and stand before it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Visit {
    /// The people who come; an empty list is an empty room.
    pub people: Vec<Who>,
    /// How long the visit lasts.
    pub seconds: f32,
    /// Seed of the room and its light.
    #[serde(default)]
    pub seed: u64,
    /// The people are seen from this second on.
    #[serde(default)]
    pub seen_from_s: f32,
    /// The people are seen until this second.
    #[serde(default)]
    pub seen_until_s: Option<f32>,
    /// From this second on the camera repeats one picture.
    #[serde(default)]
    pub freezes_after_s: Option<f32>,
    /// From this second on the camera sees no light.
    #[serde(default)]
    pub dark_after_s: Option<f32>,
    /// Index of the frame that is damaged, from 0.
    #[serde(default)]
    pub damaged_frame: Option<usize>,
    /// From this second to the visit's end a live camera cuts every picture short.
    #[serde(default)]
    pub damaged_from_s: Option<f32>,
    /// From this second to the visit's end the camera is unplugged.
    #[serde(default)]
    pub unplugged_from_s: Option<f32>,
}

impl Visit {
    /// A visit of `people` that lasts `seconds`, with no flaw.
    #[must_use]
    pub fn of(people: Vec<Who>, seconds: f32) -> Self {
        Self {
            people,
            seconds,
            seed: 0,
            seen_from_s: 0.0,
            seen_until_s: None,
            freezes_after_s: None,
            dark_after_s: None,
            damaged_frame: None,
            damaged_from_s: None,
            unplugged_from_s: None,
        }
    }

    /// Each flaw that lasts to the end of the visit: the second when it begins, and the log's words for it.
    fn flaws(&self) -> impl Iterator<Item = (f64, &'static str)> {
        let flaws = [
            (self.freezes_after_s, "camera is frozen"),
            (self.dark_after_s, "camera sees no light"),
            (self.damaged_from_s, "camera pictures are damaged"),
            (self.unplugged_from_s, "camera is gone"),
        ];
        flaws.into_iter().filter_map(|(from, words)| Some((f64::from(from?), words)))
    }

    /// The visit as it is recorded: a recording does not show that the camera is unplugged later.
    #[must_use]
    pub fn pictures(&self) -> Self {
        Self { unplugged_from_s: None, ..self.clone() }
    }
}

/// A person of the world.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Who {
    /// `enrolled N`: the table has them.
    Enrolled(u32),
    /// `stranger N`: the table does not have them.
    Stranger(u32),
}

impl TryFrom<String> for Who {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("somebody is {text:?}, wanted \"enrolled N\" or \"stranger N\" with N from 1");
        let (kind, number) = text.split_once(' ').ok_or_else(wrong)?;
        let number = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
        match kind {
            "enrolled" => Ok(Self::Enrolled(number)),
            "stranger" => Ok(Self::Stranger(number)),
            _ => Err(wrong()),
        }
    }
}

impl From<Who> for String {
    fn from(who: Who) -> Self {
        who.to_string()
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enrolled(number) => write!(f, "enrolled {number}"),
            Self::Stranger(number) => write!(f, "stranger {number}"),
        }
    }
}

/// Section `[relay]`: what is wrong with the relay.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelaySetup {
    /// The contact welds after this many switches.
    pub welds_after: Option<u32>,
}

/// Section `[display]`: what is wrong with the display.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DisplaySetup {
    /// The display does not answer.
    #[serde(default)]
    pub missing: bool,
}

/// Section `[disk]`: what is wrong with the disk.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskSetup {
    /// Nothing more can be written from the first visit on.
    #[serde(default)]
    pub full: bool,
}

/// Section `[clock]`: what is wrong with the clock.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockSetup {
    /// The clock says 1970, as after a start without a battery.
    #[serde(default)]
    pub unset: bool,
}

/// Section `[table]`: who was removed from it.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSetup {
    /// Numbers of people, `enrolled N`, whose photos were removed.
    #[serde(default)]
    pub without: Vec<u32>,
}

/// Section `[power]`: the power is cut while the strike is released, and is back before the next visit.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerCut {
    /// Seconds after the first release.
    pub cut_after_s: f64,
}

/// Section `[expect]`: what must happen.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Every release of the strike, in order; no other may happen.
    #[serde(default)]
    pub releases: Vec<Release>,
    /// Every fault that appears, in order, in the log's words.
    #[serde(default)]
    pub faults: Vec<String>,
    /// Other faults that may appear, because a rig notices them as well: a loopback camera that nobody feeds delivers
    /// nothing for a while before it is gone.
    #[serde(default)]
    pub tolerated: Vec<String>,
    /// Screens that appear in this order; others may come between.
    #[serde(default)]
    pub screens: Vec<String>,
    /// Screens that never appear.
    #[serde(default)]
    pub never: Vec<String>,
    /// A part of the error that ends the run; without one the run must end with the recordings.
    #[serde(default)]
    pub error: Option<String>,
}

/// One release of the strike.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// During which visit, from 1.
    pub visit: usize,
    /// The person for whom it is released.
    pub who: Who,
    /// Seconds after the visit began.
    pub at_s: f64,
    /// How far the time may be from `at_s`, on any rig.
    pub tolerance_s: f64,
    /// Seconds until the strike is locked again, within a tenth of a second.
    #[serde(default = "five")]
    pub for_s: f64,
    /// The second of the visit at which it is locked, instead of `for_s`.
    #[serde(default)]
    pub until_s: Option<f64>,
}

fn five() -> f64 {
    5.0
}

/// What a rig saw.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Observed {
    /// Releases of the strike.
    pub releases: Vec<ObservedRelease>,
    /// Faults in order.
    pub faults: Vec<ObservedFault>,
    /// Screens in order.
    pub screens: Vec<String>,
    /// The run's error, if it did not end with the recordings.
    pub error: Option<String>,
}

/// A release that happened.
#[derive(Clone, PartialEq, Debug)]
pub struct ObservedRelease {
    /// During which visit, from 1.
    pub visit: usize,
    /// The person's number N in `enrolled N`; 0 for anybody else.
    pub person: u32,
    /// Seconds after the visit began.
    pub at_s: f64,
    /// Seconds until it was locked; `None` if it never was.
    pub for_s: Option<f64>,
}

/// A fault that appeared.
#[derive(Clone, PartialEq, Debug)]
pub struct ObservedFault {
    /// The log's words for it.
    pub words: String,
    /// During which visit, from 1; 0 before the first.
    pub visit: usize,
    /// Seconds after the visit began.
    pub at_s: f64,
}

impl Story {
    /// Reads a story.
    ///
    /// # Errors
    /// If the file cannot be read or is not a story.
    pub fn open(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Checks that what was observed is what must happen.
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn check(&self, observed: &Observed) -> Result<()> {
        let expect = &self.expect;
        if expect.releases.len() != observed.releases.len() {
            bail!("wanted {} releases, saw {:?}", expect.releases.len(), observed.releases);
        }
        for (wanted, got) in expect.releases.iter().zip(&observed.releases) {
            wanted.check(got)?;
        }
        let told = observed.faults.iter().map(|fault| &fault.words).filter(|words| !expect.tolerated.contains(words));
        if !told.eq(&expect.faults) {
            bail!("wanted the faults {:?}, saw {:?}", expect.faults, observed.faults);
        }
        for (number, visit) in (1..).zip(&self.visits) {
            for (from_s, words) in visit.flaws() {
                let told = observed.faults.iter().find(|fault| fault.visit == number && fault.words == words);
                if !told.is_some_and(|fault| fault.at_s <= from_s + TOLD_WITHIN_S) {
                    bail!(
                        "{words} from {from_s} s of visit {number} on, wanted told within {TOLD_WITHIN_S} s, saw {:?}",
                        observed.faults
                    );
                }
            }
        }
        let mut rest = observed.screens.iter();
        for wanted in &expect.screens {
            if !rest.any(|screen| screen == wanted) {
                bail!("wanted the screens {:?} in this order, saw {:?}", expect.screens, observed.screens);
            }
        }
        if let Some(screen) = observed.screens.iter().find(|screen| expect.never.contains(screen)) {
            bail!("the screen {screen:?} must never appear, saw {:?}", observed.screens);
        }
        match (&expect.error, &observed.error) {
            (None, None) => Ok(()),
            (Some(wanted), Some(got)) if got.contains(wanted.as_str()) => Ok(()),
            (wanted, got) => bail!("wanted the end {wanted:?}, saw {got:?}"),
        }
    }
}

impl Release {
    fn check(&self, got: &ObservedRelease) -> Result<()> {
        let Self { visit, who, at_s, tolerance_s, for_s, until_s } = *self;
        if visit != got.visit || who != Who::Enrolled(got.person) {
            bail!("wanted a release for {who} in visit {visit}, saw {got:?}");
        }
        if (got.at_s - at_s).abs() > tolerance_s {
            bail!("wanted the release at {at_s} ± {tolerance_s} s, saw {got:?}");
        }
        let for_s = until_s.map_or(for_s, |until| until - got.at_s);
        match got.for_s {
            Some(open) if (open - for_s).abs() <= 0.1 => Ok(()),
            _ => bail!("wanted the strike released for {for_s:.1} s, saw {got:?}"),
        }
    }
}
