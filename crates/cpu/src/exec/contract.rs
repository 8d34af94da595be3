//! Contractions: matrix products and convolutions, with what follows them applied to each tile while it is in cache.

use tensor::op::{Conv, Op};
use tensor::plan::{Plan, SlotId, View};
use tensor::{DType, Layout, Shape};

use super::fused::program::Program;
use super::memory::{Plain, Slots};
use crate::conv::{
    ConvGeometry, conv_forward, conv_forward_f64, conv_input_gradient, conv_input_gradient_f64, conv_weight_gradient,
    conv_weight_gradient_f64,
};
use crate::gemm::{Accumulate, Epilogue, Matrix, MatrixMut, Size, Tile, gemm, gemm_f64};
use crate::machine::Machine;

/// A smaller result is in cache when its contraction is done: what follows then runs over whole rows, in one go.
const EPILOGUE_AFTER: usize = 1 << 14;

/// A contraction made ready.
pub struct Contraction {
    kind: Kind,
    inputs: [View; 2],
    output: SlotId,
    dtype: DType,
    shape: Shape,
    epilogue: Option<Program>,
    /// Whether the epilogue runs tile by tile inside the kernel.
    inside: bool,
}

enum Kind {
    MatMul(Product),
    Conv(ConvGeometry),
    ConvInput(ConvGeometry),
    ConvWeight(ConvGeometry),
}

/// Sizes of a batched product: the outer loops are those that one batch stride cannot say.
struct Product {
    size: Size,
    /// (count, stride in a, stride in b), outermost first; the last one is the batch of `size`.
    outer: Vec<(usize, isize, isize)>,
    batch: (isize, isize),
}

impl Contraction {
    /// Makes a contraction ready.
    pub fn new(
        op: &Op,
        inputs: &[View],
        output: SlotId,
        plan: &Plan,
        epilogue: Option<Program>,
    ) -> Result<Self, String> {
        let &[a, b] = inputs else { return Err("a contraction has two inputs".into()) };
        let (dtype, shape) = (plan.slots[output].dtype, plan.slots[output].shape);
        let (x, y) = (&a.layout.shape, &b.layout.shape);
        let kind = match op {
            Op::MatMul => Kind::MatMul(product(&a, &b)?),
            Op::Conv(conv) => Kind::Conv(geometry(conv, x, y, &shape)?),
            Op::ConvInput(conv) => Kind::ConvInput(geometry(conv, &shape, y, x)?),
            Op::ConvWeight(conv) => Kind::ConvWeight(geometry(conv, x, &shape, y)?),
            _ => return Err("not a contraction".into()),
        };
        // (After `geometry`, which has checked ranks and sizes.)
        let (kind, [a, b]) = match single_window(op, [&a, &b], &shape) {
            Some(matrices) => (Kind::MatMul(product(&matrices[0], &matrices[1])?), matrices),
            None => (kind, [a, b]),
        };
        let suits = match &kind {
            Kind::MatMul(product) => product.size.n > 1 && product.size.k > 0,
            Kind::Conv(geometry) | Kind::ConvInput(geometry) => geometry.taps() > 0,
            Kind::ConvWeight(_) => false,
        };
        let inside = suits && dtype == DType::F32 && shape.count() >= EPILOGUE_AFTER;
        Ok(Contraction { kind, inputs: [a, b], output, dtype, shape, epilogue, inside })
    }

    /// Bytes of shared working memory.
    pub fn shared_bytes(&self) -> usize {
        self.epilogue.as_ref().map_or(0, Program::shared_bytes)
    }

    /// Runs it.
    ///
    /// # Errors
    /// Sizes that the kernels cannot index; a dtype without a kernel.
    pub fn run(&self, machine: &Machine, slots: Slots<'_>) -> Result<(), String> {
        if self.shape.count() == 0 {
            return Ok(());
        }
        match self.dtype {
            DType::F32 => self.run_f32(machine, slots)?,
            DType::F64 => self.run_f64(machine, slots)?,
            dtype => return Err(format!("no contraction of {dtype}")),
        }
        if let (Some(program), false) = (&self.epilogue, self.inside) {
            program.run(machine, slots, slots.base(self.output));
        }
        Ok(())
    }

