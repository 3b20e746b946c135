//! What operators have said, on disk, one row for each word that is in force; what was measured, one row for each probe; what
//! the rules of pools know, one row for each pool; where names led last, one row for each; and what happened, a bounded number
//! of rows.
//!
//! The file is `state_dir/leeward.redb`; a write is a transaction, and is on disk when it returns, so a crash at any moment
//! leaves every word either as it was or as it was acknowledged. After a failure the file is opened anew for the next write:
//! a disk that was full is found to have room again.
//!
//! Rows are JSON under `kind/name`. One that cannot be read is told, left alone, and is not in force.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use redb::{
    Database, Key, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition,
    TableError,
};
use serde::{Deserialize, Serialize};

use crate::health::{FaceMemory, Moment, Origin, Override, Overrides, PoolMemory, Remembered, Since, State, Stood, Subject};
use crate::target::{CheckKey, Value};

const WORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("overrides");
/// Numbers, by name.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
/// Octets of the file that are kept in memory: it is read at the start only, and written in small pieces.
const CACHE: usize = 1 << 20;

/// What is believed of each probe's target: 0 for down, 1 and its reported weight for up.
const VERDICTS: TableDefinition<'_, u128, u64> = TableDefinition::new("verdicts");
/// What the rules of each pool know, as JSON.
const POOLS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("pools");
/// What happened, by number; the rows are whatever the caller writes.
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
/// Where names led last, as JSON.
const HOSTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("hosts");
/// The highest number that an event may have been given.
const EVENTS_RESERVED: &str = "events_reserved";
/// When that was last so, in milliseconds since 1970.
const VERDICTS_AT: &str = "verdicts_at";
/// The highest version that was ever given to a word.
const VERSION: &str = "override_version";

/// Why the ledger cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}", path = .path.display())]
pub struct LedgerError {
    path: PathBuf,
    source: Box<redb::Error>,
}

impl LedgerError {
    /// Whether another process has it open.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        matches!(*self.source, redb::Error::DatabaseAlreadyOpen)
    }
}

/// The durable record of operators' words.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    database: Option<Database>,
}

/// What was in the ledger.
#[derive(Debug, Default)]
pub struct Kept {
    /// The words; those whose time has passed meanwhile are among them, and have ended.
    pub overrides: Overrides,
    /// The highest version that was ever given.
    pub version: u64,
    /// Rows that could not be read, by their key.
    pub unreadable: Vec<String>,
    /// What was believed of each probe's target.
    pub verdicts: HashMap<CheckKey, Remembered>,
    /// How long ago that was last so; `None`: never.
    pub verdicts_age: Option<Duration>,
    /// What the rules of each pool know; as old as what was believed.
    pub pools: BTreeMap<Box<str>, PoolMemory>,
    /// Where names led last.
    pub hosts: BTreeMap<Box<str>, Vec<IpAddr>>,
    /// What happened, oldest first.
    pub events: Vec<Vec<u8>>,
    /// The highest number that an event may have been given.
    pub last_event: u64,
}

/// A row.
#[derive(Debug, Deserialize, Serialize)]
struct Row {
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    since: u64,
    by: String,
    reason: String,
    version: u64,
}

/// A pool. Times are in milliseconds since 1970.
#[derive(Debug, Deserialize, Serialize)]
struct PoolRow {
    faces: Vec<FaceRow>,
    withdrawals: [Vec<u64>; 2],
}

/// An address of a pool's member. What is up or down is true or false, or nothing is known.
#[derive(Debug, Deserialize, Serialize)]
struct FaceRow {
    member: Box<str>,
    address: IpAddr,
    up: Option<bool>,
    forced: bool,
    old: bool,
    came_up: Option<u64>,
    waits: bool,
    last: bool,
    frozen: Option<StoodRow>,
}

/// What an address of a frozen pool counts as.
#[derive(Debug, Deserialize, Serialize)]
struct StoodRow {
    up: Option<bool>,
    forced: bool,
    weight: u16,
    reported: u32,
}

/// A moment, and what the wall clock calls it, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// The moment.
    pub now: Moment,
    /// What the wall clock calls it.
    pub wall: u64,
}

