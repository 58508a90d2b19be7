//! What an installer calls a camera → its device node, looked up anew each time that it is opened: after a replug the
//! kernel may give it another number.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Where nodes and what the kernel says of them are; elsewhere only in tests.
#[derive(Clone, Debug)]
pub struct Roots {
    /// Where the nodes are: `/dev`.
    pub dev: PathBuf,
    /// Where the kernel describes them: `/sys`.
    pub sys: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { dev: "/dev".into(), sys: "/sys".into() }
    }
}

/// A video node of the kernel's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// `/dev/videoN`
    pub path: PathBuf,
    /// What its driver calls the card; may be empty.
    pub card: String,
    /// Names that stay the same, from `/dev/v4l/by-id` and `/dev/v4l/by-path`.
    pub stable: Vec<PathBuf>,
}

/// Why no node is found. A camera may be plugged in later.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FindError {
    /// Any camera would do, and there is none.
    #[error("no camera is plugged in")]
    Nothing,
    /// The camera that is meant is not there.
    #[error("not plugged in; there is {there}")]
    Missing {
        /// What is there instead.
        there: Cameras,
    },
}

/// Nodes, in words.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cameras(pub Vec<Node>);

impl fmt::Display for Cameras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no camera at all");
        }
        let cameras: Vec<String> =
            self.0.iter().map(|node| format!("{} ({})", node.path.display(), node.card)).collect();
        f.write_str(&cameras.join(", "))
    }
}

impl Roots {
    /// Every video node, by number; that it can capture is for the driver to say.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        let mut numbers: Vec<u32> = entries(&self.dev)
            .iter()
            .filter_map(|path| path.file_name()?.to_str()?.strip_prefix("video")?.parse().ok())
            .collect();
        numbers.sort_unstable();
        let links: Vec<PathBuf> =
            ["v4l/by-id", "v4l/by-path"].iter().flat_map(|dir| entries(&self.dev.join(dir))).collect();
        numbers.into_iter().map(|number| self.node(number, &links)).collect()
    }

    fn node(&self, number: u32, links: &[PathBuf]) -> Node {
        let path = self.dev.join(format!("video{number}"));
        let name = self.sys.join(format!("class/video4linux/video{number}/name"));
        let card = fs::read(name).map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).unwrap_or_default();
        let real = fs::canonicalize(&path).ok();
        let same = |link: &&PathBuf| real.is_some() && fs::canonicalize(link).ok() == real;
        Node { stable: links.iter().filter(same).cloned().collect(), path, card }
    }

    /// The nodes that `wanted` may mean, the likeliest first: nothing (every node), a path (`/dev/v4l/by-id/…`,
    /// `/dev/video0`), a file name from `by-id` or `by-path`, or a card name.
    ///
    /// # Errors
    /// What was looked for, and which cameras there are.
    pub fn find(&self, wanted: &str) -> Result<Vec<PathBuf>, FindError> {
        let nodes = self.nodes();
        let named = |node: &&Node| {
            wanted.is_empty()
                || node.path == Path::new(wanted)
                || node.path.file_name().is_some_and(|name| name == wanted)
                || node.card == wanted
                || node
                    .stable
                    .iter()
                    .any(|link| link == Path::new(wanted) || link.file_name().is_some_and(|name| name == wanted))
        };
        let found: Vec<PathBuf> = nodes.iter().filter(named).map(|node| node.path.clone()).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        Err(if wanted.is_empty() { FindError::Nothing } else { FindError::Missing { there: Cameras(nodes) } })
    }
}

/// What is in a folder, by name; nothing where it cannot be read.
fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A webcam with two nodes, and a loopback.
    fn machine() -> (tempfile::TempDir, Roots) {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots { dev: folder.path().join("dev"), sys: folder.path().join("sys") };
        for (number, card) in [(0, "HD Webcam"), (1, "HD Webcam"), (10, "door")] {
            let sys = roots.sys.join(format!("class/video4linux/video{number}"));
            fs::create_dir_all(&sys).unwrap();
            fs::write(sys.join("name"), format!("{card}\n")).unwrap();
            fs::create_dir_all(&roots.dev).unwrap();
            fs::write(roots.dev.join(format!("video{number}")), "").unwrap();
        }
        fs::write(roots.dev.join("videotex"), "").unwrap();
        for (dir, link, node) in [
            ("by-id", "usb-HD_Webcam-index0", "../../video0"),
            ("by-id", "usb-HD_Webcam-index1", "../../video1"),
            ("by-path", "pci-0000-usb-0:3", "../../video0"),
        ] {
            let dir = roots.dev.join("v4l").join(dir);
            fs::create_dir_all(&dir).unwrap();
            symlink(node, dir.join(link)).unwrap();
        }
        (folder, roots)
    }

    #[test]
    fn every_way_to_name_a_camera() {
        let (_folder, roots) = machine();
        let check = |wanted: &str, expected: &[u32]| {
            let expected: Vec<PathBuf> = expected.iter().map(|n| roots.dev.join(format!("video{n}"))).collect();
            assert_eq!(roots.find(wanted).unwrap(), expected, "{wanted:?}");
        };
        check("", &[0, 1, 10]);
        check("video1", &[1]);
        check(roots.dev.join("video10").to_str().unwrap(), &[10]);
        check("HD Webcam", &[0, 1]);
        check("door", &[10]);
        check("usb-HD_Webcam-index0", &[0]);
        check("pci-0000-usb-0:3", &[0]);
        check(roots.dev.join("v4l/by-id/usb-HD_Webcam-index1").to_str().unwrap(), &[1]);
        let error = roots.find("hall").unwrap_err().to_string();
        assert!(error.starts_with("not plugged in; there is ") && error.ends_with("video10 (door)"), "{error}");
    }

    #[test]
    fn a_replugged_camera_is_found_under_its_new_number() {
        let (_folder, roots) = machine();
        fs::rename(roots.dev.join("video0"), roots.dev.join("video7")).unwrap();
        let link = roots.dev.join("v4l/by-id/usb-HD_Webcam-index0");
        fs::remove_file(&link).unwrap();
        symlink("../../video7", &link).unwrap();
        assert_eq!(roots.find("usb-HD_Webcam-index0").unwrap(), [roots.dev.join("video7")]);
    }

    #[test]
    fn a_machine_without_cameras_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots { dev: folder.path().to_owned(), sys: folder.path().to_owned() };
        assert_eq!(roots.find("").unwrap_err().to_string(), "no camera is plugged in");
        assert_eq!(roots.find("door").unwrap_err().to_string(), "not plugged in; there is no camera at all");
        assert_eq!(roots.nodes(), []);
    }
}
