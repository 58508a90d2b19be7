//! The way of a frame, from pixels to a relay command.
//!
//! ```text
//! frame ─▶ detect ─▶ track ─▶ align ─▶ quality ─▶ embed ─▶ aggregate ─▶ table ─▶ decision ─▶ controller
//!   └▶ camera_watch ─▶ faults ─────────────────────────────────────────────────────────────▶ │
//!                                                                       door, lockout, screen ◀┘
//! ```
//!
//! This crate needs no standard library, does no I/O, reads no clock and logs nothing: time comes in as an argument,
//! commands go out as return values.
#![cfg_attr(not(any(test, feature = "std")), no_std)]

extern crate alloc;

pub mod aggregate;
pub mod align;
pub mod camera_watch;
pub mod controller;
pub mod decision;
pub mod detect;
pub mod door;
pub mod embed;
pub mod frame;
pub mod geometry;
pub mod lockout;
pub mod quality;
pub mod screen;
pub mod table;
pub mod time;
pub mod track;
