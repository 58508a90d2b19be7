//! A seed → everything that does not change about a person.
//!
//! Lengths are centimetres in head space: x to the image's right, y up, z out of the face; the origin lies between the
//! eyes on the head's axis, the front of the face at about z = 9.

use glam::Vec3A as Vec3;

/// One rendered person. The same seed always gives the same person.
#[derive(Clone, Debug)]
pub struct Person {
    /// The seed from which the person was drawn.
    pub seed: u64,
    /// 0 looks feminine, 1 looks masculine.
    pub masculine: f32,
    /// Years, 18..=80.
    pub age: f32,
    /// Bones and flesh.
    pub shape: Shape,
    /// Colour and marks of the skin.
    pub skin: Skin,
    /// Eyes, without gaze.
    pub eyes: Eyes,
    /// Eyebrows.
    pub brows: Brows,
    /// Hair of the head.
    pub hair: Hair,
    /// Facial hair.
    pub beard: Beard,
    /// The pair that this person owns, if any; photos may be without them.
    pub glasses: Option<Glasses>,
}

/// Bones and flesh, cm.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Half width at the cheekbones.
    pub width: f32,
    /// Ratio to `width`.
    pub temple: f32,
    /// Ratio to `width`.
    pub jaw: f32,
    /// Height of the jaw's angle.
    pub jaw_y: f32,
    /// Half width of the chin.
    pub chin_width: f32,
    /// Lowest point of the chin.
    pub chin_y: f32,
    /// How far the chin protrudes.
    pub chin_out: f32,
    /// Depth of the cleft; 0 for none.
    pub chin_cleft: f32,
    /// Top of the skull.
    pub crown_y: f32,
    /// Exponent of the horizontal section: 2 an ellipse, 3 boxy.
    pub boxy: f32,
    /// Depth of the forehead in front of the head's axis.
    pub forehead_z: f32,
    /// How far the ridge protrudes.
    pub brow_ridge: f32,
    /// Half the distance between the eyes.
    pub eye_x: f32,
    /// How deep the sockets are.
    pub eye_depth: f32,
    /// The tip of the nose.
    pub nose_y: f32,
    /// How far the tip protrudes.
    pub nose_out: f32,
    /// How far the bridge protrudes between the eyes.
    pub nose_root: f32,
    /// Half width at the wings.
    pub nose_width: f32,
    /// Half width of the bridge.
    pub bridge_width: f32,
    /// Roundness of the tip.
    pub nose_ball: f32,
    /// Hump (positive) or saddle of the bridge.
    pub nose_hump: f32,
    /// Upward turn of the tip.
    pub nose_up: f32,
    /// Height of the closed lips' line.
    pub mouth_y: f32,
    /// Half width of the closed mouth.
    pub mouth_width: f32,
    /// Height of the upper lip.
    pub lip_upper: f32,
    /// Height of the lower lip.
    pub lip_lower: f32,
    /// Depth of the notch in the upper lip, relative to its height.
    pub cupid: f32,
    /// How far the mouth's region protrudes.
    pub muzzle: f32,
    /// How far the cheekbones protrude.
    pub cheekbone: f32,
    /// Hollow (negative) or full cheeks.
    pub cheek_fat: f32,
    /// 1 is 6 cm high.
    pub ear_size: f32,
    /// How far the ears protrude.
    pub ear_out: f32,
    /// Half width of the neck.
    pub neck: f32,
}

/// Colours are linear light, [0, 1].
#[derive(Clone, Debug)]
pub struct Skin {
    /// 0 very fair, 1 very dark.
    pub melanin: f32,
    /// Colour of plain skin.
    pub albedo: Vec3,
    /// Colour of the lips, painted or not.
    pub lips: Vec3,
    /// Redness of cheeks and nose, [0, 1].
    pub rosy: f32,
    /// Unevenness of the colour.
    pub mottle: f32,
    /// Oiliness, [0, 1].
    pub gloss: f32,
    /// Darkness around the eyes, [0, 1].
    pub eye_shadow: f32,
    /// Freckles, [0, 1].
    pub freckles: f32,
    /// Wrinkles, [0, 1.1].
    pub wrinkles: f32,
    /// Moles: x, y, radius in cm; darkness in [0, 1].
    pub moles: Vec<[f32; 4]>,
}

/// Eyes, cm and radians.
#[derive(Clone, Debug)]
pub struct Eyes {
    /// Half of the width, cm.
    pub half_width: f32,
    /// How far the upper lid rises over the corners.
    pub upper: f32,
    /// How far the lower lid sinks under them.
    pub lower: f32,
    /// Positive: the outer corner is higher.
    pub tilt: f32,
    /// Height of the lid's fold above the lid; 0 for none.
    pub crease: f32,
    /// How far the brow's skin hangs over the fold, 0..=1.5.
    pub hood: f32,
    /// Colour of the iris, linear light.
    pub iris: Vec3,
    /// Radius, cm.
    pub iris_radius: f32,
    /// How dark the lashes are, [0, 1].
    pub lashes: f32,
    /// Bags under the eyes, [0, 1.2].
    pub bags: f32,
    /// The colour of the iris in one word.
    pub colour: &'static str,
}