    fn run_f32(&self, machine: &Machine, slots: Slots<'_>) -> Result<(), String> {
        let program = self.epilogue.as_ref().filter(|_| self.inside);
        // SAFETY: this step writes its output, and reads it nowhere but through tiles.
        let c: &mut [f32] = unsafe { slots.write(self.output) };
        let apply = |mut tile: Tile<'_, f32>, first_item: usize, m: usize, n: usize| {
            if let Some(program) = program {
                let (rows, start, count) = (tile.rows.clone(), tile.cols.start, tile.cols.len());
                let item = first_item + tile.batch;
                if count == n && !rows.is_empty() {
                    // Whole rows follow each other: one long run.
                    let all = (tile.row(rows.start).as_mut_ptr(), (item * m + rows.start) * n, rows.len() * n);
                    program.run_rows(machine.simd, slots, std::iter::once(all));
                    return;
                }
                let rows = rows.map(|row| (tile.row(row).as_mut_ptr(), (item * m + row) * n + start, count));
                program.run_rows(machine.simd, slots, rows);
            }
        };
        let conv = |geometry: &ConvGeometry, m: usize, n: usize, c: &mut [f32], kernel: ConvKernel| {
            let [a, b] = self.inputs.map(|input| whole(slots, &input));
            let each = |tile: Tile<'_, f32>| apply(tile, 0, m, n);
            kernel(machine, geometry, a, b, c, program.is_some().then_some(&each)).map_err(|error| error.to_string())
        };
        match &self.kind {
            Kind::Conv(g) => conv(g, g.group_outputs(), g.output_positions(), c, |machine, g, x, w, y, each| {
                conv_forward(machine, g, x, w, y, each)
            }),
            Kind::ConvInput(g) => conv(g, g.group_channels(), g.input_positions(), c, |machine, g, dy, w, dx, each| {
                conv_input_gradient(machine, g, w, dy, dx, each)
            }),
            Kind::ConvWeight(g) => {
                conv(g, 0, 0, c, |machine, g, x, dy, dw, each| conv_weight_gradient(machine, g, x, dy, dw, each))
            }
            Kind::MatMul(product) => product.run(machine, slots, &self.inputs, c, &|a, b, c, first_item| {
                let each = |tile: Tile<'_, f32>| apply(tile, first_item, product.size.m, product.size.n);
                let each: Option<Epilogue<'_, f32>> = if program.is_some() { Some(&each) } else { None };
                gemm(machine, product.size, a, b, Accumulate::Zero, c, each).map_err(|error| error.to_string())
            }),
        }
    }

    fn run_f64(&self, machine: &Machine, slots: Slots<'_>) -> Result<(), String> {
        // SAFETY: this step writes its output, and reads it nowhere.
        let c: &mut [f64] = unsafe { slots.write(self.output) };
        let conv = |kernel: ConvKernelF64, g: &ConvGeometry, c: &mut [f64]| {
            let [a, b] = self.inputs.map(|input| whole(slots, &input));
            kernel(machine, g, a, b, c).map_err(|error| error.to_string())
        };
        match &self.kind {
            Kind::Conv(g) => conv(conv_forward_f64, g, c),
            Kind::ConvInput(g) => conv(|machine, g, dy, w, dx| conv_input_gradient_f64(machine, g, w, dy, dx), g, c),
            Kind::ConvWeight(g) => conv(conv_weight_gradient_f64, g, c),
            Kind::MatMul(product) => product.run(machine, slots, &self.inputs, c, &|a, b, c, _| {
                gemm_f64(machine, product.size, a, b, Accumulate::Zero, c, None).map_err(|error| error.to_string())
            }),
        }
    }
}

/// A contiguous input: its slot may hold more behind it.
fn whole<'a, T: Plain>(slots: Slots<'a>, input: &View) -> &'a [T] {
    &slots.read(input.slot)[..input.layout.shape.count()]
}

type ConvKernel = fn(
    &Machine,
    &ConvGeometry,
    &[f32],
    &[f32],
    &mut [f32],
    Option<Epilogue<'_, f32>>,
) -> Result<(), crate::conv::ConvError>;

