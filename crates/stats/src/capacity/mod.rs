//! The highest load at which a predicate holds, by an adaptive search with noisy trials.
