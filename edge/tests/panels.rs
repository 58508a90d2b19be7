//! What is sent to the panels, decoded by simulated controllers, against the golden pictures.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};

use embedded_graphics::pixelcolor::Rgb565;
use embedded_graphics::prelude::*;
use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{self, OutputPin};
use embedded_hal::i2c::{self, I2c};
use embedded_hal::spi::{self, Operation, SpiDevice};
use image::{DynamicImage, RgbImage};
use lintel_core::door::Fault;
use lintel_core::screen::{Screen, shown_name};
use lintel_edge::io::display::card::card;
use lintel_edge::io::display::draw::{self, Canvas};
use lintel_edge::io::display::form::{Channel, Form};
use lintel_edge::io::display::panel::{Panel, PanelDisplay};
use lintel_edge::io::display::ssd1306::Ssd1306Panel;
use lintel_edge::io::display::st7789::St7789Panel;
use lintel_edge::io::display::{Detached, Display};

fn screens() -> [(&'static str, Screen); 5] {
    [
        ("starting", Screen::Starting),
        ("looking-2-of-4", Screen::Looking { votes: 2, needed: 4 }),
        ("welcome-usual", Screen::Welcome { name: shown_name("Ada Lovelace") }),
        ("fault-relay", Screen::Fault(Fault::Relay)),
        ("ready", Screen::Ready),
    ]
}

fn golden(name: &str, size: &str) -> DynamicImage {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.{size}.png"));
    image::open(path).unwrap()
}

/// An SSD1306 as its data sheet has it: a memory of 8 pages of 128 columns, a window, horizontal addressing.
#[derive(Clone, Default)]
struct OneBit(Arc<Mutex<OneBitState>>);

#[derive(Default)]
struct OneBitState {
    memory: Vec<u8>,
    columns: [u8; 2],
    pages: [u8; 2],
    at: [u8; 2],
    horizontal: bool,
    on: bool,
    unplugged: bool,
}

#[derive(Debug)]
struct NoAnswer;

impl i2c::Error for NoAnswer {
    fn kind(&self) -> i2c::ErrorKind {
        i2c::ErrorKind::NoAcknowledge(i2c::NoAcknowledgeSource::Address)
    }
}

impl i2c::ErrorType for OneBit {
    type Error = NoAnswer;
}

impl OneBitState {
    fn commands(&mut self, mut bytes: &[u8]) {
        while let Some((command, rest)) = bytes.split_first() {
            let arguments = match command {
                0x20 | 0x81 | 0x8d | 0xa8 | 0xd3 | 0xd5 | 0xd9 | 0xda | 0xdb => 1,
                0x21 | 0x22 => 2,
                _ => 0,
            };
            let (given, rest) = rest.split_at(arguments);
            match command {
                0x20 => self.horizontal = given == [0],
                0x21 => (self.columns, self.at[0]) = ([given[0], given[1]], given[0]),
                0x22 => (self.pages, self.at[1]) = ([given[0], given[1]], given[0]),
                0xae | 0xaf => self.on = *command == 0xaf,
                _ => {}
            }
            bytes = rest;
        }
    }

    fn data(&mut self, bytes: &[u8]) {
        assert!(self.horizontal, "other addressing modes are not simulated");
        self.memory.resize(8 * 128, 0xaa);
        for byte in bytes {
            let [column, page] = self.at;
            self.memory[usize::from(page) * 128 + usize::from(column)] = *byte;
            self.at = if column < self.columns[1] {
                [column + 1, page]
            } else {
                [self.columns[0], if page < self.pages[1] { page + 1 } else { self.pages[0] }]
            };
        }
    }
}

impl I2c for OneBit {
    fn transaction(&mut self, address: u8, operations: &mut [i2c::Operation<'_>]) -> Result<(), NoAnswer> {
        let mut state = self.0.lock().unwrap();
        if state.unplugged || address != 0x3d {
            return Err(NoAnswer);
        }
        let mut bytes = Vec::new();
        for operation in operations {
            match operation {
                i2c::Operation::Write(part) => bytes.extend_from_slice(part),
                i2c::Operation::Read(_) => panic!("nothing is read"),
            }
        }
        match bytes.split_first() {
            Some((0x00, commands)) => state.commands(commands),
            Some((0x40, data)) => state.data(data),
            other => panic!("a control byte of {other:?}"),
        }
        Ok(())
    }
}

impl OneBit {
    fn picture(&self) -> DynamicImage {
        let state = self.0.lock().unwrap();
        assert!(state.on, "the panel is switched on");
        let lit = |x: u32, y: u32| state.memory[(y / 8 * 128 + x) as usize] >> (y % 8) & 1 == 1;
        DynamicImage::ImageLuma8(image::GrayImage::from_fn(128, 64, |x, y| [if lit(x, y) { 255 } else { 0 }].into()))
    }
}

#[test]
fn the_one_bit_panel_shows_the_golden_pictures() {
    let chip = OneBit::default();
    let mut panel = Ssd1306Panel::set_up(chip.clone(), 0x3d).unwrap();
    for (name, screen) in screens() {
        panel.draw(&card(&screen)).unwrap();
        assert_eq!(chip.picture(), golden(name, "128x64"), "{name}");
        // Memory that lost its content is whole again after the next screen.
        chip.0.lock().unwrap().memory.fill(0x55);
    }
    let error = Ssd1306Panel::set_up(chip, 0x3c).err().unwrap().to_string();
    assert!(error.contains("nothing answers at address 0x3c"), "{error}");
}

/// An ST7789 as its data sheet has it: a memory of 240 by 320, a window, pixels of 16 bits.
#[derive(Clone, Default)]
struct Colour(Arc<Mutex<ColourState>>);

#[derive(Default)]
struct ColourState {
    data: bool,
    command: u8,
    parameters: Vec<u8>,
    memory: Vec<[u8; 2]>,
    columns: [u16; 2],
    rows: [u16; 2],
    at: [u16; 2],
    half: Option<u8>,
    on: bool,
    awake: bool,
    inverted: bool,
    longest: usize,
}

impl ColourState {
    fn bytes(&mut self, bytes: &[u8]) {
        self.longest = self.longest.max(bytes.len());
        for byte in bytes {
            if !self.data {
                self.command(*byte);
            } else if self.command == 0x2c {
                match self.half.take() {
                    None => self.half = Some(*byte),
                    Some(high) => self.pixel([high, *byte]),
                }
            } else {
                self.parameters.push(*byte);
                self.window();
            }
        }
    }

    fn command(&mut self, command: u8) {
        self.command = command;
        self.parameters.clear();
        match command {
            0x11 => self.awake = true,
            0x29 => self.on = true,
            0x21 => self.inverted = true,
            0x2c => (self.at, self.half) = ([self.columns[0], self.rows[0]], None),
            _ => {}
        }
    }

    fn window(&mut self) {
        let [a, b, c, d] = self.parameters[..] else {
            if self.command == 0x3a {
                assert_eq!(self.parameters[0] & 7, 5, "16 bits a pixel");
            }
            return;
        };
        let window = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
        match self.command {
            0x2a => self.columns = window,
            0x2b => self.rows = window,
            _ => {}
        }
    }

    fn pixel(&mut self, pixel: [u8; 2]) {
        self.memory.resize(240 * 320, [0xaa; 2]);
        let [x, y] = self.at;
        self.memory[usize::from(y) * 240 + usize::from(x)] = pixel;
        self.at = if x < self.columns[1] {
            [x + 1, y]
        } else {
            [self.columns[0], if y < self.rows[1] { y + 1 } else { self.rows[0] }]
        };
    }
}

impl spi::ErrorType for Colour {
    type Error = Infallible;
}

impl SpiDevice for Colour {
    fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
        for operation in operations {
            match operation {
                Operation::Write(bytes) => self.0.lock().unwrap().bytes(bytes),
                other => panic!("{other:?}"),
            }
        }
        Ok(())
    }
}

impl digital::ErrorType for Colour {
    type Error = Infallible;
}

impl OutputPin for Colour {
    fn set_low(&mut self) -> Result<(), Infallible> {
        self.0.lock().unwrap().data = false;
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        self.0.lock().unwrap().data = true;
        Ok(())
    }
}

/// Time that nobody waits for.
struct NoTime;

impl DelayNs for NoTime {
    fn delay_ns(&mut self, _: u32) {}
}

/// Five and six bits to eight, so that full stays full.
fn wide(pixel: u16) -> image::Rgb<u8> {
    let [r, g, b] = [pixel >> 11, pixel >> 5 & 63, pixel & 31];
    image::Rgb([r << 3 | r >> 2, g << 2 | g >> 4, b << 3 | b >> 2].map(|value| value as u8))
}

#[test]
fn the_colour_panel_shows_the_golden_pictures() {
    let chip = Colour::default();
    let mut panel = St7789Panel::set_up(chip.clone(), chip.clone(), &mut NoTime).unwrap();
    for (name, screen) in screens() {
        panel.draw(&card(&screen)).unwrap();
        let mut state = chip.0.lock().unwrap();
        assert!(state.on && state.awake && state.inverted);
        assert!(state.longest <= 4096, "{} bytes in one go are too many for spidev", state.longest);
        let picture =
            RgbImage::from_fn(240, 240, |x, y| wide(u16::from_be_bytes(state.memory[(y * 240 + x) as usize])));
        assert_eq!(DynamicImage::ImageRgb8(picture), golden(name, "240x240"), "{name}");
        state.memory.fill([0x55; 2]);
    }
}

const RGB565: [Channel; 3] =
    [Channel { offset: 11, bits: 5 }, Channel { offset: 5, bits: 6 }, Channel { offset: 0, bits: 5 }];
const XRGB: [Channel; 3] =
    [Channel { offset: 16, bits: 8 }, Channel { offset: 8, bits: 8 }, Channel { offset: 0, bits: 8 }];
const XBGR: [Channel; 3] =
    [Channel { offset: 0, bits: 8 }, Channel { offset: 8, bits: 8 }, Channel { offset: 16, bits: 8 }];

#[test]
fn the_framebuffer_shows_the_golden_picture_scaled_and_centred() {
    let check = |form: Form, scale: u32, read: &dyn Fn(&[u8]) -> image::Rgb<u8>| {
        form.check().unwrap();
        for (name, screen) in screens() {
            let mut canvas = Canvas::new(draw::COLOUR, Rgb565::BLACK);
            let Ok(()) = draw::colour(&card(&screen), &mut canvas);
            let bytes = form.render(&canvas);
            assert_eq!(bytes.len(), (form.stride * form.height) as usize);
            let golden = golden(name, "240x240").to_rgb8();
            let (left, top) = ((form.width - 240 * scale) / 2, (form.height - 240 * scale) / 2);
            for y in 0..form.height {
                for x in 0..form.width {
                    let at = (y * form.stride + x * form.depth / 8) as usize;
                    let inside = |v: u32, from: u32| v.checked_sub(from).map(|v| v / scale).filter(|v| *v < 240);
                    let wanted = match inside(x, left).zip(inside(y, top)) {
                        Some((x, y)) => golden.get_pixel(x, y),
                        None => golden.get_pixel(239, 239),
                    };
                    assert_eq!(read(&bytes[at..]), *wanted, "{name} {form:?} at {x}, {y}");
                }
            }
        }
    };
    let form = |width, height, stride, depth, channels| Form { width, height, stride, depth, channels };
    check(form(640, 480, 2560, 32, XRGB), 2, &|b| image::Rgb([b[2], b[1], b[0]]));
    check(form(240, 240, 736, 24, XBGR), 1, &|b| image::Rgb([b[0], b[1], b[2]]));
    check(form(320, 240, 704, 16, RGB565), 1, &|b| wide(u16::from_le_bytes([b[0], b[1]])));
}

#[test]
fn a_screen_that_is_too_small_shows_what_fits_and_nonsense_is_refused() {
    let small = Form { width: 128, height: 64, stride: 512, depth: 32, channels: XRGB };
    small.check().unwrap();
    assert_eq!(small.render(&Canvas::new(draw::COLOUR, Rgb565::WHITE)), [[255, 255, 255, 0]; 128 * 64].concat());
    let check = |form: Form, part: &str| {
        let error = form.check().unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    check(Form { depth: 8, ..small }, "8 bits a pixel");
    check(Form { width: 0, ..small }, "0x64 pixels");
    check(Form { stride: 511, ..small }, "rows of 511 bytes");
    check(Form { height: u32::MAX, ..small }, "pixels");
    let channels = [Channel { offset: 30, bits: 8 }; 3];
    check(Form { channels, ..small }, "colours at");
    let channels = [Channel { offset: u32::MAX, bits: 8 }; 3];
    check(Form { channels, ..small }, "colours at");
}

/// A panel that is plugged in later is found, and shows what is to be shown without being told again.
#[test]
fn a_panel_that_is_missing_is_tried_again() {
    let chip = OneBit::default();
    chip.0.lock().unwrap().unplugged = true;
    let bus = chip.clone();
    let open = move || Ssd1306Panel::set_up(bus.clone(), 0x3d).map(|panel| Box::new(panel) as Box<dyn Panel>);
    let mut display = PanelDisplay::new("a panel".to_owned(), Box::new(open));
    assert!(display.show(&Screen::Ready).is_err());
    let mut display = Detached::spawn(Box::new(display)).unwrap();
    let told = |display: &mut Detached, wanted: bool| {
        (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            display.show(&Screen::Ready).is_err() == wanted
        })
    };
    assert!(told(&mut display, true), "that it is missing is told");
    chip.0.lock().unwrap().unplugged = false;
    assert!(told(&mut display, false), "that it is there again is told");
    drop(display);
    assert_eq!(chip.picture(), golden("ready", "128x64"));
}
