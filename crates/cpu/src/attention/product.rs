//! Products of packed operands on one thread: the micro-kernels, tile by tile, behind a function that checks bounds.

use crate::gemm::{Factors, Kernel, Rows};

/// The left factor: panels of `mr` rows, `next` apart; step p of a panel is at `p * mr`.
#[derive(Clone, Copy)]
pub struct A<'a> {
    pub data: &'a [f32],
    pub next: usize,
}

/// The right factor: panels of `nr` columns, `next` apart; step p of a panel is at `p * step`. A panel is read to its full
/// width.
#[derive(Clone, Copy)]
pub struct B<'a> {
    pub data: &'a [f32],
    pub next: usize,
    pub step: usize,
}

impl<'a> A<'a> {
    /// Panels of `k` steps, one after the other.
    pub fn packed(kernel: &Kernel, data: &'a [f32], k: usize) -> A<'a> {
        A { data, next: kernel.mr * k }
    }

    /// The steps from `k` on.
    pub fn after(self, kernel: &Kernel, k: usize) -> A<'a> {
        A { data: &self.data[k * kernel.mr..], ..self }
    }
}

impl<'a> B<'a> {
    /// Panels of `k` steps, one after the other.
    pub fn packed(kernel: &Kernel, data: &'a [f32], k: usize) -> B<'a> {
        B { data, next: kernel.nr * k, step: kernel.nr }
    }

    /// A row-major matrix where it lies, a vector tile of slack behind it.
    pub fn in_place(kernel: &Kernel, data: &'a [f32], stride: usize) -> B<'a> {
        B { data, next: kernel.nr, step: stride }
    }
}

/// C = A B or C += A B, `m` x `k` times `k` x `n`, rows of C `stride` apart.
pub fn multiply(
    kernel: &Kernel,
    (m, n, k): (usize, usize, usize),
    a: A<'_>,
    b: B<'_>,
    c: &mut [f32],
    stride: usize,
    accumulate: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(n <= stride && (m - 1) * stride + n <= c.len(), "C of a product is too short");
    if k == 0 {
        if !accumulate {
            c.chunks_mut(stride).take(m).for_each(|row| row[..n].fill(0.0));
        }
        return;
    }
    assert!((m.div_ceil(kernel.mr) - 1) * a.next + k * kernel.mr <= a.data.len(), "A of a product is too short");
    assert!(
        (n.div_ceil(kernel.nr) - 1) * b.next + (k - 1) * b.step + kernel.nr <= b.data.len(),
        "B of a product is too short"
    );
    for (panel, column) in (0..n).step_by(kernel.nr).enumerate() {
        let columns = kernel.nr.min(n - column);
        for (above, row) in (0..m).step_by(kernel.mr).enumerate() {
            let rows = kernel.mr.min(m - row);
            // SAFETY: the panels of A and B and the rows of C are in bounds by the assertions above, C is borrowed for
            // writing, and a `Kernel` is one that the processor has.
            unsafe {
                kernel.tile(
                    (rows, columns, k),
                    Factors::strided(a.data.as_ptr().add(above * a.next), 1, kernel.mr),
                    Rows::even(b.data.as_ptr().add(panel * b.next), b.step),
                    (c.as_mut_ptr().add(row * stride + column), stride),
                    accumulate,
                );
            }
        }
    }
}
