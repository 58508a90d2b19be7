//! An icon's name → its shape, as one-bit pixels in a square of any size.

use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::{
    Arc, Circle, Line, PrimitiveStyle, PrimitiveStyleBuilder, Rectangle, RoundedRectangle, Triangle,
};

use BinaryColor::{Off, On};

/// What a screen shows beside its words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Icon {
    /// Three dots: wait.
    Wait,
    /// A face in a viewfinder: come before the camera.
    Viewfinder,
    /// A tick: go in.
    Tick,
    /// A cross: no.
    Cross,
    /// A face, small, and an arrow towards it.
    Closer,
    /// An open eye: the door is looking.
    Eye,
    /// A door leaf that is ajar.
    OpenDoor,
    /// A padlock: locked.
    Padlock,
    /// A triangle with an exclamation mark.
    Warning,
    /// An arrow into a tray: something new comes in.
    Arrive,
}

/// Positions in the icon's own square of 48 × 48, scaled to the pixels asked for.
struct Pen<'a, D> {
    target: &'a mut D,
    size: i32,
}

/// Draws the icon into the square of `size` pixels at the origin of `target`; what is not ink stays as it is.
///
/// # Errors
/// What the target says.
pub fn draw<D: DrawTarget<Color = BinaryColor>>(icon: Icon, size: u32, target: &mut D) -> Result<(), D::Error> {
    let mut pen = Pen { target, size: i32::try_from(size).unwrap_or(i32::MAX / 64) };
    match icon {
        Icon::Wait => {
            for x in [10, 24, 38] {
                pen.disc(x, 24, 5, On)?;
            }
            Ok(())
        }
        Icon::Viewfinder => {
            for (x, y, dx, dy) in [(4, 4, 1, 1), (44, 4, -1, 1), (4, 44, 1, -1), (44, 44, -1, -1)] {
                pen.path(&[(x, y + 10 * dy), (x, y), (x + 10 * dx, y)], 4)?;
            }
            pen.face(24, 24, 12)
        }
        Icon::Tick => {
            pen.ring(24, 24, 21, 4)?;
            pen.path(&[(14, 25), (21, 32), (35, 17)], 5)
        }
        Icon::Cross => {
            pen.ring(24, 24, 21, 4)?;
            pen.path(&[(16, 16), (32, 32)], 5)?;
            pen.path(&[(32, 16), (16, 32)], 5)
        }
        Icon::Closer => {
            pen.face(24, 13, 10)?;
            pen.path(&[(24, 46), (24, 31)], 5)?;
            pen.path(&[(15, 38), (24, 29), (33, 38)], 5)
        }
        Icon::Eye => {
            pen.lid(-13)?;
            pen.lid(13)?;
            pen.disc(24, 24, 8, On)?;
            pen.disc(26, 22, 2, Off)
        }
        Icon::OpenDoor => {
            pen.path(&[(8, 44), (8, 4), (32, 4), (32, 9)], 4)?;
            pen.path(&[(32, 39), (32, 44), (43, 44)], 4)?;
            pen.path(&[(3, 44), (8, 44)], 4)?;
            // The leaf, swung towards the viewer.
            pen.triangle((13, 4), (31, 10), (31, 46))?;
            pen.triangle((13, 4), (13, 40), (31, 46))?;
            pen.disc(27, 28, 2, Off)
        }
        Icon::Padlock => {
            pen.arc(24, 18, 11, 4)?;
            pen.path(&[(13, 18), (13, 24)], 4)?;
            pen.path(&[(35, 18), (35, 24)], 4)?;
            pen.slab(7, 22, 34, 23, On)?;
            pen.disc(24, 31, 3, Off)?;
            pen.slab(23, 32, 2, 7, Off)
        }
        Icon::Warning => {
            pen.path(&[(24, 6), (44, 41), (4, 41), (24, 6)], 4)?;
            pen.path(&[(24, 18), (24, 28)], 4)?;
            pen.disc(24, 35, 2, On)
        }
        Icon::Arrive => {
            pen.path(&[(24, 4), (24, 28)], 5)?;
            pen.path(&[(14, 20), (24, 30), (34, 20)], 5)?;
            pen.path(&[(5, 32), (5, 43), (43, 43), (43, 32)], 4)
        }
    }
}

