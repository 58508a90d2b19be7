//! Folders of photos → people with aligned crops, and the pictures that models are calibrated with.

pub mod calibration_set;
pub mod contact_sheet;
pub mod ingest;
pub mod people;
pub mod photos;
