//! Leaks, trends and change points in series of readings or of runs.
