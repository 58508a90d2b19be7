//! Questions to the person at the terminal.

use std::io::{BufRead as _, Write as _};

use lintel_link::Fingerprint;
use lintel_link::pairing::Code;
use lintel_work::failure::Failure;
use lintel_work::interrupt;

use super::Console;
use crate::use_cases::packs::{self, Limits, PackChoice};

impl Console {
    /// Shows the limits of the chosen pack until they are accepted, once; asks where somebody can be asked.
    ///
    /// # Errors
    /// [`Failure::Input`] when there is no such pack, [`Failure::Interrupted`] after Ctrl-C.
    pub fn settle_limits(&self, choice: PackChoice) -> Result<PackChoice, Failure> {
        let limits = packs::limits_of_choice(&choice)?;
        let accept_licence = self.accepts(limits.as_ref(), choice.accept_licence)?;
        Ok(PackChoice { accept_licence, ..choice })
    }

    /// As [`Console::settle_limits`], for what is to be done about packs.
    ///
    /// # Errors
    /// As there.
    pub fn settle_packs(&self, request: packs::Request) -> Result<packs::Request, Failure> {
        use packs::Request::{Add, Compose, Fetch};
        Ok(match request {
            Fetch { name, mirror, accept_licence, offline } => {
                let accept_licence = self.accepts(packs::limits_of_known(&name)?.as_ref(), accept_licence)?;
                Fetch { name, mirror, accept_licence, offline }
            }
            Add { name, from, accept_licence } => {
                let accept_licence = self.accepts(packs::limits_of_known(&name)?.as_ref(), accept_licence)?;
                Add { name, from, accept_licence }
            }
            Compose { encoder, preprocessing, naming, output, pack } => {
                Compose { encoder, preprocessing, naming, output, pack: self.settle_limits(pack)? }
            }
            other => other,
        })
    }

    /// Asks a person, unless that was answered with `--yes`.
    ///
    /// # Errors
    /// [`Failure::Input`] for no, and where nobody can be asked.
    pub fn confirm(&self, question: &str, yes: bool) -> Result<(), Failure> {
        if yes {
            return Ok(());
        }
        if !self.can_ask() {
            return Err(Failure::input("nobody can be asked here; look at the changes, and give --yes"));
        }
        match answer(&format!("{question} [y/N] "))?.as_str() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(Failure::input("nothing was changed")),
        }
    }

    /// The code on the display of the device with this fingerprint.
    ///
    /// # Errors
    /// [`Failure::Input`] for what is no code, and where nobody can be asked.
    pub fn ask_code(&self, device: Fingerprint) -> Result<Code, Failure> {
        if !self.can_ask() {
            return Err(Failure::input("nobody can be asked for the code here; give it with --code"));
        }
        eprintln!("the device's fingerprint is {device}");
        answer("code on the device's display (`lintel-edge pair` there): ")?.parse().map_err(Failure::input)
    }

    /// Whether the limits are accepted, by the command line or by the person who is asked.
    ///
    /// # Errors
    /// [`Failure::Interrupted`] after Ctrl-C, [`Failure::Work`] when stdin cannot be read.
    fn accepts(&self, limits: Option<&Limits>, accepted: bool) -> Result<bool, Failure> {
        let Some(Limits { pack, lines }) = limits else { return Ok(accepted) };
        if !self.json || !accepted {
            eprintln!("Pack {pack} comes with limits that are not Lintel's:");
            lines.iter().for_each(|line| eprintln!("  {line}"));
        }
        if accepted || !self.can_ask() {
            return Ok(accepted);
        }
        Ok(answer("Type yes to accept them: ")?.eq_ignore_ascii_case("yes"))
    }
}

/// What the person types after `question`, without the spaces around it.
fn answer(question: &str) -> Result<String, Failure> {
    eprint!("{question}");
    let _ = std::io::stderr().flush();
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(Failure::work)?;
    interrupt::check()?;
    Ok(answer.trim().to_owned())
}
