//! SCRFD with keypoints (Guo et al. 2021): nine outputs, scores, boxes and landmarks at strides 8, 16 and 32.

use super::architecture::{Architecture, Known, Output, Outputs};
use crate::error::RuntimeError;
use lintel_core::detect::{self, Faces, Letterbox, Level, Limits, STRIDES, decode};

/// Components of a score, a box, and five landmarks.
const WIDTHS: [usize; 3] = [1, 4, 10];

/// For each level, which of the model's outputs are its scores, boxes and landmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scrfd([[usize; 3]; 3]);

impl Scrfd {
    /// How models are recognised as SCRFD.
    pub(super) const KNOWN: Known = Known {
        outputs: "f32 [n, 1], [n, 4] and [n, 10] for each of strides 8, 16 and 32 (an SCRFD model with keypoints)",
        recognise: |outputs, input| Self::of(outputs, input).map(|scrfd| Box::new(scrfd) as Box<dyn Architecture>),
    };

    /// Tells the outputs apart by their shapes `[n, w]` or `[1, n, w]`, since every exporter names them differently: n
    /// belongs to a stride, and w says whether these are scores, boxes or landmarks.
    fn of(outputs: &[Output], input: (u32, u32)) -> Option<Self> {
        let mut found = [[None; 3]; 3];
        for (place, output) in outputs.iter().enumerate() {
            let (&[n, width] | &[1, n, width]) = output.shape.as_slice() else { return None };
            let level = STRIDES.iter().position(|&stride| Ok(detect::rows(input, stride)) == usize::try_from(n))?;
            let kind = WIDTHS.iter().position(|&wanted| Ok(wanted) == usize::try_from(width))?;
            if found[level][kind].replace(place).is_some() {
                return None;
            }
        }
        let mut recognised = [[0; 3]; 3];
        for (place, found) in recognised.as_flattened_mut().iter_mut().zip(found.as_flattened()) {
            *place = (*found)?;
        }
        Some(Self(recognised))
    }
}

impl Architecture for Scrfd {
    /// (x − 127.5) / 128.
    fn normalise(&self, rgb: &[u8], floats: &mut [f32]) {
        let plane = floats.len() / 3;
        let (red, rest) = floats.split_at_mut(plane);
        let (green, blue) = rest.split_at_mut(plane);
        let planes = red.iter_mut().zip(green).zip(blue);
        for (pixel, ((red, green), blue)) in rgb.chunks_exact(3).zip(planes) {
            let value = |byte: u8| (f32::from(byte) - 127.5) * (1.0 / 128.0);
            (*red, *green, *blue) = (value(pixel[0]), value(pixel[1]), value(pixel[2]));
        }
    }

    fn decode(
        &self,
        outputs: &Outputs<'_, '_>,
        input: (u32, u32),
        letterbox: &Letterbox,
        limits: &Limits,
    ) -> Result<Faces, RuntimeError> {
        let mut levels = [Level { stride: 0, scores: &[], boxes: &[], landmarks: &[] }; 3];
        for ((level, places), stride) in levels.iter_mut().zip(&self.0).zip(STRIDES) {
            let [scores, boxes, landmarks] = places.map(|place| outputs.numbers(place));
            *level = Level { stride, scores: scores?, boxes: boxes?, landmarks: landmarks? };
        }
        Ok(decode(&levels, input, letterbox, limits)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of the three levels at 64×64.
    const ROWS: [i64; 3] = [128, 32, 8];

    fn output(shape: &[i64]) -> Output {
        Output { name: "any".into(), shape: shape.to_vec() }
    }

    /// Scores, boxes and landmarks of each level, as one exporter orders them.
    fn published() -> Vec<Output> {
        [1, 4, 10].iter().flat_map(|&width| ROWS.map(|rows| output(&[rows, width]))).collect()
    }

    #[test]
    fn outputs_are_recognised_in_any_order_and_with_a_leading_1() {
        let check = |outputs: &[Output], expected: Option<Scrfd>| assert_eq!(Scrfd::of(outputs, (64, 64)), expected);
        let first = Some(Scrfd([[0, 3, 6], [1, 4, 7], [2, 5, 8]]));
        check(&published(), first);
        let mut reversed = published();
        reversed.reverse();
        check(&reversed, Some(Scrfd([[8, 5, 2], [7, 4, 1], [6, 3, 0]])));
        let batched: Vec<Output> =
            published().iter().map(|output| self::output(&[1, output.shape[0], output.shape[1]])).collect();
        check(&batched, first);
    }

    #[test]
    fn other_sets_of_outputs_are_no_scrfd() {
        let check = |change: &dyn Fn(&mut Vec<Output>)| {
            let mut outputs = published();
            change(&mut outputs);
            assert_eq!(Scrfd::of(&outputs, (64, 64)), None);
        };
        check(&|outputs| outputs.truncate(8));
        check(&|outputs| outputs.push(output(&[128, 1])));
        check(&|outputs| outputs[0] = output(&[128, 2]));
        check(&|outputs| outputs[0] = output(&[127, 1]));
        check(&|outputs| outputs[0] = output(&[128]));
        check(&|outputs| outputs[0] = output(&[-1, 1]));
        check(&Vec::clear);
    }
}
