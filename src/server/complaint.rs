//! What may go wrong thousands of times a second is said once a minute.

use super::clock;

/// The shortest time between two log lines of one socket, in milliseconds.
const INTERVAL: u64 = 60_000;

/// When a socket last complained.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    last: Option<u64>,
}

impl Complaint {
    /// Whether it is time to say it again; if so, it must be said.
    pub(super) fn is_due(&mut self) -> bool {
        self.is_due_at(clock::now().monotonic)
    }

    fn is_due_at(&mut self, now: u64) -> bool {
        let due = self.last.is_none_or(|last| now.saturating_sub(last) >= INTERVAL);
        if due {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_a_minute() {
        let mut complaint = Complaint::default();
        let said: Vec<u64> = (0..=180).filter(|second| complaint.is_due_at(second * 1000)).collect();
        assert_eq!(said, [0, 60, 120, 180]);
    }
}
