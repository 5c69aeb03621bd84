//! The universal scalability law (Gunther 2007), fitted with profile-likelihood intervals.