/// Eyebrows, cm and radians.
#[derive(Clone, Debug)]
pub struct Brows {
    /// Height of the middle.
    pub y: f32,
    /// Half thickness.
    pub thickness: f32,
    /// Where they begin.
    pub inner: f32,
    /// Where they end.
    pub outer: f32,
    /// Positive: rising outwards.
    pub angle: f32,
    /// Height of the arch.
    pub arch: f32,
    /// [0, 1].
    pub density: f32,
    /// Linear light.
    pub colour: Vec3,
}

/// A cut of hair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it; Style::word has them in English")]
pub enum Style {
    Bald,
    Buzz,
    Short,
    SidePart,
    Quiff,
    Fringe,
    Bob,
    Long,
    Wavy,
    Curly,
    LongCurly,
    Bun,
    Slick,
}

/// Hair of the head; `seed` of the person makes its strands.
#[derive(Clone, Debug)]
pub struct Hair {
    /// The cut.
    pub style: Style,
    /// Linear light.
    pub colour: Vec3,
    /// One word for a description of the person.
    pub word: &'static str,
    /// Height of the hairline over the nose, cm.
    pub hairline_y: f32,
    /// How far it recedes at the temples, cm.
    pub recede: f32,
    /// The widow's peak, cm.
    pub peak: f32,
    /// Thickness on top, cm.
    pub top: f32,
    /// Thickness at the sides, cm.
    pub side: f32,
    /// Where hanging hair ends, cm.
    pub bottom_y: f32,
    /// Where a fringe ends; above the hairline for none.
    pub fringe_y: f32,
    /// -1 left, 1 right, 0 none.
    pub part: f32,
    /// 0 straight, 1 tight curls.
    pub curl: f32,
    /// Azimuth of hanging hair's front edge, radians from the nose.
    pub edge: f32,
    /// [0, 1].
    pub shine: f32,
}

/// Facial hair.
#[derive(Clone, Debug)]
pub struct Beard {
    /// The kind of beard in words; None for a shaved face.
    pub word: Option<&'static str>,
    /// Linear light.
    pub colour: Vec3,
    /// Density, [0, 1].
    pub moustache: f32,
    /// Density on the chin, [0, 1].
    pub chin: f32,
    /// Density along the jaw, [0, 1].
    pub cheeks: f32,
    /// Density of stubble wherever a beard could grow, [0, 1].
    pub stubble: f32,
    /// Thickness of the beard over the skin, cm.
    pub length: f32,
}

/// A pair of glasses.
#[derive(Clone, Debug)]
pub struct Glasses {
    /// One word for a description of the person.
    pub word: &'static str,
    /// Linear light.
    pub colour: Vec3,
    /// Radius of the rim, cm.
    pub rim: f32,
    /// Half of the width, cm.
    pub half_width: f32,
    /// Half height of a lens, cm.
    pub half_height: f32,
    /// Exponent of the outline: 2 round, 5 square.
    pub square: f32,
    /// How far the lenses hang outwards, as in aviator glasses.
    pub droop: f32,
    /// Whether the rim is missing below.
    pub half_rim: bool,
    /// Share of light that a lens absorbs, [0, 1].
    pub tint: f32,
}

/// Coarse words for captions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traits {
    /// "man", "woman" or "person".
    pub presentation: &'static str,
    /// "young", "middle-aged" or "old".
    pub age: &'static str,
    /// "fair", "tan", "brown" or "dark".
    pub skin: &'static str,
    /// As in "red hair".
    pub hair_colour: &'static str,
    /// See [`Style::word`].
    pub hair_style: &'static str,
    /// "stubble", "moustache", "goatee", "full beard".
    pub beard: Option<&'static str>,
    /// "round", "square", "aviator", "thick", "half-rim".
    pub glasses: Option<&'static str>,
    /// Colour of the eyes.
    pub eyes: &'static str,
}

impl Person {
    /// A description of this person for a caption.
    #[must_use]
    pub fn traits(&self) -> Traits {
        let m = self.skin.melanin;
        Traits {
            presentation: if self.masculine > 0.7 {
                "man"
            } else if self.masculine < 0.3 {
                "woman"
            } else {
                "person"
            },
            age: match self.age {
                a if a < 30.0 => "young",
                a if a < 55.0 => "middle-aged",
                _ => "old",
            },
            skin: match m {
                m if m < 0.25 => "fair",
                m if m < 0.5 => "tan",
                m if m < 0.75 => "brown",
                _ => "dark",
            },
            hair_colour: self.hair.word,
            hair_style: self.hair.style.word(),
            beard: self.beard.word,
            glasses: self.glasses.as_ref().map(|g| g.word),
            eyes: self.eyes.colour,
        }
    }
}

impl Style {
    /// A phrase such as "a woman with long hair".
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Bald => "bald",
            Self::Buzz => "buzz cut",
            Self::Short => "short",
            Self::SidePart => "side-parted",
            Self::Quiff => "quiff",
            Self::Fringe => "fringe",
            Self::Bob => "bob",
            Self::Long => "long",
            Self::Wavy => "wavy",
            Self::Curly => "curly",
            Self::LongCurly => "long curly",
            Self::Bun => "bun",
            Self::Slick => "slicked back",
        }
    }
}
