//! Digital lines of the board: outputs ([`Line`]), and inputs with edges.

pub mod inputs;
pub mod line;
pub mod raspberry;

/// The level at which a line is active.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Active {
    /// Near the supply.
    High,
    /// Near ground.
    Low,
}

/// What the board does with an input that nobody drives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pull {
    /// Left as it is.
    AsIs,
    /// To the supply.
    Up,
    /// To ground.
    Down,
    /// Nothing.
    Off,
}

/// A digital output.
pub trait Line: Send {
    /// One line for the installer.
    fn describe(&self) -> String;

    /// Makes it active or not.
    ///
    /// # Errors
    /// What the driver said.
    fn set(&mut self, active: bool) -> Result<(), String>;

    /// Whether it is active, as far as the driver can read it back.
    ///
    /// # Errors
    /// What the driver said.
    fn read(&mut self) -> Result<bool, String>;
}