impl<D: DrawTarget<Color = BinaryColor>> Pen<'_, D> {
    fn px(&self, units: i32) -> i32 {
        (units * self.size + 24) / 48
    }

    fn width(&self, units: i32) -> u32 {
        u32::try_from(self.px(units)).unwrap_or(1).max(1)
    }

    fn point(&self, x: i32, y: i32) -> Point {
        Point::new(self.px(x), self.px(y))
    }

    fn disc(&mut self, x: i32, y: i32, radius: i32, ink: BinaryColor) -> Result<(), D::Error> {
        Circle::with_center(self.point(x, y), self.width(2 * radius) | 1)
            .into_styled(PrimitiveStyle::with_fill(ink))
            .draw(self.target)
    }

    fn ring(&mut self, x: i32, y: i32, radius: i32, stroke: i32) -> Result<(), D::Error> {
        Circle::with_center(self.point(x, y), self.width(2 * radius) | 1)
            .into_styled(PrimitiveStyle::with_stroke(On, self.width(stroke)))
            .draw(self.target)
    }

    /// One lid of an eye: half a sine from corner to corner, `rise` high in the middle.
    fn lid(&mut self, rise: i32) -> Result<(), D::Error> {
        let width = self.width(4);
        let (left, wide, middle) = (self.px(3), self.px(42).max(1), self.px(24));
        for x in 0..=wide {
            let along = f64::from(x) / f64::from(wide);
            let y = f64::from(self.px(rise.abs())) * (std::f64::consts::PI * along).sin();
            let at = Point::new(left + x, middle + rise.signum() * (y.round() as i32));
            Circle::with_center(at, width).into_styled(PrimitiveStyle::with_fill(On)).draw(self.target)?;
        }
        Ok(())
    }

    /// The upper half of a ring.
    fn arc(&mut self, x: i32, y: i32, radius: i32, stroke: i32) -> Result<(), D::Error> {
        Arc::with_center(self.point(x, y), self.width(2 * radius) | 1, 180.0.deg(), 180.0.deg())
            .into_styled(PrimitiveStyle::with_stroke(On, self.width(stroke)))
            .draw(self.target)
    }

    /// Thick lines with round ends and joints.
    fn path(&mut self, points: &[(i32, i32)], stroke: i32) -> Result<(), D::Error> {
        let width = self.width(stroke);
        for pair in points.windows(2) {
            let (from, to) = (self.point(pair[0].0, pair[0].1), self.point(pair[1].0, pair[1].1));
            Line::new(from, to).into_styled(PrimitiveStyle::with_stroke(On, width)).draw(self.target)?;
        }
        if width > 2 {
            for (x, y) in points {
                Circle::with_center(self.point(*x, *y), width)
                    .into_styled(PrimitiveStyle::with_fill(On))
                    .draw(self.target)?;
            }
        }
        Ok(())
    }

    fn triangle(&mut self, a: (i32, i32), b: (i32, i32), c: (i32, i32)) -> Result<(), D::Error> {
        let [a, b, c] = [a, b, c].map(|(x, y)| self.point(x, y));
        Triangle::new(a, b, c).into_styled(PrimitiveStyle::with_fill(On)).draw(self.target)
    }

    fn slab(&mut self, x: i32, y: i32, wide: i32, high: i32, ink: BinaryColor) -> Result<(), D::Error> {
        let area = Rectangle::new(self.point(x, y), Size::new(self.width(wide), self.width(high)));
        let corner = Size::new_equal(self.width(wide.min(high)) / 8);
        RoundedRectangle::with_equal_corners(area, corner)
            .into_styled(PrimitiveStyleBuilder::new().fill_color(ink).build())
            .draw(self.target)
    }

    /// A head of that radius: outline, two eyes, a mouth.
    fn face(&mut self, x: i32, y: i32, radius: i32) -> Result<(), D::Error> {
        self.ring(x, y, radius, 3)?;
        let eye = radius * 2 / 5;
        self.disc(x - eye, y - radius / 6, 1, On)?;
        self.disc(x + eye, y - radius / 6, 1, On)?;
        let mouth = self.width(radius + 1);
        Arc::with_center(self.point(x, y), mouth | 1, 30.0.deg(), 120.0.deg())
            .into_styled(PrimitiveStyle::with_stroke(On, self.width(2)))
            .draw(self.target)
    }
}
