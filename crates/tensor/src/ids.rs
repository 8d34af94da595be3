//! Maps keyed by node ids.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map from node ids.
pub type IdMap<V> = HashMap<u64, V, BuildHasherDefault<IdHasher>>;

/// Ids are already distinct and dense: one multiplication spreads them over the table.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }
    fn write_u64(&mut self, id: u64) {
        self.0 = (self.0 ^ id).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 ^= self.0 >> 32;
    }
}

/// Numbers given to node ids. The ids of one graph lie close together: a table serves those near the newest one, a map
/// the few older ones.
pub(crate) struct Numbers {
    /// The id of the table's first entry.
    first: u64,
    near: Vec<u32>,
    far: IdMap<u32>,
}

/// No number.
pub(crate) const NONE: u32 = u32::MAX;

/// Ids that the table serves: 16 KiB.
const NEAR: u64 = 4096;

impl Numbers {
    /// For a graph whose newest node is about `newest`.
    pub(crate) fn near(newest: u64) -> Numbers {
        Numbers { first: newest.saturating_sub(NEAR - 1), near: vec![NONE; NEAR as usize], far: IdMap::default() }
    }

    /// The number of a node, or [`NONE`].
    #[inline]
    pub(crate) fn get(&self, id: u64) -> u32 {
        match self.near.get(id.wrapping_sub(self.first) as usize) {
            Some(&number) => number,
            None => self.far.get(&id).copied().unwrap_or(NONE),
        }
    }

    /// Gives a node its number.
    #[inline]
    pub(crate) fn set(&mut self, id: u64, number: u32) {
        match self.near.get_mut(id.wrapping_sub(self.first) as usize) {
            Some(place) => *place = number,
            None => _ = self.far.insert(id, number),
        }
    }
}
