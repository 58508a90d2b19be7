//! Folders of photos → people with aligned crops, and pictures for the calibration of models.

pub mod calibration_set;
pub mod contact_sheet;
pub mod ingest;
pub mod people;
pub mod photos;
