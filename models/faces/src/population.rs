//! A seed → the properties of a person, drawn from the population's distributions.

use glam::Vec3A as Vec3;

use crate::person::{Beard, Brows, Eyes, Glasses, Hair, Person, Shape, Skin, Style};
use crate::rng::{Rng, lerp, linear};

const SKIN: [[u8; 3]; 8] = [
    [250, 220, 205],
    [240, 200, 178],
    [224, 178, 150],
    [205, 154, 120],
    [178, 125, 90],
    [140, 94, 66],
    [114, 76, 54],
    [86, 57, 43],
];

const HAIR: [(&str, [u8; 3]); 10] = [
    ("black", [24, 20, 20]),
    ("dark brown", [52, 34, 25]),
    ("brown", [88, 56, 36]),
    ("light brown", [128, 88, 56]),
    ("blond", [196, 156, 98]),
    ("platinum", [226, 206, 164]),
    ("red", [150, 62, 28]),
    ("auburn", [100, 42, 28]),
    ("grey", [140, 138, 136]),
    ("white", [214, 212, 208]),
];

impl Person {
    /// The person of `seed`.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let rng = &mut Rng::new(seed, 0x9e0f);
        let masculine = if rng.chance(0.5) { rng.range(0.65, 1.0) } else { rng.range(0.0, 0.35) };
        let age = rng.range(18.0, 50.0) + if rng.chance(0.35) { rng.range(0.0, 30.0) } else { 0.0 };
        let shape = Shape::draw(rng, masculine);
        let skin = Skin::draw(rng, masculine, age, &shape);
        let (word, colour) = hair_colour(rng, skin.melanin, age);
        let hair = Hair::draw(rng, masculine, age, word, colour, skin.melanin);
        let eyes = Eyes::draw(rng, masculine, skin.melanin, age);
        let brows = Brows::draw(rng, masculine, &shape, &hair);
        let beard = Beard::draw(rng, masculine, &hair);
        let glasses = rng.chance(0.3).then(|| Glasses::draw(rng, &shape));
        Self { seed, masculine, age, shape, skin, eyes, brows, hair, beard, glasses }
    }
}

/// Bell-shaped and wide, so that people differ.
fn spread(rng: &mut Rng, lo: f32, hi: f32, lean: f32) -> f32 {
    let t = 0.5 * rng.unit() + 0.5 * (0.5 + 0.3 * rng.bell()).clamp(0.0, 1.0);
    lerp(lo, hi, (t + lean).clamp(0.0, 1.0))
}

impl Shape {
    fn draw(rng: &mut Rng, masculine: f32) -> Self {
        let m = (masculine - 0.5) * 0.35;
        let chin_y = -spread(rng, 9.4, 12.4, m * 0.5);
        let nose_y = -spread(rng, 3.3, 5.1, m * 0.3);
        let gap = chin_y - nose_y;
        Self {
            width: spread(rng, 6.2, 7.7, m * 0.4),
            temple: spread(rng, 0.9, 1.03, 0.0),
            jaw: spread(rng, 0.7, 0.95, m),
            jaw_y: -spread(rng, 6.3, 8.0, 0.0),
            chin_width: spread(rng, 1.7, 3.7, m),
            chin_y,
            chin_out: spread(rng, 0.0, 1.2, m * 0.5),
            chin_cleft: if rng.chance(0.2) { rng.range(0.2, 0.5) } else { 0.0 },
            crown_y: spread(rng, 10.4, 12.6, 0.0),
            boxy: spread(rng, 2.0, 2.9, m * 0.5),
            forehead_z: spread(rng, 7.6, 9.0, -m),
            brow_ridge: spread(rng, 0.0, 0.8, m * 1.2),
            eye_x: spread(rng, 2.8, 3.7, 0.0),
            eye_depth: spread(rng, 0.4, 1.4, m * 0.5),
            nose_y,
            nose_out: spread(rng, 1.7, 3.4, m * 0.5),
            nose_root: spread(rng, 0.1, 1.0, m * 0.4),
            nose_width: spread(rng, 1.25, 2.3, m * 0.5),
            bridge_width: spread(rng, 0.65, 1.15, m * 0.5),
            nose_ball: spread(rng, 0.1, 0.8, 0.0),
            nose_hump: spread(rng, -0.3, 0.45, m * 0.3),
            nose_up: spread(rng, -0.4, 0.5, -m * 0.5),
            mouth_y: nose_y + gap * spread(rng, 0.37, 0.5, 0.0),
            mouth_width: spread(rng, 1.95, 3.1, m * 0.4),
            lip_upper: spread(rng, 0.25, 0.95, -m * 0.7),
            lip_lower: spread(rng, 0.4, 1.15, -m * 0.7),
            cupid: spread(rng, 0.0, 0.35, -m),
            muzzle: spread(rng, 0.1, 1.1, 0.0),
            cheekbone: spread(rng, 0.0, 0.9, -m * 0.3),
            cheek_fat: spread(rng, -0.7, 0.8, 0.0),
            ear_size: spread(rng, 0.75, 1.3, m * 0.4),
            ear_out: spread(rng, 0.15, 1.0, 0.0),
            neck: spread(rng, 4.4, 6.6, m * 1.3),
        }
    }
}

