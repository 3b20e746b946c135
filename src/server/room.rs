//! What the queries that are still coming in over the streams of one connection may take of our memory.
//!
//! Over TCP and DoT a connection has one message in the making. Over DoH and DoQ it has one per stream, so that what a
//! connection may hold would be the longest message times the number of streams, two megabytes, though queries have some
//! hundred octets. So they share a bound. It counts octets that are there, not those that were announced: who announces
//! much and sends nothing takes no room from others. And nobody waits for room: streams that wait for each other would hold
//! what they have until their time is over, so one for which there is none fails at once, and its client may ask again.
//!
//! Octets are copied. The buffers of the libraries are slices of whole packets or of reads, each of which stays as a whole
//! for as long as one octet of it is held.

use std::cell::Cell;

/// Octets of unfinished queries of one connection: two messages of the greatest length with theirs, a hundred times what
/// clients send.
const ROOM: usize = 2 * (2 + 65_535);

/// The room of a connection.
#[derive(Debug)]
pub(super) struct Room {
    left: Cell<usize>,
}

/// A query that is coming in; gives its room back when it is dropped.
#[derive(Debug)]
pub(super) struct Gathering<'r> {
    room: &'r Room,
    octets: Vec<u8>,
}

/// Other queries of the connection have taken all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

impl Room {
    pub(super) fn new() -> Self {
        Self { left: Cell::new(ROOM) }
    }

    /// A query of which nothing is here yet.
    pub(super) fn gather(&self) -> Gathering<'_> {
        Gathering { room: self, octets: Vec::new() }
    }
}

impl Gathering<'_> {
    /// Appends a copy of `octets`.
    pub(super) fn add(&mut self, octets: &[u8]) -> Result<(), NoRoom> {
        let left = self.room.left.get().checked_sub(octets.len()).ok_or(NoRoom)?;
        self.room.left.set(left);
        self.octets.extend_from_slice(octets);
        Ok(())
    }

    /// What is here.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }
}

impl Drop for Gathering<'_> {
    fn drop(&mut self) {
        self.room.left.set(self.room.left.get() + self.octets.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_share_the_room_and_give_it_back() {
        let room = Room::new();
        let [mut first, mut second, mut third] = [room.gather(), room.gather(), room.gather()];
        assert_eq!([first.add(&[1; ROOM / 2]), second.add(&[2; ROOM / 2])], [Ok(()), Ok(())]);
        assert_eq!(third.add(&[3]), Err(NoRoom));
        assert_eq!(third.octets(), b"");
        drop(first);
        assert_eq!(third.add(&[3]), Ok(()));
        assert_eq!(third.add(&[4]), Ok(()));
        assert_eq!((third.octets(), second.octets().len()), (&[3, 4][..], ROOM / 2));
        drop((second, third));
        assert_eq!(room.left.get(), ROOM);
    }
}
