//! One file for each command.

pub mod bench;
pub mod capacity;
pub mod compare;
pub mod demo;
pub mod doctor;
pub mod ground;
pub mod limits;
pub mod plan;
pub mod report;
pub mod run;
pub mod runs;
mod tell;