impl Skin {
    fn draw(rng: &mut Rng, masculine: f32, age: f32, shape: &Shape) -> Self {
        let melanin = 0.5 * (rng.unit() + rng.unit().powf(1.3));
        let at = melanin * (SKIN.len() - 1) as f32;
        let i = (at as usize).min(SKIN.len() - 2);
        let base = linear(SKIN[i]).lerp(linear(SKIN[i + 1]), at - i as f32);
        // Undertone: from pink to olive.
        let tone = rng.range(-1.0, 1.0);
        let albedo = base * Vec3::new(1.0 + 0.05 * tone, 1.0 - 0.02 * tone, 1.0 + 0.08 * tone);
        let red = Vec3::new(0.62, 0.16, 0.17).lerp(Vec3::new(0.2, 0.06, 0.06), melanin);
        let paint = if masculine < 0.4 && rng.chance(0.45) { rng.range(0.5, 1.0) } else { 0.0 };
        let stick = rng.pick(&[
            Vec3::new(0.5, 0.02, 0.04),
            Vec3::new(0.4, 0.08, 0.12),
            Vec3::new(0.6, 0.14, 0.2),
            Vec3::new(0.25, 0.02, 0.06),
        ]);
        let lips = albedo.lerp(red, rng.range(0.25, 0.65)) * rng.range(0.75, 0.95);
        let moles = (0..rng.below(6))
            .map(|_| {
                let (x, y) = (rng.range(-5.5, 5.5), rng.range(shape.chin_y + 1.0, 5.0));
                [x, y, rng.range(0.12, 0.32), rng.range(0.4, 0.9)]
            })
            .collect();
        Self {
            melanin,
            albedo,
            lips: lips.lerp(stick, paint * 0.8),
            rosy: rng.range(0.0, 1.0) * (1.0 - 0.5 * melanin),
            mottle: rng.range(0.03, 0.12),
            gloss: rng.range(0.1, 0.5),
            eye_shadow: rng.range(0.0, 0.5),
            freckles: if melanin < 0.45 && rng.chance(0.3) { rng.range(0.3, 1.0) } else { 0.0 },
            wrinkles: ((age - 30.0) / 45.0).clamp(0.0, 1.0) * rng.range(0.6, 1.1),
            moles,
        }
    }
}

impl Eyes {
    fn draw(rng: &mut Rng, masculine: f32, melanin: f32, age: f32) -> Self {
        let m = (masculine - 0.5) * 0.3;
        let light = (0.75 - melanin).max(0.0);
        let kinds: [(&str, [u8; 3], f32); 6] = [
            ("dark brown", [52, 30, 18], 0.5 + 2.0 * melanin),
            ("brown", [98, 60, 30], 0.8),
            ("hazel", [126, 98, 50], light),
            ("green", [92, 120, 78], light),
            ("blue", [88, 128, 172], 1.6 * light),
            ("grey", [130, 142, 150], 0.6 * light),
        ];
        let (colour, iris, _) = kinds[rng.weighted(&kinds.map(|k| k.2))];
        let crease = if rng.chance(0.75) { rng.range(0.12, 0.5) } else { 0.0 };
        Self {
            half_width: spread(rng, 1.25, 1.75, -m),
            upper: spread(rng, 0.46, 0.86, -m * 1.3),
            lower: spread(rng, 0.25, 0.45, 0.0),
            tilt: spread(rng, -0.14, 0.22, -m),
            crease,
            hood: rng.range(0.0, 0.6) + ((age - 50.0) / 60.0).max(0.0),
            iris: linear(iris) * rng.range(0.8, 1.25),
            iris_radius: rng.range(0.58, 0.7),
            lashes: lerp(rng.range(0.6, 1.0), rng.range(0.1, 0.5), masculine),
            bags: rng.range(0.0, 0.5) + ((age - 35.0) / 70.0).max(0.0),
            colour,
        }
    }
}

