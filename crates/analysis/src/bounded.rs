//! A run over time, in a bounded number of points.
//!
//! Invariant: at most as many points as were asked for; when one more comes, neighbours are merged pairwise, so that a
//! run of any length is told with equal detail over its length.

/// A point that can take in the one that follows it.
pub trait Joined {
    /// This point and the next one as one.
    fn joined(&self, next: &Self) -> Self;

    /// Whether the two may be one: phases are not mixed, a step of the load must stay a step.
    fn alike(&self, next: &Self) -> bool;
}

/// See the module text.
#[derive(Clone, Debug)]
pub struct Bounded<P> {
    points: Vec<P>,
    most: usize,
    /// Entries that make one point.
    per_point: u64,
    /// Entries in the last point.
    in_last: u64,
}

impl<P> Bounded<P> {
    /// An empty one that will keep at most `most` points (at least 2).
    pub fn new(most: usize) -> Bounded<P> {
        Bounded { points: Vec::new(), most: most.max(2), per_point: 1, in_last: 0 }
    }

    /// The points in order.
    pub fn points(&self) -> &[P] {
        &self.points
    }

    /// The last one.
    pub fn last(&self) -> Option<&P> {
        self.points.last()
    }
}

impl<P: Joined> Bounded<P> {
    /// Takes in the next one.
    pub(crate) fn push(&mut self, point: P) {
        match self.points.last_mut() {
            Some(last) if self.in_last < self.per_point && last.alike(&point) => {
                *last = last.joined(&point);
                self.in_last += 1;
            }
            _ => {
                self.points.push(point);
                self.in_last = 1;
            }
        }
        if self.points.len() > self.most {
            self.halve();
        }
    }

    fn halve(&mut self) {
        let mut halved: Vec<P> = Vec::with_capacity(self.most);
        let mut points = std::mem::take(&mut self.points).into_iter();
        while let Some(first) = points.next() {
            halved.push(match points.next() {
                Some(second) => first.joined(&second),
                None => first,
            });
        }
        self.points = halved;
        self.per_point = self.per_point.saturating_mul(2);
    }
}
