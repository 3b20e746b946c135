//! What other servers say of names, for `resolve()` (spec 4.9).
//!
//! A map behind one swapped pointer, so that a query reads it without a lock and sees what came since its snapshot was
//! published. Its one writer asks the servers, in time that no query waits for. A query that finds an answer marks it as
//! used, and writes nothing where that mark stands already; the writer goes by the marks in what it refreshes and forgets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

use crate::wire::{Name, RecordType};

/// TTLs and RDATA in presentation form; none where there is no such name or no such data.
pub type Resolution = Arc<[(u32, Box<str>)]>;

/// The answers that are known. A clone is the same map.
#[derive(Clone, Debug, Default)]
pub struct Resolved(Arc<ArcSwap<imbl::HashMap<(Name, RecordType), Known>>>);

/// A clone shares its mark.
#[derive(Clone, Debug)]
struct Known {
    records: Resolution,
    used: Arc<AtomicBool>,
}

impl Resolved {
    /// What is known of `name`.
    #[must_use]
    pub fn get(&self, name: &Name, rtype: RecordType) -> Option<Resolution> {
        let map = self.0.load();
        let known = map.get(&(name.clone(), rtype))?;
        if !known.used.load(Ordering::Relaxed) {
            known.used.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&known.records))
    }

    /// Enters an answer in the place of the one before. For the one writer.
    pub fn set(&self, name: &Name, rtype: RecordType, records: Resolution) {
        self.change(|map| {
            let key = (name.clone(), rtype);
            let used = map.get(&key).map_or_else(Arc::default, |known| Arc::clone(&known.used));
            map.insert(key, Known { records, used });
        });
    }

    /// Forgets an answer. For the one writer.
    pub fn forget(&self, name: &Name, rtype: RecordType) {
        self.change(|map| drop(map.remove(&(name.clone(), rtype))));
    }

    /// Whether an answer was used since this was last asked.
    #[must_use]
    pub fn take_used(&self, name: &Name, rtype: RecordType) -> bool {
        self.0.load().get(&(name.clone(), rtype)).is_some_and(|known| known.used.swap(false, Ordering::Relaxed))
    }

    fn change(&self, change: impl FnOnce(&mut imbl::HashMap<(Name, RecordType), Known>)) {
        let mut map = imbl::HashMap::clone(&self.0.load());
        change(&mut map);
        self.0.store(Arc::new(map));
    }
}