impl Brows {
    fn draw(rng: &mut Rng, masculine: f32, shape: &Shape, hair: &Hair) -> Self {
        let m = (masculine - 0.5) * 0.6;
        let darker = rng.range(0.35, 1.0);
        Self {
            y: spread(rng, 1.5, 2.7, -m * 0.8),
            thickness: spread(rng, 0.24, 0.68, m),
            inner: (shape.eye_x - spread(rng, 1.4, 2.4, m * 0.5)).max(0.5),
            outer: shape.eye_x + spread(rng, 1.6, 2.5, 0.0),
            angle: spread(rng, -0.2, 0.26, 0.0),
            arch: spread(rng, 0.0, 0.75, -m * 0.6),
            density: spread(rng, 0.5, 1.0, m * 0.3),
            colour: hair.colour.min(Vec3::splat(0.3)) * darker,
        }
    }
}

fn hair_colour(rng: &mut Rng, melanin: f32, age: f32) -> (&'static str, Vec3) {
    let fair = (0.6 - melanin).max(0.0) * 2.0;
    let old = ((age - 42.0) / 25.0).clamp(0.0, 1.5);
    let weights = [
        1.0 + 2.0 * melanin,
        1.2,
        0.5 + 0.6 * fair,
        0.7 * fair,
        1.1 * fair,
        0.35 * fair,
        0.6 * fair,
        0.5 * fair,
        2.5 * old,
        1.4 * old * old,
    ];
    let (word, rgb) = HAIR[rng.weighted(&weights)];
    (word, linear(rgb) * rng.range(0.8, 1.2))
}

impl Hair {
    fn draw(rng: &mut Rng, masculine: f32, age: f32, word: &'static str, colour: Vec3, melanin: f32) -> Self {
        use Style::{Bald, Bob, Bun, Buzz, Curly, Fringe, Long, LongCurly, Quiff, Short, SidePart, Slick, Wavy};
        let styles = [Bald, Buzz, Short, SidePart, Quiff, Fringe, Bob, Long, Wavy, Curly, LongCurly, Bun, Slick];
        let bald = 0.5 + 1.2 * ((age - 35.0) / 30.0).clamp(0.0, 1.0);
        let curls = 0.5 + 1.3 * melanin;
        let weights = if masculine > 0.5 {
            [bald, 1.0, 1.6, 1.3, 1.0, 0.7, 0.1, 0.3, 0.15, 0.8 * curls, 0.15, 0.1, 0.7]
        } else {
            [0.03, 0.12, 0.4, 0.35, 0.1, 0.3, 1.4, 1.7, 1.4, 0.6 * curls, 1.0 * curls, 1.1, 0.5]
        };
        let style = styles[rng.weighted(&weights)];
        let (top, side, bottom_y, curl) = match style {
            Bald => (0.0, 0.0, -9.0, 0.0),
            Buzz => (0.25, 0.2, -9.0, 0.0),
            Short => (rng.range(0.6, 1.6), rng.range(0.3, 0.9), -9.0, rng.range(0.0, 0.3)),
            SidePart => (rng.range(1.2, 2.4), rng.range(0.5, 1.2), -9.0, 0.1),
            Quiff => (rng.range(1.8, 3.2), rng.range(0.2, 0.7), -9.0, 0.15),
            Fringe => (rng.range(1.0, 2.2), rng.range(0.7, 1.6), -9.0, 0.1),
            Bob => (rng.range(1.0, 2.0), rng.range(1.2, 2.4), rng.range(-12.5, -7.0), 0.1),
            Long => (rng.range(0.8, 1.8), rng.range(0.8, 1.9), rng.range(-26.0, -15.0), 0.05),
            Wavy => (rng.range(1.2, 2.4), rng.range(1.3, 2.6), rng.range(-24.0, -13.0), 0.45),
            Curly => (rng.range(1.8, 5.0), rng.range(1.2, 4.2), -9.5, 1.0),
            LongCurly => (rng.range(1.8, 3.6), rng.range(2.0, 4.2), rng.range(-20.0, -11.0), 0.9),
            Bun => (rng.range(0.5, 1.1), rng.range(0.3, 0.7), -9.0, 0.05),
            Slick => (rng.range(0.5, 1.2), rng.range(0.3, 0.7), -9.0, 0.0),
        };
        let thin = if masculine > 0.5 { ((age - 30.0) / 40.0).clamp(0.0, 1.0) } else { 0.0 };
        let has_fringe = style == Fringe || (matches!(style, Bob | Long | Wavy | Curly) && rng.chance(0.35));
        Self {
            style,
            colour,
            word,
            hairline_y: rng.range(5.3, 7.4) + thin * rng.range(0.0, 0.8),
            recede: thin * rng.range(0.0, 2.2),
            peak: rng.range(-0.2, 0.6),
            top,
            side,
            bottom_y,
            fringe_y: if has_fringe { rng.range(2.0, 4.2) } else { 99.0 },
            part: rng.pick(&[-1.0, 0.0, 1.0]),
            curl,
            edge: rng.range(1.0, 1.35),
            shine: rng.range(0.2, 1.0),
        }
    }
}

