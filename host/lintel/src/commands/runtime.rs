//! Old way into `use_cases::runtime`.
pub use crate::use_cases::runtime::find;
