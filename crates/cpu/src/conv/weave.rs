//! What was computed for the phases of a stride is brought together, and what is read by phases is taken apart.

/// `to[first + i * step] = from[i]`.
#[inline(always)]
pub(super) fn one(to: &mut [f32], first: usize, step: usize, from: &[f32]) {
    for (to, from) in to[first..].iter_mut().step_by(step).zip(from) {
        *to = *from;
    }
}

/// The even and the odd elements of `to`: by whole vectors, where a vector kernel calls this.
#[inline(always)]
pub(super) fn both(to: &mut [f32], even: &[f32], odd: &[f32]) {
    let (pairs, rest) = to.as_chunks_mut::<2>();
    for ((to, even), odd) in pairs.iter_mut().zip(even).zip(odd) {
        *to = [*even, *odd];
    }
    if let ([to], Some(even)) = (rest, even.last()) {
        *to = *even;
    }
}

/// `from` taken apart into its even and odd elements.
#[inline(always)]
pub(super) fn apart(from: &[f32], even: &mut [f32], odd: &mut [f32]) {
    let (pairs, rest) = from.as_chunks::<2>();
    for ((from, even), odd) in pairs.iter().zip(&mut *even).zip(odd) {
        [*even, *odd] = *from;
    }
    if let ([from], Some(even)) = (rest, even.last_mut()) {
        *even = *from;
    }
}