impl Beard {
    fn draw(rng: &mut Rng, masculine: f32, hair: &Hair) -> Self {
        let colour = hair.colour * rng.range(0.6, 1.0);
        let none = Self {
            word: None,
            colour,
            moustache: 0.0,
            chin: 0.0,
            cheeks: 0.0,
            stubble: if masculine > 0.6 { rng.range(0.0, 0.3) } else { 0.0 },
            length: 0.0,
        };
        if masculine < 0.6 {
            return none;
        }
        match rng.weighted(&[4.5, 1.2, 0.8, 1.0, 1.4]) {
            1 => Self { word: Some("stubble"), stubble: rng.range(0.5, 0.9), ..none },
            2 => Self { word: Some("moustache"), moustache: rng.range(0.75, 1.0), length: 0.2, ..none },
            3 => Self {
                word: Some("goatee"),
                moustache: rng.range(0.6, 1.0),
                chin: rng.range(0.7, 1.0),
                length: rng.range(0.15, 0.6),
                ..none
            },
            4 => Self {
                word: Some("full beard"),
                moustache: rng.range(0.7, 1.0),
                chin: 1.0,
                cheeks: rng.range(0.75, 1.0),
                length: rng.range(0.2, 1.8),
                ..none
            },
            _ => none,
        }
    }
}

impl Glasses {
    fn draw(rng: &mut Rng, shape: &Shape) -> Self {
        let colour = linear(rng.pick(&[
            [16, 16, 18],
            [20, 20, 24],
            [70, 40, 22],
            [120, 24, 28],
            [36, 48, 96],
            [170, 150, 90],
            [165, 165, 170],
            [90, 90, 95],
        ]));
        let base = Self {
            word: "round",
            colour,
            rim: rng.range(0.09, 0.2),
            half_width: rng.range(2.1, 2.5).min(shape.eye_x - 0.35),
            half_height: rng.range(1.5, 1.9),
            square: 3.2,
            droop: 0.0,
            half_rim: false,
            tint: rng.range(0.0, 0.12),
        };
        match rng.below(5) {
            0 => Self { half_height: base.half_width * 0.95, square: 2.0, ..base },
            1 => Self { word: "square", square: 5.0, ..base },
            2 => Self { word: "aviator", half_height: 2.1, square: 2.4, droop: 0.5, rim: 0.1, ..base },
            3 => Self { word: "thick", rim: rng.range(0.26, 0.42), ..base },
            _ => Self { word: "half-rim", half_rim: true, half_height: rng.range(1.2, 1.5), ..base },
        }
    }
}
