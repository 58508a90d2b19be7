use super::*;

const CONTENT: &[u8] = b"a library";
const HASH: &str = "26b6f4f9d8f62aa68b2c0c6e3c5d2a2b4b6e0e9f9b0ad3f5d6b7e9fbc6c1a001";

#[test]
fn builds_are_known_for_the_two_processors() {
    let check = |os: &str, processor: &str, expected: Option<&str>| {
        assert_eq!(known_build(os, processor).map(|build| build.platform), expected);
    };
    check("linux", "x86_64", Some("manylinux_2_28_x86_64"));
    check("linux", "aarch64", Some("manylinux_2_28_aarch64"));
    check("linux", "riscv64", None);
    check("macos", "aarch64", None);
}

#[test]
fn a_given_path_is_taken_or_refused_but_never_replaced() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("libonnxruntime.so");
    let wanted = Library { path: Some(path.clone()), ..Library::default() };
    assert!(matches!(find(&wanted), Err(LibraryError::Missing { origin: "--onnxruntime", .. })));
    fs::write(&path, CONTENT).expect("a writable folder");
    assert_eq!(find(&wanted).expect("it is there"), path);
}

/// A package that holds `content` as the library.
fn package(folder: &Path, content: &[u8]) -> PathBuf {
    let path = folder.join("onnxruntime.whl");
    let mut archive = zip::ZipWriter::new(File::create(&path).expect("a writable folder"));
    archive.start_file(MEMBER, zip::write::SimpleFileOptions::default()).expect("a new archive");
    archive.write_all(content).expect("a writable file");
    archive.finish().expect("a writable file");
    path
}

fn cache(folder: &Path, sha256: &'static str) -> Cache {
    Cache { folder: folder.into(), build: Build { platform: "any", sha256 } }
}

#[test]
fn only_the_known_content_gets_the_librarys_name() {
    let content_hash: &'static str =
        Box::leak(copy_hashed(&mut &CONTENT[..], &mut io::sink()).expect("memory can be read").into_boxed_str());
    let check = |content: &[u8], sha256: &'static str, taken: bool| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cache = cache(folder.path(), sha256);
        let unpacked = cache.unpack(&package(folder.path(), content));
        assert_eq!(unpacked.is_ok(), taken, "{unpacked:?}");
        assert_eq!(cache.verified().expect("readable").is_some(), taken);
        assert!(!folder.path().join(format!("{FILE}.partial")).exists());
        assert_eq!(matches!(unpacked, Err(LibraryError::Hash { .. })), !taken);
    };
    check(CONTENT, content_hash, true);
    check(CONTENT, HASH, false);
    check(b"another library", content_hash, false);
}

#[test]
fn a_damaged_library_in_the_cache_is_not_used() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join(FILE), b"cut off").expect("a writable folder");
    let cache = cache(folder.path(), HASH);
    assert!(matches!(cache.get(Fetch::Never), Err(LibraryError::NotFound)));
}

#[test]
fn a_package_without_the_library_is_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = cache(folder.path(), HASH);
    let path = folder.path().join("onnxruntime.whl");
    fs::write(&path, b"no archive").expect("a writable folder");
    assert!(matches!(cache.unpack(&path), Err(LibraryError::Cache { .. })));
    assert!(package_in(&folder.path().join("nowhere")).is_err());
    assert_eq!(package_in(folder.path()).expect("one package"), path);
}