impl Clocks {
    /// When it was.
    fn wall_of(self, since: Since) -> u64 {
        self.wall.saturating_sub(u64::try_from(since.age(self.now).as_millis()).unwrap_or(u64::MAX))
    }

    /// What happened then; not later than now.
    fn since(self, wall: u64) -> Since {
        Since::ago(Duration::from_millis(self.wall.saturating_sub(wall)), self.now)
    }
}

/// What is measured, and what follows of it, as far as it is to be written; `None`: there is no such thing any more.
#[derive(Debug, Default)]
pub struct Beliefs {
    /// What is believed of probes' targets.
    pub verdicts: BTreeMap<CheckKey, Option<Remembered>>,
    /// What the rules of pools know.
    pub pools: BTreeMap<Box<str>, Option<Box<PoolMemory>>>,
    /// Whether all that was written before is so now, too.
    pub hold: bool,
}

impl Ledger {
    /// The ledger under `state_dir`, which nobody has opened yet.
    #[must_use]
    pub fn under(state_dir: &Path) -> Self {
        Self { path: state_dir.join("leeward.redb"), database: None }
    }

    /// Reads everything. `now` and `wall`, in milliseconds since 1970, are one moment: what is left of a word's time is counted
    /// from there.
    ///
    /// # Errors
    /// [`LedgerError`]: the file cannot be made, opened or read, or another process has it open.
    pub fn read(&mut self, now: Moment, wall: u64) -> Result<Kept, LedgerError> {
        self.attempt(|database| {
            let reading = database.begin_read()?;
            let mut kept = Kept::default();
            if let Some(numbers) = table(&reading, NUMBERS)? {
                kept.version = numbers.get(VERSION)?.map_or(0, |version| version.value());
                kept.last_event = numbers.get(EVENTS_RESERVED)?.map_or(0, |number| number.value());
                let at = numbers.get(VERDICTS_AT)?.map(|at| at.value());
                kept.verdicts_age = at.map(|at| Duration::from_millis(wall.saturating_sub(at)));
            }
            if let Some(words) = table(&reading, WORDS)? {
                for entry in words.iter()? {
                    let (key, row) = entry?;
                    match word(key.value(), row.value(), now, wall) {
                        Some(word) => kept.overrides.set(word),
                        None => kept.unreadable.push(key.value().to_owned()),
                    }
                }
            }
            if let Some(verdicts) = table(&reading, VERDICTS)? {
                for entry in verdicts.iter()? {
                    let (key, row) = entry?;
                    kept.verdicts.insert(CheckKey(key.value()), remembered(row.value()));
                }
            }
            if let Some(pools) = table(&reading, POOLS)? {
                for entry in pools.iter()? {
                    let (name, row) = entry?;
                    // What cannot be read is not known.
                    if let Ok(row) = serde_json::from_slice(row.value()) {
                        kept.pools.insert(name.value().into(), pool(row, Clocks { now, wall }));
                    }
                }
            }
            if let Some(hosts) = table(&reading, HOSTS)? {
                for entry in hosts.iter()? {
                    let (name, row) = entry?;
                    // What cannot be read is looked up anew.
                    if let Ok(addresses) = serde_json::from_slice(row.value()) {
                        kept.hosts.insert(name.value().into(), addresses);
                    }
                }
            }
            if let Some(events) = table(&reading, EVENTS)? {
                for entry in events.iter()? {
                    let (number, row) = entry?;
                    kept.last_event = kept.last_event.max(number.value());
                    kept.events.push(row.value().to_vec());
                }
            }
            Ok(kept)
        })
    }

    /// Writes what happened, by number, strikes out the oldest rows beyond `most`, and notes that numbers up to `reserved` may
    /// be given before the next write.
    ///
    /// # Errors
    /// [`LedgerError`]: nothing was written.
    pub fn write_events(&mut self, rows: &[(u64, Vec<u8>)], most: usize, reserved: u64) -> Result<(), LedgerError> {
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        self.attempt(|database| {
            let writing = database.begin_write()?;
            {
                let mut events = writing.open_table(EVENTS)?;
                for (number, row) in rows {
                    events.insert(number, &**row)?;
                }
                while events.len()? > most {
                    drop(events.pop_first()?);
                }
                writing.open_table(NUMBERS)?.insert(EVENTS_RESERVED, reserved)?;
            }
            writing.commit()?;
            Ok(())
        })
    }

