//! Frame after frame → whether the detector runs a second time, at half the scale, for faces that fill the frame.

use lintel_core::detect::{Face, Faces, is_near};

/// Decides from the frames before. A near person stays near for some frames. Where no face was found, somebody may be
/// too near to be found, which every third such frame checks.
#[derive(Debug, Default)]
pub struct SecondLook {
    faceless: u32,
    lasts: u32,
}

impl SecondLook {
    /// Frames for which somebody near is expected to stay so.
    const LASTS: u32 = 10;
    /// Of frames without a face, one in this many is looked at twice.
    const EVERY: u32 = 3;

    /// Whether this frame, of this width and height in px, with these faces, is looked at twice.
    pub fn is_due(&mut self, faces: &Faces, frame: (u32, u32)) -> bool {
        self.lasts = self.lasts.saturating_sub(1);
        self.faceless = if faces.is_empty() { (self.faceless + 1) % Self::EVERY } else { 0 };
        let near = faces.iter().any(|face| is_near(face, frame));
        near || self.lasts > 0 || (faces.is_empty() && self.faceless == 0)
    }

    /// What the second look found.
    pub fn found(&mut self, faces: &[Face], frame: (u32, u32)) {
        if faces.iter().any(|face| is_near(face, frame)) {
            self.lasts = Self::LASTS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lintel_core::geometry::{Point, Rect};

    #[test]
    fn frames_are_looked_at_twice_when_somebody_is_or_may_be_near() {
        let frame = (640, 480);
        let with = |height: f32| {
            let bbox = Rect { x1: 100.0, y1: 20.0, x2: 300.0, y2: 20.0 + height };
            Faces::from_slice(&[Face { bbox, score: 0.9, landmarks: [Point::new(0.0, 0.0); 5] }]).expect("room for one")
        };
        let mut second = SecondLook::default();
        let mut due = |faces: &Faces| second.is_due(faces, frame);
        assert!(!due(&with(200.0)) && due(&with(300.0)));
        let empty = Faces::new();
        let looks: Vec<bool> = (0..6).map(|_| due(&empty)).collect();
        assert_eq!(looks, [false, false, true, false, false, true]);
        second.found(&with(400.0), frame);
        let looks = (0..12).filter(|_| second.is_due(&empty, frame)).count();
        assert_eq!(looks, 9 + 1, "while somebody was near a moment ago, every frame; then every third");
    }
}
