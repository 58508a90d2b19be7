use super::*;
use proptest::prelude::*;

/// A picture whose middle has the grey level `grey`.
fn jpeg(width: u16, height: u16, grey: u8, progressive: bool) -> Vec<u8> {
    let mut pixels = Vec::new();
    for i in 0..u32::from(width) * u32::from(height) {
        pixels.extend([grey, grey.wrapping_add((i % 7) as u8), grey]);
    }
    let mut out = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut out, 90);
    encoder.set_progressive(progressive);
    encoder.set_restart_interval(3);
    encoder.encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb).expect("a valid picture");
    out
}

/// Puts a thumbnail, a whole picture, into an application segment of `jpeg`.
fn with_thumbnail(jpeg: &[u8], thumbnail: &[u8]) -> Vec<u8> {
    let length = (thumbnail.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, thumbnail, &jpeg[2..]].concat()
}

fn about(width: u32, height: u32) -> About {
    let (person, label) = (Some("Zoë Łuczak".into()), "at the door".into());
    About { fps: 10.0, width, height, person, label, notes: String::new(), tags: vec!["glasses".into()] }
}

fn write(folder: &Path, about: &About, pictures: &[Vec<u8>]) -> PathBuf {
    let path = folder.join("visit.mjpeg");
    let mut writer = RecordingWriter::create(&path, about).expect("a writable folder");
    pictures.iter().for_each(|picture| writer.push(picture).expect("a writable file"));
    writer.finish().expect("a writable file");
    path
}

#[test]
fn what_is_written_comes_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pictures: Vec<_> = (0..5).map(|i| jpeg(48, 32, 40 * i, i % 2 == 1)).collect();
    let path = write(folder.path(), &about(48, 32), &pictures);
    let recording = Recording::open(&path).expect("a whole recording");
    assert_eq!((recording.about(), recording.len(), recording.name()), (&about(48, 32), 5, "visit"));
    let mut reused = Vec::new();
    let mut again = recording.frames();
    for (i, decoded) in recording.frames().enumerate() {
        let decoded = decoded.expect("a whole frame");
        assert_eq!(decoded.info.captured, Uptime::from_micros(i as u64 * 100_000));
        assert_eq!(decoded.frame().expect("a valid frame").size(), (48, 32));
        let middle = decoded.pixels[(16 * 48 + 24) * 3];
        assert!(middle.abs_diff(40 * i as u8) < 8, "frame {i}: {middle}");
        assert_eq!(again.next_into(&mut reused).map(|info| info.expect("a whole frame")), Some(decoded.info));
        assert_eq!(reused, decoded.pixels);
    }
    assert!(again.next_into(&mut reused).is_none());
}

#[test]
fn a_damaged_frame_is_named_and_the_others_come() {
    let good = || jpeg(48, 32, 100, false);
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: &[bool]| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut damaged = good();
        change(&mut damaged);
        let path = write(folder.path(), &about(48, 32), &[good(), damaged, good()]);
        let recording = Recording::open(&path).expect("some frames are whole");
        let got: Vec<bool> = recording.frames().map(|frame| frame.is_ok()).collect();
        assert_eq!(got, expected);
        for (i, frame) in recording.frames().enumerate() {
            match frame {
                Err(RecordingError::Frame { index, .. } | RecordingError::Size { index, .. }) => assert_eq!(index, i),
                Err(error) => panic!("frame {i}: {error}"),
                Ok(_) => {}
            }
        }
    };
    check(&|_| {}, &[true, true, true]);
    check(&|bytes| bytes.truncate(bytes.len() - 2), &[true, false, true]);
    check(&|bytes| bytes.truncate(bytes.len() / 2), &[true, false, true]);
    check(&|bytes| bytes.truncate(30), &[true, false, true]);
    check(&|bytes| bytes.truncate(3), &[true, false, true]);
    check(&|bytes| bytes[2..6].fill(0), &[true, false, true]);
    check(&|bytes| *bytes = b"no picture at all".to_vec(), &[true, false, true]);
    check(&|bytes| *bytes = jpeg(32, 48, 100, false), &[true, false, true]);
    check(&|bytes| bytes.clear(), &[true, true]);
}