    /// Writes what is measured and what follows of it, all of it or nothing.
    ///
    /// # Errors
    /// [`LedgerError`]: nothing was written.
    pub fn write_beliefs(&mut self, beliefs: &Beliefs, clocks: Clocks) -> Result<(), LedgerError> {
        self.attempt(|database| {
            let writing = database.begin_write()?;
            {
                let mut table = writing.open_table(VERDICTS)?;
                for (key, verdict) in &beliefs.verdicts {
                    match verdict {
                        Some(verdict) => drop(table.insert(key.0, number(*verdict))?),
                        None => drop(table.remove(key.0)?),
                    }
                }
                let mut table = writing.open_table(POOLS)?;
                for (name, memory) in &beliefs.pools {
                    match memory {
                        Some(memory) => drop(table.insert(&**name, &*pool_row(memory, clocks))?),
                        None => drop(table.remove(&**name)?),
                    }
                }
                if beliefs.hold {
                    writing.open_table(NUMBERS)?.insert(VERDICTS_AT, clocks.wall)?;
                }
            }
            writing.commit()?;
            Ok(())
        })
    }

    /// Writes where these names lead, or that nobody asks for them any more.
    ///
    /// # Errors
    /// [`LedgerError`]: nothing was written.
    pub fn write_hosts(&mut self, hosts: &BTreeMap<Box<str>, Option<Arc<[IpAddr]>>>) -> Result<(), LedgerError> {
        self.attempt(|database| {
            let writing = database.begin_write()?;
            {
                let mut table = writing.open_table(HOSTS)?;
                for (name, addresses) in hosts {
                    match addresses {
                        // Texts of addresses: nothing that JSON could not hold.
                        Some(addresses) => drop(table.insert(&**name, &*serde_json::to_vec(&addresses[..]).unwrap_or_default())?),
                        None => drop(table.remove(&**name)?),
                    }
                }
            }
            writing.commit()?;
            Ok(())
        })
    }

    /// Writes the word about `subject`, or that there is none; it is on disk when this returns.
    ///
    /// # Errors
    /// [`LedgerError`]: nothing was written.
    pub fn write(&mut self, subject: Subject, word: Option<&Override>, version: u64) -> Result<(), LedgerError> {
        self.attempt(|database| {
            let writing = database.begin_write()?;
            {
                let mut words = writing.open_table(WORDS)?;
                let key = subject.to_string();
                match word.map(row) {
                    Some(row) => drop(words.insert(&*key, &*row)?),
                    None => drop(words.remove(&*key)?),
                }
                let mut numbers = writing.open_table(NUMBERS)?;
                let known = numbers.get(VERSION)?.map_or(0, |version| version.value());
                numbers.insert(VERSION, version.max(known))?;
            }
            writing.commit()?;
            Ok(())
        })
    }

