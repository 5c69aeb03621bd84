//! What is asked of a search: the scale of the load, the predicates, the time.

use crucible_core::Ns;

/// What a load is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Arrivals a second: any positive number.
    Rate,
    /// Whole numbers: virtual users, held connections. The answer is exact where the system is.
    Users,
}

/// What a predicate bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// At most this share (0 to 1) of the operations may be bad. `p99 <= 100 ms` is `Share(0.01)` of operations slower
    /// than 100 ms or without an answer; `errors <= 1 %` is `Share(0.01)` of failed ones.
    Share(f64),
    /// The mean of a reading (CPU share, mean response time in seconds) may be at most this.
    Level(f64),
}

/// What a predicate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Capacity is the highest load at which all of these hold.
    Target,
    /// The breaking point is the lowest load at which one of these does not hold.
    Breaking,
}

/// One condition on a system under load.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate {
    /// As reports show it: `p99 <= 100 ms`.
    pub name: String,
    /// What it bounds.
    pub limit: Limit,
    /// What it is for.
    pub role: Role,
}

impl Predicate {
    /// A target.
    pub fn target(name: impl Into<String>, limit: Limit) -> Predicate {
        Predicate { name: name.into(), limit, role: Role::Target }
    }

    /// A sign that the system is broken.
    pub fn breaking(name: impl Into<String>, limit: Limit) -> Predicate {
        Predicate { name: name.into(), limit, role: Role::Breaking }
    }
}

/// What is asked of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What a load is.
    pub scale: Scale,
    /// The conditions, at least one of them a target. The readings of a window are in this order.
    pub predicates: Vec<Predicate>,
    /// The first and lowest load tried.
    pub start: f64,
    /// The highest load that the caller can or may make.
    pub most: f64,
    /// Time of load for the whole search, recovery included.
    pub within: Ns,
    /// The search ends before its time once half of the 95 % interval is at most this share of the estimate.
    pub precision: f64,
    /// Shortest trial.
    pub shortest: Ns,
    /// Longest time given to a system to recover from a failed trial.
    pub patience: Ns,
    /// Also look for the edge on the way down, from a load that failed: a system that does not come back at the load
    /// that it carried on the way up (hysteresis, metastable failure) has two capacities.
    pub downward: bool,
    /// Share taken off the safe end of the interval for the recommended maximum.
    pub headroom: f64,
}

impl Settings {
    /// The conditions of this role, each with its place among all.
    pub(super) fn of_role(&self, role: Role) -> impl Iterator<Item = (usize, &Predicate)> {
        self.predicates.iter().enumerate().filter(move |(_, one)| one.role == role)
    }

    /// The usual: from one arrival a second (one user) without a bound, within 5 minutes, to 1 %, 20 % of headroom.
    pub fn new(scale: Scale, predicates: Vec<Predicate>) -> Settings {
        Settings {
            scale,
            predicates,
            start: 1.0,
            most: 1e9,
            within: Ns::from_secs(300),
            precision: 0.0,
            shortest: Ns::from_secs(5),
            patience: Ns::from_secs(30),
            downward: false,
            headroom: 0.2,
        }
    }

    /// All that is wrong with them, each a sentence; empty if nothing.
    pub fn mistakes(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if !self.predicates.iter().any(|predicate| predicate.role == Role::Target) {
            wrong.push("no target: name at least one threshold that the load may not break".to_owned());
        }
        for predicate in &self.predicates {
            let fine = match predicate.limit {
                Limit::Share(share) => share > 0.0 && share < 1.0,
                Limit::Level(level) => level > 0.0 && level.is_finite(),
            };
            if !fine {
                wrong.push(format!("{}: the limit must be above 0 (and a share below 1)", predicate.name));
            }
        }
        if !(self.start > 0.0 && self.start.is_finite()) {
            wrong.push(format!("the lowest load is {}; it must be above 0", self.start));
        }
        if !(self.most.is_finite() && self.most >= self.start) {
            wrong.push(format!("the highest load {} is below the lowest, {}", self.most, self.start));
        }
        if self.scale == Scale::Users && self.start < 1.0 {
            wrong.push(format!("{} users; the lowest number is 1", self.start));
        }
        if self.shortest == Ns::ZERO || self.within < Ns(self.shortest.0.saturating_mul(3)) {
            wrong.push("the time must allow for at least three of the shortest trials".to_owned());
        }
        if !(0.0..1.0).contains(&self.precision) || !(0.0..1.0).contains(&self.headroom) {
            wrong.push("precision and headroom are shares from 0 to below 1".to_owned());
        }
        wrong
    }
}
