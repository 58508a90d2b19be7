//! A scene → a picture with its ground truth.

use glam::Vec3A as Vec3;

use crate::canvas::Canvas;
use crate::figure::{self, Owners};
use crate::picture::Picture;
use crate::rng::linear;
use crate::scene::{Occluder, Scene};

/// Renders `scene`. The same scene gives the same bytes on one machine.
#[must_use]
pub fn render(scene: &Scene) -> Picture {
    let background = scene.background.paint(scene.width as usize, scene.height as usize);
    render_over(scene, background)
}

/// Renders `scene` over a background that was painted before.
pub(crate) fn render_over(scene: &Scene, mut canvas: Canvas) -> Picture {
    let (width, height) = (canvas.width, canvas.height);
    let mut owners = Owners { of: vec![0; width * height] };
    // A larger face is nearer, and hides the others.
    let mut order: Vec<usize> = (0..scene.faces.len()).collect();
    order.sort_by(|a, b| scene.faces[*a].face_width_px.total_cmp(&scene.faces[*b].face_width_px));
    let mut truth: Vec<_> = order
        .into_iter()
        .map(|i| (i, figure::draw(&mut canvas, &mut owners, i, &scene.faces[i], &scene.light)))
        .collect();
    truth.sort_by_key(|t| t.0);
    let mut truth: Vec<_> = truth.into_iter().map(|t| t.1).collect();
    for o in &scene.occluders {
        occlude(&mut canvas, &mut owners, o, Vec3::from(scene.light.ceiling));
    }
    figure::settle(&mut truth, &owners, width, height);
    let mut picture = scene.camera.develop(canvas);
    picture.truth = truth;
    picture
}

fn occlude(canvas: &mut Canvas, owners: &mut Owners, o: &Occluder, ambient: Vec3) {
    let [x1, y1, x2, y2] = o.box_px;
    let (centre, half) = ([0.5 * (x1 + x2), 0.5 * (y1 + y2)], [0.5 * (x2 - x1), 0.5 * (y2 - y1)]);
    let colour = linear(o.colour) * (ambient + 0.3);
    let turn = o.turn.to_radians();
    canvas.slab(centre, half, turn, |x, y| {
        let (u, v) = ((x - x1) / (x2 - x1), (y - y1) / (y2 - y1));
        colour * (1.1 - 0.3 * u - 0.2 * v).max(0.2)
    });
    let (s, c) = turn.sin_cos();
    for y in 0..canvas.height {
        for x in 0..canvas.width {
            let (dx, dy) = (x as f32 + 0.5 - centre[0], y as f32 + 0.5 - centre[1]);
            if (dx * c + dy * s).abs() < half[0] && (dy * c - dx * s).abs() < half[1] {
                owners.of[y * canvas.width + x] = 0;
            }
        }
    }
}