#[test]
fn pictures_are_told_apart_by_their_segments() {
    let check = |parts: &[&[u8]], expected: &[bool]| {
        let found = split(&parts.concat()).expect("few parts");
        let lengths: Vec<usize> = found.iter().map(|part| part.range.len()).collect();
        assert_eq!(lengths, parts.iter().map(|part| part.len()).collect::<Vec<_>>());
        assert_eq!(found.iter().map(|part| part.whole).collect::<Vec<_>>(), expected);
    };
    let (baseline, progressive) = (jpeg(64, 64, 9, false), jpeg(64, 64, 9, true));
    let nested = with_thumbnail(&baseline, &progressive);
    check(&[], &[]);
    check(&[&baseline, &progressive, &nested, &baseline], &[true; 4]);
    check(&[&nested[..nested.len() - 5], &baseline], &[false, true]);
    check(&[b"\n", &baseline], &[false, true]);
    check(&[&baseline, &[0xff; 10]], &[true, false]);
}

#[test]
fn sizes_are_refused_before_memory_is_taken() {
    let check = |width: u16, height: u16| {
        let mut bytes = jpeg(16, 16, 1, false);
        let header = bytes.windows(2).position(|marker| marker == [0xff, 0xc0]).expect("a frame header");
        bytes[header + 5..header + 7].copy_from_slice(&height.to_be_bytes());
        bytes[header + 7..header + 9].copy_from_slice(&width.to_be_bytes());
        let mut pixels = Vec::new();
        assert!(decode(&bytes, &mut pixels).is_err(), "{width}x{height}");
        assert_eq!(pixels.capacity(), 0, "{width}x{height}");
    };
    check(20_000, 20_000);
    check(8193, 1);
    check(1, u16::MAX);
    check(0, 16);
    check(16, 0);
}

#[test]
fn grey_pictures_become_rgb() {
    let mut bytes = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut bytes, 90);
    encoder.encode(&[77; 64 * 8], 64, 8, jpeg_encoder::ColorType::Luma).expect("a valid picture");
    let mut pixels = Vec::new();
    assert_eq!(decode(&bytes, &mut pixels), Ok((64, 8)));
    assert!(pixels.len() == 64 * 8 * 3 && pixels.iter().all(|&byte| byte.abs_diff(77) < 3));
}

#[test]
fn side_cars_are_checked() {
    let check = |text: &str, expected: &str| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = write(folder.path(), &about(48, 32), &[jpeg(48, 32, 5, false)]);
        std::fs::write(path.with_extension("toml"), text).expect("a writable folder");
        let got = Recording::open(&path).map_or_else(|error| error.to_string(), |_| "fine".into());
        assert!(got.contains(expected) && !got.contains('\n'), "{text:?}: {got}");
    };
    check("fps = 10.0\nwidth = 48\nheight = 32", "fine");
    check("fps = 10\nwidth = 48\nheight = 32\nperson = 'A'\nlabel = 'b'\nnotes = 'c'", "fine");
    check("fps = 0.0\nwidth = 48\nheight = 32", "fps is 0, wanted 0.1 to 1000");
    check("fps = nan\nwidth = 48\nheight = 32", "fps is NaN");
    check("fps = 10.0\nwidth = 0\nheight = 32", "frames are 0x32");
    check("fps = 10.0\nwidth = 48\nheight = 8193", "frames are 48x8193");
    check("fps = 10.0\nwidth = 48\nheight = 32\nwho = 'A'", "unknown field `who`");
    check("fps = 10.0", "missing field `width`");
    check("no toml", "expected");
}

#[test]
fn missing_and_empty_files_are_told_apart() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = write(folder.path(), &about(48, 32), &[]);
    assert!(matches!(Recording::open(&path), Err(RecordingError::Empty { .. })));
    std::fs::write(&path, b"GIF89a").expect("a writable folder");
    assert!(matches!(Recording::open(&path), Err(RecordingError::Empty { .. })));
    std::fs::remove_file(&path).expect("the file is there");
    assert!(matches!(Recording::open(&path), Err(RecordingError::Io { .. })));
}

proptest! {
    #[test]
    fn no_bytes_are_lost_and_none_panic(
        noise in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..700, flip in 0usize..700, bit in 0u8..8,
    ) {
        let mut bytes = [jpeg(24, 16, 60, false), noise, jpeg(24, 16, 60, true)].concat();
        let len = bytes.len();
        bytes[flip % len] ^= 1 << bit;
        bytes.drain(cut % len..(cut % len + 5).min(len));
        let parts = split(&bytes).expect("few parts");
        let mut end = 0;
        for part in &parts {
            prop_assert!(part.range.start == end && part.range.end > end);
            end = part.range.end;
            let _ = decode(&bytes[part.range.clone()], &mut Vec::new());
        }
        prop_assert_eq!(end, bytes.len());
    }
}
