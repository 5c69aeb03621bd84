//! Runs hostile programs.