type ConvKernelF64 = fn(&Machine, &ConvGeometry, &[f64], &[f64], &mut [f64]) -> Result<(), crate::conv::ConvError>;

/// The sizes with three spatial dimensions, ones in front.
fn geometry(conv: &Conv, x: &Shape, w: &Shape, y: &Shape) -> Result<ConvGeometry, String> {
    let spatial = conv.spatial as usize;
    let shapes = [x, w, y];
    if shapes.iter().any(|shape| shape.rank() != spatial + 2) || !(1..=3).contains(&spatial) {
        return Err(format!("a convolution over {spatial} dimensions of {x}, {w}, {y}"));
    }
    let three = |shape: &Shape| {
        let mut sizes = [1; 3];
        sizes[3 - spatial..].copy_from_slice(&shape[2..]);
        sizes
    };
    let steps = |steps: [u32; 3], fill: usize| {
        let mut all = [fill; 3];
        all[3 - spatial..].iter_mut().zip(steps).for_each(|(to, step)| *to = step as usize);
        all
    };
    let geometry = ConvGeometry {
        batch: x[0],
        groups: conv.groups as usize,
        channels: x[1],
        outputs: y[1],
        input: three(x),
        kernel: three(w),
        output: three(y),
        stride: steps(conv.stride, 1),
        padding: steps(conv.padding, 0),
        dilation: steps(conv.dilation, 1),
    };
    // Sizes that the kernels cannot index are an error of the plan: when steps run, variables may have changed already.
    let checked = geometry.check([("x", x.count()), ("w", w.count()), ("y", y.count())]);
    checked.map(|()| geometry).map_err(|error| error.to_string())
}

/// The matrices whose product is a convolution with one window over its whole input, or one of the adjoints: `x w'`, `dy w`,
/// `dy' x` of `x [N, C k]`, `w [O, C k]`, `dy [N, O]`.
fn single_window(op: &Op, [a, b]: [&View; 2], result: &Shape) -> Option<[View; 2]> {
    let (x, w, conv) = match op {
        Op::Conv(conv) => (&a.layout.shape, &b.layout.shape, conv),
        Op::ConvInput(conv) => (result, &b.layout.shape, conv),
        Op::ConvWeight(conv) => (&a.layout.shape, result, conv),
        _ => return None,
    };
    if !conv.is_single_window(&x[2..], &w[2..]) {
        return None;
    }
    // (The operands of convolutions are contiguous.)
    let matrix = |view: &View| {
        let (rows, columns) = (view.layout.shape[0], view.layout.shape[1..].iter().product());
        Some(View { slot: view.slot, layout: Layout::contiguous(Shape::new(&[rows, columns])?) })
    };
    let (a, b) = (matrix(a)?, matrix(b)?);
    let turned = |view: View| View { layout: view.layout.permute(&[1, 0]), ..view };
    Some(match op {
        Op::Conv(_) => [a, turned(b)],
        Op::ConvInput(_) => [a, b],
        _ => [turned(b), a],
    })
}

fn product(a: &View, b: &View) -> Result<Product, String> {
    let rank = a.layout.shape.rank();
    if rank < 2 || b.layout.shape.rank() != rank {
        return Err(format!("a product of {} and {}", a.layout.shape, b.layout.shape));
    }
    let (m, k, n) = (a.layout.shape[rank - 2], a.layout.shape[rank - 1], b.layout.shape[rank - 1]);
    let mut loops: Vec<(usize, isize, isize)> = Vec::new();
    for axis in 0..rank - 2 {
        let (count, of_a, of_b) = (a.layout.shape[axis], a.layout.strides[axis], b.layout.strides[axis]);
        if count == 1 {
            continue;
        }
        match loops.last_mut() {
            Some((outer, outer_a, outer_b))
                if (*outer_a, *outer_b) == (of_a * count as isize, of_b * count as isize) =>
            {
                *outer *= count;
                (*outer_a, *outer_b) = (of_a, of_b);
            }
            _ => loops.push((count, of_a, of_b)),
        }
    }
    let (batch, of_a, of_b) = loops.pop().unwrap_or((1, 0, 0));
    Ok(Product { size: Size { batch, m, n, k }, outer: loops, batch: (of_a, of_b) })
}

