//! What the transforms of a row draw from.

use tensor::philox::RandomKey;

/// The random numbers of a row in an epoch.
#[derive(Debug, Clone, Copy)]
pub struct AugmentationKey {
    /// Others in each epoch.
    pub(super) draw: RandomKey,
    /// The same in all epochs.
    pub(super) always: RandomKey,
    /// From 0.
    pub(super) epoch: u32,
}

/// The key from which the transforms of row `row` draw in epoch `epoch`: a pure function of the three.
///
/// Philox itself mixes them: its output under (seed, "augment", epoch, row) is the key.
pub fn augmentation_key(seed: u64, epoch: u32, row: usize) -> AugmentationKey {
    let key = |stream: &str, epoch: u32| {
        let [a, b, stream, step] = RandomKey::new(seed).stream(stream).step(epoch).words(row as u64);
        RandomKey { seed: u64::from(a) | u64::from(b) << 32, stream, step }
    };
    AugmentationKey { draw: key("augment", epoch), always: key("augment always", 0), epoch }
}

impl AugmentationKey {
    /// That of the transform number `at` of several, so that equal neighbours draw differently.
    pub(super) fn of_transform(self, at: usize) -> AugmentationKey {
        let moved = |key: RandomKey| key.step(key.step.wrapping_add(at as u32));
        AugmentationKey { draw: moved(self.draw), always: moved(self.always), ..self }
    }
}