    /// Opens the file if it is not open; closes it after an error.
    fn attempt<T>(&mut self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, LedgerError> {
        let database = match self.database.take() {
            Some(database) => Ok(database),
            None => Database::builder().set_cache_size(CACHE).create(&self.path).map_err(redb::Error::from),
        };
        let done = database.and_then(|database| {
            let done = work(&database)?;
            self.database = Some(database);
            Ok(done)
        });
        done.map_err(|error| LedgerError { path: self.path.clone(), source: Box::new(error) })
    }
}

/// A table; `None`: nothing was ever written there.
fn table<K: Key + 'static, V: redb::Value + 'static>(
    reading: &ReadTransaction,
    of: TableDefinition<'_, K, V>,
) -> Result<Option<ReadOnlyTable<K, V>>, redb::Error> {
    match reading.open_table(of) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn number(verdict: Remembered) -> u64 {
    if verdict.value == Value::Up { 1 + u64::from(verdict.reported) } else { 0 }
}

fn remembered(number: u64) -> Remembered {
    match number.checked_sub(1) {
        Some(reported) => Remembered { value: Value::Up, reported: u32::try_from(reported).unwrap_or(u32::MAX) },
        None => Remembered { value: Value::Down, reported: 0 },
    }
}

fn pool_row(memory: &PoolMemory, clocks: Clocks) -> Vec<u8> {
    let is_up = |value: Value| (value != Value::Unknown).then_some(value == Value::Up);
    let stood = |Stood { value, forced, weight, reported }| StoodRow { up: is_up(value), forced, weight, reported };
    let face = |(member, address, face): &(Box<str>, IpAddr, FaceMemory)| {
        let FaceMemory { value, forced, old, came_up, waits, last, frozen } = *face;
        let (up, came_up) = (value.and_then(is_up), came_up.map(|since| clocks.wall_of(since)));
        FaceRow { member: member.clone(), address: *address, up, forced, old, came_up, waits, last, frozen: frozen.map(stood) }
    };
    let times = |times: &Vec<Since>| times.iter().map(|&since| clocks.wall_of(since)).collect();
    let withdrawals = memory.withdrawals.each_ref().map(times);
    // Numbers and strings: nothing that JSON could not hold.
    serde_json::to_vec(&PoolRow { faces: memory.faces.iter().map(face).collect(), withdrawals }).unwrap_or_default()
}

fn pool(row: PoolRow, clocks: Clocks) -> PoolMemory {
    let value = |up: bool| if up { Value::Up } else { Value::Down };
    let stood =
        |StoodRow { up, forced, weight, reported }| Stood { value: up.map_or(Value::Unknown, value), forced, weight, reported };
    let face = |row: FaceRow| {
        let FaceRow { member, address, up, forced, old, came_up, waits, last, frozen } = row;
        let (value, came_up) = (up.map(value), came_up.map(|wall| clocks.since(wall)));
        (member, address, FaceMemory { value, forced, old, came_up, waits, last, frozen: frozen.map(stood) })
    };
    let times = |times: Vec<u64>| times.into_iter().map(|wall| clocks.since(wall)).collect();
    PoolMemory { faces: row.faces.into_iter().map(face).collect(), withdrawals: row.withdrawals.map(times) }
}

fn row(word: &Override) -> Vec<u8> {
    let Override { state, expires, since, by, reason, version, .. } = word;
    let (state, by, reason) = (state.to_string(), by.to_string(), reason.to_string());
    // Numbers and strings: nothing that JSON could not hold.
    serde_json::to_vec(&Row { state, expires: *expires, since: *since, by, reason, version: *version }).unwrap_or_default()
}

fn word(key: &str, row: &[u8], now: Moment, wall: u64) -> Option<Override> {
    let Row { state, expires, since, by, reason, version } = serde_json::from_slice(row).ok()?;
    let (subject, state): (Subject, State) = (key.parse().ok()?, state.parse().ok()?);
    let until = expires.map(|expires| now + Duration::from_millis(expires.saturating_sub(wall)));
    let (by, reason) = (by.into(), reason.into());
    subject.takes(state).then_some(Override {
        origin: Origin::Operator,
        subject,
        state,
        until,
        expires,
        since,
        by,
        reason,
        version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::at(Duration::from_secs(100));

    fn at(wall: u64) -> Clocks {
        Clocks { now: NOW, wall }
    }

    fn drained(subject: &str, expires: Option<u64>, version: u64) -> Override {
        let (by, reason) = ("alice".into(), "a \"test\"".into());
        let until = expires.map(|expires| NOW + Duration::from_millis(expires.saturating_sub(1000)));
        let (origin, subject) = (Origin::Operator, subject.parse().expect(subject));
        Override { origin, subject, state: State::Drain, until, expires, since: 7, by, reason, version }
    }

    #[test]
    fn what_is_written_is_read_by_the_next_process() {
        let folder = tempfile::tempdir().expect("tempdir");
        let mut ledger = Ledger::under(folder.path());
        assert_eq!(ledger.read(NOW, 1000).expect("an empty one").version, 0);
        let (first, second) = (drained("target/192.0.2.1", Some(61_000), 1), drained("target/[2001:db8::1]:443", None, 2));
        ledger.write(first.subject, Some(&first), 1).expect("written");
        ledger.write(second.subject, Some(&second), 2).expect("written");
        assert!(Ledger::under(folder.path()).read(NOW, 1000).is_err(), "another process has it open");
        drop(ledger);
        let mut ledger = Ledger::under(folder.path());
        let kept = ledger.read(NOW, 1000).expect("read");
        assert_eq!(kept.overrides.iter().cloned().collect::<Vec<_>>(), [first.clone(), second.clone()]);
        ledger.write(second.subject, None, 2).expect("written");
        let kept = ledger.read(NOW, 99_000).expect("read");
        let ended: Vec<_> = kept.overrides.iter().map(|word| (word.subject, word.until)).collect();
        assert_eq!((ended, kept.version), (vec![(first.subject, Some(NOW))], 2), "its time has passed meanwhile");
    }

    #[test]
    fn verdicts_are_read_with_their_age() {
        let folder = tempfile::tempdir().expect("tempdir");
        let mut ledger = Ledger::under(folder.path());
        assert_eq!(ledger.read(NOW, 0).expect("read").verdicts_age, None);
        let up = |reported| Some(Remembered { value: Value::Up, reported });
        let down = Some(Remembered { value: Value::Down, reported: 0 });
        let keys = [1, 2, u128::MAX].map(CheckKey);
        let beliefs = |verdicts, hold| Beliefs { verdicts, hold, ..Beliefs::default() };
        let first = beliefs(keys.into_iter().zip([up(0), down, up(u32::MAX)]).collect(), true);
        ledger.write_beliefs(&first, at(5000)).expect("written");
        ledger.write_beliefs(&beliefs([(keys[1], None), (keys[0], down)].into(), true), at(6000)).expect("written");
        ledger.write_beliefs(&beliefs(BTreeMap::new(), false), at(7000)).expect("that nothing is known to hold");
        let kept = ledger.read(NOW, 7500).expect("read");
        assert_eq!(kept.verdicts_age, Some(Duration::from_millis(1500)));
        assert_eq!(keys.map(|key| kept.verdicts.get(&key).copied()), [down, None, up(u32::MAX)]);
        assert_eq!(ledger.read(NOW, 5500).expect("read").verdicts_age, Some(Duration::ZERO), "a clock that was put back");
    }

    /// The clocks of the other process had nothing in common with ours but what the wall clock says.
    #[test]
    fn what_the_rules_of_pools_know_is_read_with_its_age() {
        let folder = tempfile::tempdir().expect("tempdir");
        let mut ledger = Ledger::under(folder.path());
        let ago = |seconds| Since::ago(Duration::from_secs(seconds), NOW);
        let stood = Some(Stood { value: Value::Unknown, forced: true, weight: 3, reported: 4 });
        let waiting = FaceMemory { value: Some(Value::Up), came_up: Some(ago(7)), waits: true, ..FaceMemory::default() };
        let down =
            FaceMemory { value: Some(Value::Down), forced: true, old: true, last: true, frozen: stood, ..FaceMemory::default() };
        let faces = [("a", "192.0.2.1", waiting), ("b", "2001:db8::1", down), ("c", "192.0.2.2", FaceMemory::default())];
        let faces = faces.map(|(name, address, face)| (name.into(), address.parse().expect(address), face)).into();
        let memory = PoolMemory { faces, withdrawals: [vec![ago(50), ago(1)], vec![]] };
        let write = |ledger: &mut Ledger, memory: Option<&PoolMemory>, clocks| {
            let pools = [("web".into(), memory.cloned().map(Box::new))].into();
            ledger.write_beliefs(&Beliefs { pools, ..Beliefs::default() }, clocks).expect("written");
        };
        write(&mut ledger, Some(&memory), at(100_000));
        let later = Moment::at(Duration::from_secs(3));
        let kept = ledger.read(later, 130_000).expect("read");
        assert_eq!(kept.verdicts_age, None, "nothing was measured");
        let known = &kept.pools["web"];
        let ages = known.withdrawals[0].iter().chain(&known.faces[0].2.came_up).map(|since| since.age(later).as_secs());
        assert_eq!(ages.collect::<Vec<_>>(), [80, 31, 37]);
        let timeless = |(name, address, face): &(Box<str>, IpAddr, FaceMemory)| {
            (name.clone(), *address, FaceMemory { came_up: None, ..*face })
        };
        let [read, written] = [known, &memory].map(|memory| memory.faces.iter().map(timeless).collect::<Vec<_>>());
        assert_eq!(read, written);
        let back = ledger.read(later, 90_000).expect("read");
        assert_eq!(back.pools["web"].faces[0].2.came_up, Some(Since::now(later)), "a clock that was put back");
        write(&mut ledger, None, at(0));
        assert!(ledger.read(later, 0).expect("read").pools.is_empty());
    }

    #[test]
    fn where_names_led_is_read_by_the_next_process() {
        let folder = tempfile::tempdir().expect("tempdir");
        let mut ledger = Ledger::under(folder.path());
        let both: Arc<[IpAddr]> = ["192.0.2.1", "2001:db8::1"].map(|address| address.parse().expect(address)).into();
        let rows = [("a.".into(), Some(Arc::clone(&both))), ("b.".into(), Some(both.clone()))];
        ledger.write_hosts(&rows.into()).expect("written");
        ledger.write_hosts(&[("b.".into(), None)].into()).expect("written");
        drop(ledger);
        let kept = Ledger::under(folder.path()).read(NOW, 0).expect("read");
        assert_eq!(kept.hosts, [("a.".into(), both.to_vec())].into());
    }

    #[test]
    fn the_last_events_are_kept() {
        let folder = tempfile::tempdir().expect("tempdir");
        let mut ledger = Ledger::under(folder.path());
        let rows = |numbers: std::ops::Range<u64>| numbers.map(|number| (number, vec![number as u8])).collect::<Vec<_>>();
        ledger.write_events(&rows(1..6), 4, 100).expect("written");
        let kept = ledger.read(NOW, 0).expect("read");
        assert_eq!((kept.events, kept.last_event), (vec![vec![2], vec![3], vec![4], vec![5]], 100));
        ledger.write_events(&rows(101..103), 4, 102).expect("written");
        let kept = ledger.read(NOW, 0).expect("read");
        assert_eq!((kept.events, kept.last_event), (vec![vec![4], vec![5], vec![101], vec![102]], 102));
        ledger.write_events(&[], 1, 0).expect("written");
        assert_eq!(ledger.read(NOW, 0).expect("read").last_event, 102, "the rows know better");
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_and_tried_again() {
        let folder = tempfile::tempdir().expect("tempdir");
        let missing = folder.path().join("later");
        let mut ledger = Ledger::under(&missing);
        let word = drained("target/192.0.2.1", None, 1);
        let error = ledger.write(word.subject, Some(&word), 1).expect_err("no folder");
        assert!(error.to_string().contains("leeward.redb: "), "{error}");
        std::fs::create_dir(&missing).expect("made");
        ledger.write(word.subject, Some(&word), 1).expect("written");
        assert_eq!(ledger.read(NOW, 0).expect("read").overrides.iter().count(), 1);
    }

    #[test]
    fn rows_that_cannot_be_read_are_told() {
        let folder = tempfile::tempdir().expect("tempdir");
        let database = Database::create(folder.path().join("leeward.redb")).expect("made");
        let writing = database.begin_write().expect("begun");
        for (key, row) in [("target/192.0.2.1", "{}"), ("moon/this", "{}"), ("node/this", "no JSON")] {
            writing.open_table(WORDS).expect("a table").insert(key, row.as_bytes()).expect("inserted");
        }
        writing.commit().expect("committed");
        drop(database);
        let kept = Ledger::under(folder.path()).read(NOW, 0).expect("read");
        assert_eq!((kept.unreadable.len(), kept.overrides.iter().count()), (3, 0));
    }
}
