//! What differs from the base: a small persistent map by canonical key, looked at first.
//!
//! An entry is the whole node as it is now, or a tombstone for a node of the base that is no more. Every node knows
//! how many nodes are one label below it, so that a change keeps empty non-terminals right without looking at
//! siblings: the first name below makes them, the last one gone removes them.
//!
//! Never here: deciding what changes (`diff` does).

use std::sync::Arc;

use imbl::OrdMap;

use super::base::Storage;
use super::lookup::Node;
use crate::wire::{KeyBuf, Name};

/// A node that replaces the base's, or that the base does not have.
#[derive(Clone, Debug)]
pub(super) struct DeltaNode {
    pub(super) name: Name,
    pub(super) storage: Storage,
    pub(super) children: u32,
}

impl DeltaNode {
    pub(super) fn as_node(&self) -> Node<'_> {
        Node {
            name: self.name.as_ref(),
            sets: self.storage.sets(),
            programs: &self.storage.programs,
            records: &self.storage.records,
            children: self.children,
        }
    }

    /// A copy of a node, wherever it is.
    pub(super) fn copy_of(node: Node<'_>) -> Self {
        let mut storage = Storage::default();
        node.rrsets().for_each(|set| storage.copy_set(set));
        storage.programs.extend_from_slice(node.programs);
        storage.records.extend_from_slice(node.records);
        Self { name: node.name().to_name(), storage, children: node.children }
    }
}

/// One name's difference.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// The node as it is now.
    Node(Arc<DeltaNode>),
    /// The base's node is no more.
    Tombstone,
}

/// All differences.
#[derive(Clone, Debug, Default)]
pub(super) struct Delta {
    entries: OrdMap<Arc<[u8]>, Entry>,
}

impl Delta {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry of the name with this canonical key.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// In canonical order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&[u8], &Entry)> {
        self.entries.iter().map(|(key, entry)| (&**key, entry))
    }

    pub(super) fn put(&mut self, node: DeltaNode) {
        let key = node.name.as_ref().canonical_key(&mut KeyBuf::new()).into();
        self.entries.insert(key, Entry::Node(Arc::new(node)));
    }

    /// Forgets the name, or hides the base's node of that name.
    pub(super) fn remove(&mut self, name: &Name, in_base: bool) {
        let mut keybuf = KeyBuf::new();
        let key = name.as_ref().canonical_key(&mut keybuf);
        if in_base {
            self.entries.insert(key.into(), Entry::Tombstone);
        } else {
            self.entries.remove(key);
        }
    }
}
