//! Which troubles of our own the probes meet: who has no descriptor left, or no route, sees nothing and says nothing about its
//! targets. That changes no answer, so it would go unnoticed until it is needed.
//!
//! A trouble begins when a probe meets it and no other's last run did, and it is over when none has met it last. That nobody
//! has said anything of a target ([`Inconclusive::NoWord`]) is no trouble.

use std::collections::{HashMap, VecDeque};

use crate::target::{Inconclusive, Outcome};

/// How many probes met what when they ran last.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    met: HashMap<Inconclusive, usize>,
    changes: VecDeque<TroubleChange>,
}

/// A trouble of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleChange {
    /// Has begun.
    Met(Inconclusive),
    /// Is over.
    Over(Inconclusive),
}

impl Troubles {
    /// A probe has run. `before`: what it met the time before, and `after`: this time; `None`: it had not run, or is gone.
    pub(super) fn meet(&mut self, before: Option<&Outcome>, after: Option<&Outcome>) {
        let (before, after) = (before.and_then(trouble), after.and_then(trouble));
        if before == after {
            return;
        }
        if let Some(reason) = after {
            let probes = self.met.entry(reason).or_insert(0);
            *probes += 1;
            if *probes == 1 {
                self.changes.push_back(TroubleChange::Met(reason));
            }
        }
        if let Some(reason) = before
            && let Some(probes) = self.met.get_mut(&reason)
        {
            *probes -= 1;
            if *probes == 0 {
                self.met.remove(&reason);
                self.changes.push_back(TroubleChange::Over(reason));
            }
        }
    }

    /// What began and what is over, oldest first.
    pub(super) fn take_change(&mut self) -> Option<TroubleChange> {
        self.changes.pop_front()
    }
}

fn trouble(outcome: &Outcome) -> Option<Inconclusive> {
    match outcome {
        Outcome::Inconclusive(Inconclusive::NoWord) | Outcome::Pass { .. } | Outcome::Fail(_) => None,
        Outcome::Inconclusive(reason) => Some(*reason),
    }
}

#[cfg(test)]
mod tests {
    use super::TroubleChange::{Met, Over};
    use super::*;
    use Inconclusive::{NoRoute, NoWord, Resources};

    #[test]
    fn the_first_probe_begins_it_and_the_last_ends_it() {
        const RESOURCES: Outcome = Outcome::Inconclusive(Resources);
        const NO_ROUTE: Outcome = Outcome::Inconclusive(NoRoute);
        const NO_WORD: Outcome = Outcome::Inconclusive(NoWord);
        let pass = Some(&Outcome::PASS);
        let mut troubles = Troubles::default();
        for (before, after, changes) in [
            (None, pass, &[][..]),
            (pass, Some(&NO_WORD), &[]),
            (Some(&NO_WORD), Some(&RESOURCES), &[Met(Resources)]),
            (pass, Some(&RESOURCES), &[]),
            (Some(&RESOURCES), Some(&RESOURCES), &[]),
            (Some(&RESOURCES), pass, &[]),
            (Some(&RESOURCES), Some(&NO_ROUTE), &[Met(NoRoute), Over(Resources)]),
            (Some(&NO_ROUTE), None, &[Over(NoRoute)]),
        ] {
            troubles.meet(before, after);
            assert_eq!(std::iter::from_fn(|| troubles.take_change()).collect::<Vec<_>>(), changes, "{before:?} {after:?}");
        }
    }
}
