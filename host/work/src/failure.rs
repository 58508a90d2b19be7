//! Why a command stopped → exit code and one line for the user.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// Why a command did not succeed. The text is one line: what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The user's input cannot be used; nothing was written (exit code 2).
    #[error("{0}")]
    Input(String),
    /// The input was fine, but the work failed: a full disk, a missed target (exit code 1).
    #[error("{0}")]
    Work(String),
    /// Ctrl-C; the text says what was left behind, if anything (exit code 130).
    #[error("{0}")]
    Interrupted(String),
}

impl Failure {
    /// An error in the input, which the user can correct.
    pub fn input(message: impl Display) -> Self {
        Self::Input(message.to_string())
    }

    /// An error that is not in the input.
    pub fn work(message: impl Display) -> Self {
        Self::Work(message.to_string())
    }

    /// A read that failed: the path is the user's, so this is an input error.
    pub fn reading(path: &Path, error: &io::Error) -> Self {
        Self::Input(format!("cannot read {}: {}", path.display(), reason(error)))
    }

    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Work(_) => 1,
            Self::Input(_) => 2,
            Self::Interrupted(_) => 130,
        }
    }

    /// The message on one line, even if a library's text has several.
    #[must_use]
    pub fn line(&self) -> String {
        let words: Vec<String> = self
            .to_string()
            .lines()
            .map(|line| line.trim().chars().filter(|c| !c.is_control()).collect())
            .filter(|line: &String| !line.is_empty())
            .collect();
        words.join("; ")
    }
}

/// The operating system's error in words that a user can act on.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full; free some space and run the same command again".into()
        }
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::NotFound => "no such file or folder".into(),
        io::ErrorKind::NotADirectory => "not a folder".into(),
        io::ErrorKind::IsADirectory => "is a folder".into(),
        _ => {
            // Drops "(os error 28)", which a user cannot use.
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or(&text).to_lowercase()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_and_one_code() {
        fn check(failure: Failure, line: &str, code: u8) {
            assert_eq!((failure.line().as_str(), failure.exit_code()), (line, code));
        }
        check(Failure::input("no photos"), "no photos", 2);
        check(Failure::work("a\n\n  b\u{7}"), "a; b", 1);
        check(Failure::Interrupted("stopped".into()), "stopped", 130);
    }

    #[test]
    fn io_errors_are_said_in_words() {
        fn check(kind: io::ErrorKind, words: &str) {
            assert!(reason(&io::Error::from(kind)).contains(words), "{kind:?}");
        }
        check(io::ErrorKind::StorageFull, "the disk is full");
        check(io::ErrorKind::ReadOnlyFilesystem, "read-only");
        check(io::ErrorKind::NotFound, "no such file");
        assert_eq!(reason(&io::Error::from_raw_os_error(5)), "input/output error");
    }
}
