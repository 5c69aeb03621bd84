//! Whether two systems differ: interleaved slices or repeated runs, paired, with intervals and multiplicity control.
