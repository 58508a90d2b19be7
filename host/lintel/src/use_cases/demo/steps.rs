//! Which steps of the demo are done: what each was run on, so that only what changed is run again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use lintel_work::failure::{Failure, reason};
use lintel_work::interrupt;
use lintel_work::outdir::{Kind, write_file};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Event, Request};

/// Tells a folder that the demo made.
const DEMO_FILE: &str = "demo.json";

/// `demo.json`: by output folder, what it was made of.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Done(BTreeMap<String, String>);

/// The steps, one after another.
pub struct Steps<'a> {
    file: PathBuf,
    done: Done,
    /// Everything that the next step depends on.
    so_far: Sha256,
    on_event: &'a dyn Fn(Event<'_>),
}

impl<'a> Steps<'a> {
    /// Takes the demo's folder; one that something else made is refused.
    ///
    /// # Errors
    /// [`Failure`]; nothing is changed then.
    pub fn open(request: &Request, on_event: &'a dyn Fn(Event<'_>)) -> Result<Self, Failure> {
        let file = request.out.join(DEMO_FILE);
        let mut done = Done::default();
        match std::fs::read(&file) {
            Ok(bytes) if !request.fresh => done = serde_json::from_slice(&bytes).unwrap_or_default(),
            Ok(_) => {}
            Err(_) => {
                let empty = match std::fs::read_dir(&request.out) {
                    Ok(mut entries) => entries.next().is_none(),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
                    Err(error) => return Err(Failure::reading(&request.out, &error)),
                };
                if !empty {
                    return Err(Failure::input(format!(
                        "{} is not a folder that `lintel demo` made; give another --out",
                        request.out.display()
                    )));
                }
            }
        }
        let cannot = |error: std::io::Error| {
            Failure::work(format!("cannot write {}: {}", request.out.display(), reason(&error)))
        };
        std::fs::create_dir_all(&request.out).map_err(cannot)?;
        let mut so_far = Sha256::new();
        // Another build of the program may do any step in another way.
        if let Ok(program) = std::env::current_exe().and_then(std::fs::read) {
            so_far.update(Sha256::digest(&program));
        }
        let steps = Self { file, done, so_far, on_event };
        steps.save()?;
        Ok(steps)
    }

    /// The next steps depend on the files below `folder`, too.
    ///
    /// # Errors
    /// [`Failure::Input`] when it cannot be read.
    pub fn depends_on_files(&mut self, folder: &Path) -> Result<(), Failure> {
        let mut files = Vec::new();
        list(folder, 2, &mut files).map_err(|error| Failure::reading(folder, &error))?;
        files.sort();
        for (path, bytes, changed) in files {
            self.so_far.update(path.as_os_str().as_encoded_bytes());
            self.so_far.update(format!("\0{bytes}\0{changed:?}\0"));
        }
        Ok(())
    }

    /// Runs a step, unless its output is there and was made of the same.
    ///
    /// # Errors
    /// What `run` says.
    pub fn step(
        &mut self,
        line: &str,
        out: &Path,
        kind: Kind,
        run: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        interrupt::check()?;
        self.so_far.update(line.as_bytes());
        let made_of = hex::encode(self.so_far.clone().finalize());
        let name = out.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        (self.on_event)(Event::Command(line));
        if self.done.0.get(&name) == Some(&made_of) && out.join(kind.marker()).is_file() {
            (self.on_event)(Event::Kept(out));
            return Ok(());
        }
        let start = now();
        run()?;
        (self.on_event)(Event::Took(now().duration_since(start).as_secs_f32()));
        self.done.0.insert(name, made_of);
        self.save()
    }

    fn save(&self) -> Result<(), Failure> {
        let bytes = serde_json::to_vec_pretty(&self.done).map_err(Failure::work)?;
        Ok(write_file(&self.file, &bytes)?)
    }
}

/// A path as it is typed in a shell.
pub fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

type Listed = (PathBuf, u64, Option<std::time::SystemTime>);

fn list(folder: &Path, depth: u32, files: &mut Vec<Listed>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let meta = std::fs::metadata(&path)?;
        if meta.is_dir() && depth > 0 {
            list(&path, depth - 1, files)?;
        } else {
            files.push((path, meta.len(), meta.modified().ok()));
        }
    }
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "the demo says how long its steps took; nothing is decided by it")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shown_as_a_shell_takes_them() {
        fn check(path: &str, expected: &str) {
            assert_eq!(shown(Path::new(path)), expected);
        }
        check("lintel-demo/faces", "lintel-demo/faces");
        check("my photos", "'my photos'");
        check("Ada's", "'Ada'\\''s'");
    }
}
