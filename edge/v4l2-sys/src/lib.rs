//! `linux/videodev2.h` as crate `v4l` needs it: structures of the kernel's interface, in the names that bindgen gives
//! them.
//!
//! The published crate of this name runs bindgen over the machine's headers, which needs libclang on every machine that
//! builds the daemon, and the target's headers on every one that cross-compiles it. The interface never changes (the
//! kernel promises that), so it is written down once. Structures that `v4l` only takes the size of, for the number of
//! an ioctl that Lintel never makes, are that many bytes. The tests hold every size and offset against what a C
//! compiler says of the header on 64-bit Linux, x86-64 and aarch64 alike.

#![allow(non_camel_case_types, non_upper_case_globals, non_snake_case, missing_docs, reason = "the kernel's own names")]
#![cfg(target_pointer_width = "64")]

use std::ffi::{c_char, c_long, c_ulong, c_void};

pub type time_t = c_long;
pub type v4l2_std_id = u64;

pub const v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_DISCRETE: u32 = 1;
pub const v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_CONTINUOUS: u32 = 2;
pub const v4l2_frmsizetypes_V4L2_FRMSIZE_TYPE_STEPWISE: u32 = 3;
pub const v4l2_frmivaltypes_V4L2_FRMIVAL_TYPE_DISCRETE: u32 = 1;
pub const v4l2_frmivaltypes_V4L2_FRMIVAL_TYPE_CONTINUOUS: u32 = 2;
pub const v4l2_frmivaltypes_V4L2_FRMIVAL_TYPE_STEPWISE: u32 = 3;
pub const V4L2_CTRL_FLAG_NEXT_CTRL: u32 = 0x8000_0000;
pub const V4L2_CTRL_FLAG_NEXT_COMPOUND: u32 = 0x4000_0000;