/// One call of a kernel: a, b, c and the number of its first batch item.
type Multiply<'f, T> = &'f (dyn Fn(Matrix<'_, T>, Matrix<'_, T>, MatrixMut<'_, T>, usize) -> Result<(), String> + Sync);

impl Product {
    fn run<T: Plain + Default>(
        &self,
        machine: &Machine,
        slots: Slots<'_>,
        inputs: &[View; 2],
        c: &mut [T],
        multiply: Multiply<'_, T>,
    ) -> Result<(), String> {
        let Size { batch, m, n, k } = self.size;
        if k == 0 {
            // An empty sum. (The epilogue of such a product runs afterwards: there is no tile.)
            c.fill(T::default());
        }
        let [a, b] = inputs;
        let backwards = |view: &View| view.layout.strides().iter().any(|&stride| stride < 0);
        if backwards(a) || backwards(b) {
            return self.run_copied(machine, slots, inputs, c, multiply);
        }
        let (a_data, b_data): (&[T], &[T]) = (slots.read(a.slot), slots.read(b.slot));
        let rank = a.layout.shape.rank();
        let matrix = |data, layout: &tensor::Layout, batch_stride: isize| Matrix {
            data,
            row_stride: layout.strides[rank - 2] as usize,
            col_stride: layout.strides[rank - 1] as usize,
            batch_stride: batch_stride as usize,
        };
        let item = batch * m * n;
        let one = |index: usize, c: &mut [T]| {
            let (mut from_a, mut from_b, mut rest) = (a.layout.offset, b.layout.offset, index);
            for &(count, of_a, of_b) in self.outer.iter().rev() {
                from_a += rest % count * of_a as usize;
                from_b += rest % count * of_b as usize;
                rest /= count;
            }
            let from_a = matrix(a_data.get(from_a..).unwrap_or_default(), &a.layout, self.batch.0);
            let from_b = matrix(b_data.get(from_b..).unwrap_or_default(), &b.layout, self.batch.1);
            let c = MatrixMut { data: c, row_stride: n, batch_stride: m * n };
            multiply(from_a, from_b, c, index * batch)
        };
        if self.outer.is_empty() {
            return one(0, c);
        }
        let failure = std::sync::Mutex::new(Ok(()));
        let each = |index: usize, c: &mut [T]| {
            if let Err(error) = one(index, c) {
                *failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Err(error);
            }
        };
        // Products of several items run side by side, each on one thread, if there are enough of them.
        if self.outer.iter().map(|dim| dim.0).product::<usize>() >= machine.pool.threads() && item * k > 1 << 12 {
            machine.pool.chunks(c, item, each);
        } else {
            c.chunks_mut(item.max(1)).enumerate().for_each(|(index, c)| each(index, c));
        }
        failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The product of contiguous copies: for operands that run backwards.
    fn run_copied<T: Plain + Default>(
        &self,
        machine: &Machine,
        slots: Slots<'_>,
        inputs: &[View; 2],
        c: &mut [T],
        multiply: Multiply<'_, T>,
    ) -> Result<(), String> {
        let copies = inputs.map(|view| {
            let data: &[T] = slots.read(view.slot);
            view.layout.positions().map(|position| data[position]).collect::<Vec<T>>()
        });
        let _ = machine;
        let Size { batch, m, n, k } = self.size;
        let outer: usize = self.outer.iter().map(|dim| dim.0).product();
        for index in 0..outer {
            let a =
                Matrix { data: &copies[0][index * batch * m * k..], row_stride: k, col_stride: 1, batch_stride: m * k };
            let b =
                Matrix { data: &copies[1][index * batch * k * n..], row_stride: n, col_stride: 1, batch_stride: k * n };
            let c = &mut c[index * batch * m * n..][..batch * m * n];
            multiply(a, b, MatrixMut { data: c, row_stride: n, batch_stride: m * n }, index * batch)?;
        }
        Ok(())
    }
}
