//! People and a seed → the frames of a visit to the door.

use crate::background::Background;
use crate::camera::Camera;
use crate::canvas::Canvas;
use crate::light::Light;
use crate::person::Person;
use crate::photo::placement;
use crate::picture::Picture;
use crate::pose::Pose;
use crate::render::render_over;
use crate::rng::{Rng, mix, smooth};
use crate::scene::{Placement, Scene};

/// A recording at the door: it is empty, somebody walks up within a second, stands, looks around and blinks.
#[derive(Clone, Debug)]
pub struct Approach {
    scene: Scene,
    room: Canvas,
    walkers: Vec<Walker>,
    fps: f32,
    seconds: f32,
    seed: u64,
}

#[derive(Clone, Debug)]
struct Walker {
    place: Placement,
    /// Seconds at which this person appears and leaves.
    from: f32,
    until: f32,
    walk: f32,
    far: f32,
    side: f32,
    phase: [f32; 6],
    sway: f32,
    blinks: Vec<f32>,
}

impl Approach {
    /// `people` (seeds) walk up, the first one first; `size` is (width, height) in px; `fps` frames a second.
    #[must_use]
    pub fn new(people: &[u64], seed: u64, size: [u32; 2], fps: f32, seconds: f32) -> Self {
        let rng = &mut Rng::new(seed, 0xa44);
        let (w, h) = (size[0] as f32, size[1] as f32);
        let n = people.len().max(1) as f32;
        let walkers = people
            .iter()
            .enumerate()
            .map(|(i, person)| {
                let rng = &mut Rng::new(mix(seed, *person), 0xa45);
                let x = w * ((i as f32 + 0.5) / n + rng.range(-0.06, 0.06) / n);
                let y = h * rng.range(0.4, 0.52);
                let px = (w.min(h) * rng.range(0.24, 0.36)).min(w / n * 0.55);
                let mut place = placement(rng, Person::from_seed(*person), Pose::default(), [x, y], px);
                place.hat = false;
                place.expression.blink = 0.0;
                let mut blinks = vec![rng.range(0.3, 2.5)];
                while blinks.last().is_some_and(|t| *t < seconds) {
                    blinks.push(blinks.last().unwrap_or(&0.0) + rng.range(1.2, 4.5));
                }
                Walker {
                    place,
                    from: rng.range(0.0, 0.06) * seconds + i as f32 * 0.3,
                    until: if rng.chance(0.4) { seconds * rng.range(0.93, 0.99) } else { f32::INFINITY },
                    walk: rng.range(0.15, 0.26) * seconds.min(5.0),
                    far: rng.range(0.16, 0.28),
                    side: rng.range(-0.25, 0.25) * w,
                    phase: [0; 6].map(|_| rng.range(0.0, std::f32::consts::TAU)),
                    sway: rng.range(0.5, 1.3),
                    blinks,
                }
            })
            .collect();
        let mut background = Background::any(rng.bits());
        background.clutter = background.clutter.min(8);
        let mut camera = Camera::everyday(rng.bits(), 0.45);
        camera.motion_blur = (0.0, 0.0);
        camera.jpeg_quality = None;
        let scene = Scene {
            width: size[0],
            height: size[1],
            faces: Vec::new(),
            occluders: Vec::new(),
            light: Light::indoor(rng.bits(), 0.5),
            background,
            camera,
        };
        let room = background.paint(size[0] as usize, size[1] as usize);
        Self { scene, room, walkers, fps, seconds, seed }
    }

    /// Length of the recording in frames.
    #[must_use]
    pub fn frames(&self) -> usize {
        (self.fps * self.seconds).round().max(0.0) as usize
    }

    /// Frame `i`, taken `i / fps` seconds after the start.
    #[must_use]
    pub fn frame(&self, i: usize) -> Picture {
        let t = i as f32 / self.fps;
        let mut scene = self.scene.clone();
        scene.camera.seed = mix(self.seed, i as u64);
        let mut speed = 0.0_f32;
        for w in self.walkers.iter().filter(|w| (w.from..w.until).contains(&t)) {
            let place = w.at(t);
            let before = w.at(t - 0.02);
            let dx = place.centre_px[0] - before.centre_px[0];
            let dy = place.centre_px[1] - before.centre_px[1];
            speed = speed.max(((dx * dx + dy * dy).sqrt() + place.face_width_px - before.face_width_px) / 0.02);
            scene.faces.push(place);
        }
        // An exposure of a fiftieth of a second, and a lens that searches its focus while things move.
        let drag = (speed * 0.02).min(8.0);
        if drag > 0.7 {
            scene.camera.motion_blur = (drag, 0.2);
            scene.camera.defocus += (drag * 0.12).min(0.8);
        }
        render_over(&scene, self.room.clone())
    }
}

impl Walker {
    fn at(&self, t: f32) -> Placement {
        let near = smooth(self.from, self.from + self.walk, t);
        // Walking has constant speed, so the size grows as the reciprocal of the distance.
        let size = 1.0 / (1.0 / self.far + (1.0 - 1.0 / self.far) * near);
        let walking = 1.0 - near;
        let wave = |k: usize, rate: f32| (t * rate + self.phase[k]).sin();
        let mut place = self.place.clone();
        let sway = self.sway;
        place.face_width_px = self.place.face_width_px * size * (1.0 + 0.015 * sway * wave(0, 0.9));
        place.distance_cm = 80.0 / size.max(0.2);
        let px = place.face_width_px;
        place.centre_px[0] += self.side * walking * (1.0 - size) + px * 0.05 * sway * wave(1, 1.1);
        place.centre_px[1] += px * (0.03 * sway * wave(2, 0.8) + 0.1 * walking * (t * 11.0).sin().abs());
        place.pose.yaw = sway * (7.0 * wave(3, 0.9) + 4.0 * wave(4, 2.1)) + 8.0 * walking * self.side.signum();
        place.pose.pitch = sway * 3.5 * wave(5, 0.7) - 8.0 * walking;
        place.pose.roll = sway * 2.5 * wave(0, 1.3);
        place.gaze.x = (0.35 * wave(4, 1.7) - place.pose.yaw / 60.0).clamp(-1.0, 1.0);
        place.gaze.y = -place.pose.pitch / 60.0;
        let talk = (wave(1, 0.6) - 0.6).max(0.0) * (0.5 + 0.5 * (t * 14.0).sin());
        place.expression.mouth_open = (self.place.expression.mouth_open * 0.3 + talk).min(0.8);
        place.expression.smile = (self.place.expression.smile + 0.2 * wave(2, 0.5)).clamp(-0.4, 1.0);
        place.expression.blink = self.blinks.iter().map(|b| 1.0 - ((t - b).abs() / 0.11).min(1.0)).fold(0.05, f32::max);
        place
    }
}
