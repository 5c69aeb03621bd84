//! Whether a figure keeps its limit: pass, fail or inconclusive, and how much more time would settle it.
