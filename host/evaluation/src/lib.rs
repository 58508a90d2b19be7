//! Recordings and faces → figures → pages.

pub mod audit;
pub mod evaluate;
pub mod integers_report;
pub mod report;
pub mod visit_sheet;
pub mod visits;
