//! How many probes go on at one address at a time: a load balancer with a hundred hosts on it should not meet a hundred
//! connections whenever we start.
//!
//! Never here: what is done meanwhile.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One door for each address that somebody is at, or waits at.
pub(super) struct Doors {
    wide: usize,
    doors: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
}

/// Somebody's place at a door, or in the queue before it.
pub(super) struct Place<'a> {
    doors: &'a Doors,
    address: IpAddr,
    door: Arc<Semaphore>,
}

/// Leave to be at an address.
pub(super) struct Entry<'a> {
    _permit: Option<OwnedSemaphorePermit>,
    _place: Place<'a>,
}

impl Doors {
    /// Doors that `wide` may go through at a time.
    pub(super) fn new(wide: usize) -> Self {
        Self { wide, doors: Mutex::default() }
    }

    /// Waits for its turn at that address, in order.
    pub(super) async fn enter(&self, address: IpAddr) -> Entry<'_> {
        let place = Place { doors: self, address, door: self.door(address) };
        // Never closed, so the error does not come.
        let permit = Arc::clone(&place.door).acquire_owned().await.ok();
        Entry { _permit: permit, _place: place }
    }

    fn door(&self, address: IpAddr) -> Arc<Semaphore> {
        let mut doors = self.lock();
        Arc::clone(doors.entry(address).or_insert_with(|| Arc::new(Semaphore::new(self.wide.clamp(1, Semaphore::MAX_PERMITS)))))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Semaphore>>> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut doors = self.doors.lock();
        // The map's and this one: whoever else was here or waited has gone. Others come by the map, which is locked.
        if Arc::strong_count(&self.door) == 2 {
            doors.remove(&self.address);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use tokio::time::timeout;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    #[tokio::test(start_paused = true)]
    async fn so_many_are_let_in_and_no_more() {
        let doors = Doors::new(2);
        let (first, _second) = (doors.enter(HERE).await, doors.enter(HERE).await);
        assert!(timeout(Duration::from_secs(60), doors.enter(HERE)).await.is_err());
        let _elsewhere = doors.enter(THERE).await;
        drop(first);
        let _third = timeout(Duration::from_secs(60), doors.enter(HERE)).await.expect("there is room");
        assert!(timeout(Duration::from_secs(60), doors.enter(HERE)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_left_of_those_who_have_gone() {
        let doors = Doors::new(1);
        let entry = doors.enter(HERE).await;
        assert!(timeout(Duration::from_secs(1), doors.enter(HERE)).await.is_err());
        assert_eq!(doors.lock().len(), 1);
        drop(entry);
        assert!(doors.lock().is_empty());
    }
}
