//! What callers may rely on: the same bytes for the same seed, and a ground truth that lies on the face.

use lintel_faces::{Approach, Person, Picture, Truth, crowd, crowd_scene, photo, photo_scene, render};

fn inside(t: &Truth, p: &Picture) {
    let [x1, y1, x2, y2] = t.bbox;
    assert!(x1 < x2 && y1 < y2, "{t:?}");
    for [x, y] in t.landmarks {
        assert!(
            (0.0..p.width as f32).contains(&x) && (0.0..p.height as f32).contains(&y),
            "outside the picture: {t:?}"
        );
        assert!((x1..x2).contains(&x) && (y1..y2).contains(&y), "outside its box: {t:?}");
    }
}

#[test]
fn a_photo_is_a_pure_function_of_its_seeds() {
    assert_eq!(photo(7, 3, [160, 160]), photo(7, 3, [160, 160]));
    assert_ne!(photo(7, 3, [160, 160]).rgb, photo(7, 4, [160, 160]).rgb);
    assert_ne!(photo(7, 3, [160, 160]).rgb, photo(8, 3, [160, 160]).rgb);
}

#[test]
fn a_crowd_is_a_pure_function_of_its_seed() {
    assert_eq!(crowd(5, [320, 240], 4, 20.0), crowd(5, [320, 240], 4, 20.0));
}

#[test]
fn a_photo_shows_one_whole_face() {
    for person in 0..40 {
        let picture = photo(person, person % 5, [224, 224]);
        assert_eq!(picture.rgb.len(), 224 * 224 * 3);
        let [truth] = picture.truth.as_slice() else { panic!("one face, got {}", picture.truth.len()) };
        inside(truth, &picture);
        assert_eq!(truth.person, person);
        assert!(truth.visible > 0.8, "{truth:?}");
        assert!(truth.pose.yaw.abs() <= 25.0, "{truth:?}");
        assert!(truth.bbox[2] - truth.bbox[0] > 75.0, "{truth:?}");
    }
}

#[test]
fn landmarks_keep_their_order() {
    for seed in 0..60 {
        for t in crowd(seed, [320, 240], 4, 20.0).truth {
            let [left, right, nose, mouth_left, mouth_right] = t.landmarks;
            if t.pose.roll.abs() < 10.0 && t.pose.yaw.abs() < 30.0 {
                assert!(left[0] < right[0] && mouth_left[0] < mouth_right[0], "{t:?}");
                assert!(left[1] < nose[1] && nose[1] < mouth_left[1].max(mouth_right[1]), "{t:?}");
            }
        }
    }
}

#[test]
fn a_nose_points_where_the_yaw_says() {
    for (yaw, pitch) in [(30.0, 0.0), (-30.0, 0.0), (0.0, 15.0), (0.0, -15.0)] {
        let mut scene = photo_scene(3, 0, [224, 224]);
        scene.faces[0].pose = lintel_faces::Pose::default();
        let nose = |scene: &lintel_faces::Scene| -> [f32; 2] {
            let l = render(scene).truth[0].landmarks;
            [l[2][0] - 0.5 * (l[0][0] + l[1][0]), l[2][1] - 0.5 * (l[0][1] + l[1][1])]
        };
        let ahead = nose(&scene);
        scene.faces[0].pose = lintel_faces::Pose { yaw, pitch, roll: 0.0 };
        let turned = nose(&scene);
        assert!(yaw * (turned[0] - ahead[0]) >= 0.0, "yaw {yaw}: {ahead:?} → {turned:?}");
        assert!(pitch * (turned[1] - ahead[1]) <= 0.0, "pitch {pitch}: {ahead:?} → {turned:?}");
    }
}

#[test]
fn crowds_keep_their_limits() {
    let mut empty = 0;
    for seed in 0..80 {
        let scene = crowd_scene(seed, [320, 240], 3, 24.0);
        assert!(scene.faces.len() <= 3);
        empty += usize::from(scene.faces.is_empty());
        for f in &scene.faces {
            assert!(f.face_width_px >= 24.0);
            assert!(f.pose.yaw.abs() <= 45.0 && f.pose.pitch.abs() <= 25.0 && f.pose.roll.abs() <= 20.0);
        }
    }
    assert!((1..40).contains(&empty), "{empty} of 80 frames are empty");
    assert!(crowd(1, [160, 120], 0, 20.0).truth.is_empty());
}

#[test]
fn a_hidden_face_is_marked() {
    let mut scene = photo_scene(2, 0, [224, 224]);
    let [x, y] = scene.faces[0].centre_px;
    let colour = [90, 90, 90];
    scene.occluders.push(lintel_faces::Occluder { box_px: [x - 90.0, y, x + 90.0, y + 120.0], turn: 0.0, colour });
    let visible = render(&scene).truth[0].visible;
    assert!((0.2..0.8).contains(&visible), "{visible}");
    scene.faces[0].centre_px = [-500.0, y];
    assert!(render(&scene).truth[0].visible == 0.0);
}

#[test]
fn someone_walks_up_and_stays() {
    let door = Approach::new(&[11], 4, [320, 240], 15.0, 5.0);
    assert_eq!(door.frames(), 75);
    assert_eq!(door.frame(40), door.frame(40));
    let widths: Vec<f32> = (0..75).filter_map(|i| door.frame(i).truth.first().map(|t| t.bbox[2] - t.bbox[0])).collect();
    let (first, middle) = (widths[0], widths[widths.len() / 2]);
    assert!(middle > 2.0 * first, "{first} → {middle}");
    for pair in widths[30..60].windows(2) {
        assert!((pair[1] / pair[0] - 1.0).abs() < 0.08, "jumps: {pair:?}");
    }
}

#[test]
fn people_differ() {
    let people: Vec<_> = (0..300).map(Person::from_seed).collect();
    for (i, a) in people.iter().enumerate() {
        for b in &people[..i] {
            let (s, t) = (&a.shape, &b.shape);
            assert!((s.width - t.width).abs() + (s.eye_x - t.eye_x).abs() + (s.nose_y - t.nose_y).abs() > 1e-4);
        }
    }
    let words: std::collections::BTreeSet<_> = people.iter().map(|p| format!("{:?}", p.traits())).collect();
    assert!(words.len() > 280, "{} descriptions of 300 people", words.len());
}
