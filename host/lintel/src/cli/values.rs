//! Words of the command line → values.

pub(super) fn size(text: &str) -> Result<[u32; 2], String> {
    let parse = || -> Option<[u32; 2]> {
        let (width, height) = text.split_once(['x', 'X'])?;
        Some([width.parse().ok()?, height.parse().ok()?])
    };
    parse()
        .filter(|sides| sides.iter().all(|side| (64..=4096).contains(side)))
        .ok_or_else(|| "wanted WIDTHxHEIGHT, 64 to 4096 px each, as in 640x480".into())
}

pub(super) fn detector_size(text: &str) -> Result<[u32; 2], String> {
    let parse = || -> Option<[u32; 2]> {
        let (width, height) = text.split_once(['x', 'X'])?;
        Some([width.parse().ok()?, height.parse().ok()?])
    };
    parse()
        .filter(|sides| sides.iter().all(|side| (32..=4096).contains(side) && side.is_multiple_of(32)))
        .ok_or_else(|| "wanted WIDTHxHEIGHT, multiples of 32 from 32 to 4096 px, as in 640x480".into())
}

pub(super) fn classes(text: &str) -> Result<u32, String> {
    let value = text.parse().ok().filter(|value: &u32| *value != 1 && *value <= 1_000_000);
    value.ok_or_else(|| "wanted 0 (all) or 2 to 1000000 people".into())
}

pub(super) fn seconds(text: &str) -> Result<f32, String> {
    let value = text.parse().ok().filter(|value: &f32| (0.0..=600.0).contains(value));
    value.ok_or_else(|| "wanted 0 to 600 seconds".into())
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| value.is_finite() && *value > 0.0 && *value <= 1.0);
    value.ok_or_else(|| "wanted a number above 0, at most 1".into())
}

pub(super) fn rate(text: &str) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| (0.0..=1.0).contains(value));
    value.ok_or_else(|| "wanted a rate from 0 to 1".into())
}
