//! Where warm-up ends, and whether there is a steady state at all.
