//! Rate limiters from outside: explicit models, the likelihood of what was seen under each, the next experiment to make.