/// Plain structures of the kernel's, copied bit by bit.
macro_rules! structures {
    ($($name:ident { $($(#[$meta:meta])* $field:ident: $type:ty),* $(,)? })*) => {
        $(
            #[repr(C)]
            #[derive(Clone, Copy)]
            pub struct $name { $($(#[$meta])* pub $field: $type),* }
        )*
    };
}

/// Unions of the kernel's.
macro_rules! unions {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {
        $(
            $(#[$meta])*
            #[repr(C)]
            #[derive(Clone, Copy)]
            pub union $name { $(pub $field: $type),* }
        )*
    };
}

/// Structures of which only the size matters, in bytes.
macro_rules! opaque {
    ($($name:ident: $word:ty, $bytes:literal;)*) => {
        $(
            #[repr(C)]
            #[derive(Clone, Copy)]
            pub struct $name([$word; $bytes / size_of::<$word>()]);
        )*
    };
}

structures! {
    timeval { tv_sec: time_t, tv_usec: c_long }
    v4l2_timecode { type_: u32, flags: u32, frames: u8, seconds: u8, minutes: u8, hours: u8, userbits: [u8; 4] }
    v4l2_fract { numerator: u32, denominator: u32 }
    v4l2_capability {
        driver: [u8; 16],
        card: [u8; 32],
        bus_info: [u8; 32],
        version: u32,
        capabilities: u32,
        device_caps: u32,
        reserved: [u32; 3],
    }
    v4l2_fmtdesc {
        index: u32,
        type_: u32,
        flags: u32,
        description: [u8; 32],
        pixelformat: u32,
        mbus_code: u32,
        reserved: [u32; 3],
    }
    v4l2_pix_format {
        width: u32,
        height: u32,
        pixelformat: u32,
        field: u32,
        bytesperline: u32,
        sizeimage: u32,
        colorspace: u32,
        priv_: u32,
        flags: u32,
        /// In C a union of `ycbcr_enc` and `hsv_enc`, both of this type.
        ycbcr_enc: u32,
        quantization: u32,
        xfer_func: u32,
    }
    v4l2_format { type_: u32, fmt: v4l2_format__bindgen_ty_1 }
    v4l2_requestbuffers { count: u32, type_: u32, memory: u32, capabilities: u32, flags: u8, reserved: [u8; 3] }
    v4l2_buffer {
        index: u32,
        type_: u32,
        bytesused: u32,
        flags: u32,
        field: u32,
        timestamp: timeval,
        timecode: v4l2_timecode,
        sequence: u32,
        memory: u32,
        m: v4l2_buffer__bindgen_ty_1,
        length: u32,
        reserved2: u32,
        /// In C a union of `request_fd` and a reserved word.
        request_fd: i32,
    }
    v4l2_captureparm {
        capability: u32,
        capturemode: u32,
        timeperframe: v4l2_fract,
        extendedmode: u32,
        readbuffers: u32,
        reserved: [u32; 4],
    }
    v4l2_outputparm {
        capability: u32,
        outputmode: u32,
        timeperframe: v4l2_fract,
        extendedmode: u32,
        writebuffers: u32,
        reserved: [u32; 4],
    }
    v4l2_streamparm { type_: u32, parm: v4l2_streamparm__bindgen_ty_1 }
    v4l2_frmsize_discrete { width: u32, height: u32 }
    v4l2_frmsize_stepwise {
        min_width: u32,
        max_width: u32,
        step_width: u32,
        min_height: u32,
        max_height: u32,
        step_height: u32,
    }
    v4l2_frmsizeenum {
        index: u32,
        pixel_format: u32,
        type_: u32,
        __bindgen_anon_1: v4l2_frmsizeenum__bindgen_ty_1,
        reserved: [u32; 2],
    }
    v4l2_frmival_stepwise { min: v4l2_fract, max: v4l2_fract, step: v4l2_fract }
    v4l2_frmivalenum {
        index: u32,
        pixel_format: u32,
        width: u32,
        height: u32,
        type_: u32,
        __bindgen_anon_1: v4l2_frmivalenum__bindgen_ty_1,
        reserved: [u32; 2],
    }
    v4l2_control { id: u32, value: i32 }
    v4l2_query_ext_ctrl {
        id: u32,
        type_: u32,
        name: [c_char; 32],
        minimum: i64,
        maximum: i64,
        step: u64,
        default_value: i64,
        flags: u32,
        elem_size: u32,
        elems: u32,
        nr_of_dims: u32,
        dims: [u32; 4],
        reserved: [u32; 32],
    }
}

/// Packed in C too.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub struct v4l2_ext_control {
    pub id: u32,
    pub size: u32,
    pub reserved2: [u32; 1],
    pub __bindgen_anon_1: v4l2_ext_control__bindgen_ty_1,
}

/// Packed in C too.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub struct v4l2_querymenu {
    pub id: u32,
    pub index: u32,
    pub __bindgen_anon_1: v4l2_querymenu__bindgen_ty_1,
    pub reserved: u32,
}

unions! {
    /// The largest member is 200 bytes, and `v4l2_window` makes it hold pointers.
    v4l2_format__bindgen_ty_1 { pix: v4l2_pix_format, raw_data: [u8; 200], window: *mut c_void }
    v4l2_buffer__bindgen_ty_1 { offset: u32, userptr: c_ulong, planes: *mut c_void, fd: i32 }
    v4l2_streamparm__bindgen_ty_1 { capture: v4l2_captureparm, output: v4l2_outputparm, raw_data: [u8; 200] }
    v4l2_frmsizeenum__bindgen_ty_1 { discrete: v4l2_frmsize_discrete, stepwise: v4l2_frmsize_stepwise }
    v4l2_frmivalenum__bindgen_ty_1 { discrete: v4l2_fract, stepwise: v4l2_frmival_stepwise }
    v4l2_ext_control__bindgen_ty_1 {
        value: i32,
        value64: i64,
        string: *mut c_char,
        p_u8: *mut u8,
        p_u16: *mut u16,
        p_u32: *mut u32,
        ptr: *mut c_void,
    }
    v4l2_querymenu__bindgen_ty_1 { name: [u8; 32], value: i64 }
}

opaque! {
    v4l2_framebuffer: u64, 48;
    v4l2_exportbuffer: u32, 64;
    v4l2_standard: u64, 72;
    v4l2_input: u64, 80;
    v4l2_tuner: u32, 84;
    v4l2_audio: u32, 52;
    v4l2_queryctrl: u32, 68;
    v4l2_edid: u64, 40;
    v4l2_output: u64, 72;
    v4l2_audioout: u32, 52;
    v4l2_modulator: u32, 68;
    v4l2_frequency: u32, 44;
    v4l2_cropcap: u32, 44;
    v4l2_crop: u32, 20;
    v4l2_jpegcompression: u32, 140;
    v4l2_sliced_vbi_cap: u32, 116;
    v4l2_enc_idx: u64, 2072;
    v4l2_encoder_cmd: u32, 40;
    v4l2_ext_controls: u64, 32;
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    /// `sizeof` and `_Alignof` of the header's own structures.
    #[test]
    fn sizes_are_those_of_the_header() {
        macro_rules! check {
            ($($name:ident: $size:literal, $align:literal;)*) => {
                $(assert_eq!((size_of::<$name>(), align_of::<$name>()), ($size, $align), stringify!($name));)*
            };
        }
        check! {
            v4l2_capability: 104, 4;
            v4l2_fmtdesc: 64, 4;
            v4l2_format: 208, 8;
            v4l2_pix_format: 48, 4;
            v4l2_requestbuffers: 20, 4;
            v4l2_buffer: 88, 8;
            v4l2_timecode: 16, 4;
            v4l2_framebuffer: 48, 8;
            v4l2_exportbuffer: 64, 4;
            v4l2_streamparm: 204, 4;
            v4l2_captureparm: 40, 4;
            v4l2_outputparm: 40, 4;
            v4l2_standard: 72, 8;
            v4l2_input: 80, 8;
            v4l2_control: 8, 4;
            v4l2_tuner: 84, 4;
            v4l2_audio: 52, 4;
            v4l2_queryctrl: 68, 4;
            v4l2_querymenu: 44, 1;
            v4l2_edid: 40, 8;
            v4l2_output: 72, 8;
            v4l2_audioout: 52, 4;
            v4l2_modulator: 68, 4;
            v4l2_frequency: 44, 4;
            v4l2_cropcap: 44, 4;
            v4l2_crop: 20, 4;
            v4l2_jpegcompression: 140, 4;
            v4l2_sliced_vbi_cap: 116, 4;
            v4l2_enc_idx: 2072, 8;
            v4l2_encoder_cmd: 40, 4;
            v4l2_query_ext_ctrl: 232, 8;
            v4l2_ext_control: 20, 1;
            v4l2_ext_controls: 32, 8;
            v4l2_frmsizeenum: 44, 4;
            v4l2_frmivalenum: 52, 4;
        }
    }

    /// `offsetof` of the header's own structures.
    #[test]
    fn fields_are_where_the_header_has_them() {
        let check = |got: usize, wanted: usize| assert_eq!(got, wanted);
        check(offset_of!(v4l2_format, fmt), 8);
        check(offset_of!(v4l2_buffer, timestamp), 24);
        check(offset_of!(v4l2_buffer, timecode), 40);
        check(offset_of!(v4l2_buffer, sequence), 56);
        check(offset_of!(v4l2_buffer, m), 64);
        check(offset_of!(v4l2_buffer, length), 72);
        check(offset_of!(v4l2_ext_control, __bindgen_anon_1), 12);
        check(offset_of!(v4l2_query_ext_ctrl, minimum), 40);
        check(offset_of!(v4l2_query_ext_ctrl, flags), 72);
        check(offset_of!(v4l2_query_ext_ctrl, dims), 88);
        check(offset_of!(v4l2_query_ext_ctrl, reserved), 104);
        check(offset_of!(v4l2_pix_format, xfer_func), 44);
        check(offset_of!(v4l2_streamparm, parm), 4);
        check(offset_of!(v4l2_frmivalenum, __bindgen_anon_1), 20);
        check(offset_of!(v4l2_frmsizeenum, __bindgen_anon_1), 12);
    }
}
