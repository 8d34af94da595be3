//! Recurrent layers over whole sequences: the part that repeats, one direction of one layer.
//!
//! ```text
//! gates [T, N, G H] -- x W_ih^T + b, one matrix product for all steps --+
//! h, c  [N, H]      -- the state before the first step -----------------+--> saved [F, T+1, N, H] --> h, c
//! W_hh  [G H, H]    -- applied to the state at each step ---------------+
//! ```
//! The fields of `saved` are, for an LSTM, h, c, i, f, g, o; for a GRU h, r, z, n and the state's part of n; for a plain cell
//! h. Rows of h and c are states: row t before step t and row t + 1 after it (in reverse the other way round). Rows of the
//! others are steps; their last row is zero. A sample that is shorter than the sequence does not take the last steps: its
//! state stays as it is, and so the state after all steps is the last one of every sample.
//!
//! The adjoint gives `[T+1, N, K H]`: row t the gradients of the sums of step t (a GRU has those of the input's part, then
//! those of the state's), the last row those of h and c before the first step. Gradients of the weight and of the input
//! are matrix products over all steps.

pub mod reference;

use std::panic::Location;

use crate::array::{Array, Values};
use crate::compose::recurrent_adjoint;
use crate::dtype::DType;
use crate::error::{Error, ErrorKind};
use crate::op::{Cell, Op, Page, Recurrence, arithmetic};
use crate::ops::view::gather_view;
use crate::samples;
use crate::shape::Shape;
use crate::tensor::{Inputs, Node, Tensor, provenance};
use reference::{Given, backward, forward};

/// Steps, samples, and hidden units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Steps of the longest sequence.
    pub steps: usize,
    /// Samples.
    pub batch: usize,
    /// Hidden units.
    pub hidden: usize,
}

impl Cell {
    /// Its name, lower case.
    pub fn name(self) -> &'static str {
        page(self).name
    }

    /// Sums a unit.
    pub fn gates(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru => 3,
            Cell::RnnTanh | Cell::RnnRelu => 1,
        }
    }

    /// Fields of what is saved.
    pub fn fields(self) -> usize {
        match self {
            Cell::Lstm => 6,
            Cell::Gru => 5,
            Cell::RnnTanh | Cell::RnnRelu => 1,
        }
    }

    /// How many of them carry gradients: h, and the c of an LSTM.
    pub fn differentiated(self) -> usize {
        if self == Cell::Lstm { 2 } else { 1 }
    }

    /// Gradients a unit in a row of the adjoint.
    pub fn gradients(self) -> usize {
        if self == Cell::Gru { 6 } else { self.gates() }
    }

    /// Inputs of [`Op::Recurrent`] before the lengths.
    pub fn inputs(self) -> usize {
        match self {
            Cell::Lstm | Cell::Gru => 4,
            Cell::RnnTanh | Cell::RnnRelu => 3,
        }
    }
}

const BEFORE: &str = "gradients of the sums of each step, from the last to the first, then of the state before";
const NONE: &str = "by recurrent_output";

const fn forward_page(name: &'static str, formula: &'static str, samples: fn() -> Vec<crate::op::Sample>) -> Page {
    Page { name, formula, gradient_formula: NONE, gradient: None, reference: run, samples }
}

const fn adjoint_page(name: &'static str, samples: fn() -> Vec<crate::op::Sample>) -> Page {
    Page { name, formula: BEFORE, gradient_formula: NONE, gradient: None, reference: run_adjoint, samples }
}

static LSTM: Page = forward_page(
    "lstm",
    "i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of (gates[t] + h W^T); c = f c + i g; h = o tanh(c)",
    || samples::recurrent(Cell::Lstm),
);
static GRU: Page = forward_page(
    "gru",
    "r, z = sigmoid of (gates[t] + h W^T); n = tanh(gates_n[t] + r (h W_n^T + b_n)); h = (1 - z) n + z h",
    || samples::recurrent(Cell::Gru),
);
static RNN_TANH: Page = forward_page("rnn_tanh", "h = tanh(gates[t] + h W^T)", || samples::recurrent(Cell::RnnTanh));
static RNN_RELU: Page = forward_page("rnn_relu", "h = max(gates[t] + h W^T, 0)", || samples::recurrent(Cell::RnnRelu));
static LSTM_GRAD: Page = adjoint_page("lstm_grad", || samples::recurrent_grad(Cell::Lstm));
static GRU_GRAD: Page = adjoint_page("gru_grad", || samples::recurrent_grad(Cell::Gru));
static RNN_TANH_GRAD: Page = adjoint_page("rnn_tanh_grad", || samples::recurrent_grad(Cell::RnnTanh));
static RNN_RELU_GRAD: Page = adjoint_page("rnn_relu_grad", || samples::recurrent_grad(Cell::RnnRelu));

/// The page of a recurrent layer.
pub fn page(cell: Cell) -> &'static Page {
    match cell {
        Cell::Lstm => &LSTM,
        Cell::Gru => &GRU,
        Cell::RnnTanh => &RNN_TANH,
        Cell::RnnRelu => &RNN_RELU,
    }
}

/// The page of its adjoint.
pub fn grad_page(cell: Cell) -> &'static Page {
    match cell {
        Cell::Lstm => &LSTM_GRAD,
        Cell::Gru => &GRU_GRAD,
        Cell::RnnTanh => &RNN_TANH_GRAD,
        Cell::RnnRelu => &RNN_RELU_GRAD,
    }
}

/// What carries gradients of a recurrent layer: its first derivative is an op of its own, those of higher order are those of
/// the steps written out.
pub static OUTPUT: Page = Page {
    name: "recurrent_output",
    formula: "y = the first fields of x",
    gradient_formula: "by the adjoint: of the gates, (sums of the steps)^T h for the weight, of the state before",
    gradient: Some(|y, g| {
        let Op::RecurrentOutput { of, adjoint } = *y.op() else { return vec![None] };
        if adjoint { recurrent_adjoint(of, y, g) } else { gradients(of, y, g) }
    }),
    reference: gather_view,
    samples: || samples::recurrent(Cell::Lstm),
};

/// Sizes of a recurrent layer, from the node of what it saves or of its output.
pub(crate) fn extent(saved: &Shape) -> Extent {
    Extent { steps: saved[1] - 1, batch: saved[2], hidden: saved[3] }
}

fn gradients(of: Recurrence, y: &Tensor, g: &Tensor) -> Vec<Option<Tensor>> {
    let (cell, at) = (of.cell, y.origin().location);
    let [saved, given @ ..] = y.inputs() else { return vec![None] };
    let Extent { steps, batch, hidden } = extent(y.shape());
    let weight = &given[1];
    let lengths = given.get(cell.inputs());
    let shape = Shape::new(&[steps + 1, batch, cell.gradients() * hidden]).unwrap_or(Shape::SCALAR);
    let inputs = [saved, weight, g].into_iter().chain(lengths).cloned().collect();
    let raw = Tensor::node(Op::RecurrentGrad(of), Inputs::Many(inputs), shape, y.dtype(), at);
    let inputs = [&raw].into_iter().chain(given).chain([g]).cloned().collect();
    let op = Op::RecurrentOutput { of, adjoint: true };
    let all = Tensor::node(op, Inputs::Many(inputs), shape, y.dtype(), at);

    let (rows, width) = (all.narrow(0, 0..steps), cell.gates() * hidden);
    let of_input = rows.narrow(2, 0..width);
    let of_state = rows.narrow(2, (cell.gradients() - cell.gates()) * hidden..cell.gradients() * hidden);
    let before = if of.reverse { 1..steps + 1 } else { 0..steps };
    let states = y.select(0, 0).narrow(0, before).reshape([steps * batch, hidden]);
    let for_weight = of_state.reshape([steps * batch, width]).transpose(0, 1).matmul(&states);
    let last = all.select(0, steps);
    let mut parts = vec![None, Some(of_input), Some(for_weight), Some(last.narrow(1, 0..hidden))];
    match cell {
        Cell::Lstm => parts.push(Some(last.narrow(1, hidden..2 * hidden))),
        Cell::Gru => parts.push(Some(of_state.narrow(2, 2 * hidden..3 * hidden).sum([0, 1]))),
        Cell::RnnTanh | Cell::RnnRelu => {}
    }
    parts.extend(lengths.map(|_| None));
    parts
}

fn run(node: &Node, inputs: &[&Array]) -> Result<Array, String> {
    let Op::Recurrent(of) = *node.op() else { return Err("not recurrent".into()) };
    let size = extent(node.shape());
    let lengths = lengths_of(inputs.get(of.cell.inputs()).copied(), size.steps)?;
    macro_rules! at {
        ($t:ty, $wrap:path) => {{
            let slices: Option<Vec<&[$t]>> = inputs[..of.cell.inputs()].iter().map(|x| x.as_slice()).collect();
            let slices = slices.ok_or("inputs of several dtypes")?;
            let other = slices.get(3).copied().unwrap_or(&[]);
            let given = Given { gates: slices[0], weight: slices[1], h: slices[2], other, lengths };
            let mut saved = vec![0.0; node.shape().count()];
            forward(of, size, given, &mut saved);
            Ok(Array::new(*node.shape(), $wrap(saved)))
        }};
    }
    match node.dtype() {
        DType::F32 => at!(f32, Values::F32),
        DType::F64 => at!(f64, Values::F64),
        dtype => Err(format!("{} is not defined on {dtype}", of.cell.name())),
    }
}

fn run_adjoint(node: &Node, inputs: &[&Array]) -> Result<Array, String> {
    let Op::RecurrentGrad(of) = *node.op() else { return Err("not an adjoint of a recurrent layer".into()) };
    let size = extent(inputs[0].shape());
    let lengths = lengths_of(inputs.get(3).copied(), size.steps)?;
    macro_rules! at {
        ($t:ty, $wrap:path) => {{
            let slices: Option<Vec<&[$t]>> = inputs[..3].iter().map(|x| x.as_slice()).collect();
            let slices = slices.ok_or("inputs of several dtypes")?;
            let mut out = vec![0.0; node.shape().count()];
            backward(of, size, (slices[0], slices[1], slices[2]), lengths, &mut out);
            Ok(Array::new(*node.shape(), $wrap(out)))
        }};
    }
    match node.dtype() {
        DType::F32 => at!(f32, Values::F32),
        DType::F64 => at!(f64, Values::F64),
        dtype => Err(format!("{} is not defined on {dtype}", node.op().page().name)),
    }
}

fn lengths_of(lengths: Option<&Array>, steps: usize) -> Result<Option<&[i64]>, String> {
    let Some(lengths) = lengths else { return Ok(None) };
    let lengths = lengths.as_slice::<i64>().ok_or("lengths are i64")?;
    check_lengths(lengths, steps).map(|()| Some(lengths))
}

/// Refuses lengths outside `1..=steps`.
///
/// # Errors
/// The first such length, and whose it is.
pub fn check_lengths(lengths: &[i64], steps: usize) -> Result<(), String> {
    match lengths.iter().position(|&length| length < 1 || length > steps as i64) {
        Some(n) => Err(format!("sample {n} has length {}, which is not 1 to {steps}", lengths[n])),
        None => Ok(()),
    }
}

/// Which way a recurrent layer goes, and how far in each sample.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScanOptions<'a> {
    /// Steps of each sample, i64 `[N]`, each 1 to T, in any order; without them every sample takes all steps. Outputs past a
    /// sample's length are zero, and its last state is that of its last step, as with PyTorch's packed sequences.
    pub lengths: Option<&'a Tensor>,
    /// From the last step of each sample to its first.
    pub reverse: bool,
}

impl Tensor {
    /// An LSTM layer over `self [T, N, 4H]`, the input's part of i, f, g, o with both biases: the outputs `[T, N, H]`, and h
    /// and c `[N, H]` after the last step. `weight [4H, H]` is that of the state, `h` and `c` the state before the first step.
    ///
    /// An error if a shape does not fit; when evaluated, if a length is not 1 to T.
    #[track_caller]
    pub fn lstm(&self, weight: &Tensor, h: &Tensor, c: &Tensor, options: &ScanOptions) -> [Tensor; 3] {
        let state = self.scan(Cell::Lstm, &[weight, h, c], options, Location::caller());
        [state.output(options), state.last(0), state.last(1)]
    }

    /// A GRU layer over `self [T, N, 3H]`, the input's part of r, z, n with the biases of the input, and those of the state for
    /// r and z: the outputs `[T, N, H]`, and h `[N, H]` after the last step. `bias [H]` is that of the state's part of n.
    /// `weight [3H, H]`, `h [N, H]` and errors as in [`Tensor::lstm`].
    #[track_caller]
    pub fn gru(&self, weight: &Tensor, bias: &Tensor, h: &Tensor, options: &ScanOptions) -> [Tensor; 2] {
        let state = self.scan(Cell::Gru, &[weight, h, bias], options, Location::caller());
        [state.output(options), state.last(0)]
    }

    /// A plain recurrent layer over `self [T, N, H]`, the input's part with both biases, through tanh, or max(., 0) if `relu`.
    /// `weight [H, H]`, `h [N, H]`, results and errors as in [`Tensor::gru`].
    #[track_caller]
    pub fn rnn(&self, relu: bool, weight: &Tensor, h: &Tensor, options: &ScanOptions) -> [Tensor; 2] {
        let cell = if relu { Cell::RnnRelu } else { Cell::RnnTanh };
        let state = self.scan(cell, &[weight, h], options, Location::caller());
        [state.output(options), state.last(0)]
    }

    fn scan(&self, cell: Cell, given: &[&Tensor], options: &ScanOptions, at: &'static Location<'static>) -> States {
        let inputs: Vec<&Tensor> = [self].into_iter().chain(given.iter().copied()).chain(options.lengths).collect();
        let of = Recurrence { cell, reverse: options.reverse };
        if let Some(bad) = inputs.iter().find(|input| input.error().is_some()) {
            return States { all: (*bad).clone(), of };
        }
        if let Err((kind, message)) = check(cell, &inputs) {
            let roles = ["the gates", "the weight", "h", if cell == Cell::Lstm { "c" } else { "the bias" }];
            let notes = roles.iter().zip(&inputs).take(cell.inputs());
            let error = Error::new(kind, cell.name(), message);
            let error = notes.fold(error, |error, (role, input)| error.note(provenance(role, input)));
            return States { all: Tensor::failed(error, at), of };
        }
        let (steps, batch, hidden) = (self.dims()[0], self.dims()[1], self.dims()[2] / cell.gates());
        let shape = |fields| Shape::new(&[fields, steps + 1, batch, hidden]);
        let (Some(saved), Some(states)) = (shape(cell.fields()), shape(cell.differentiated())) else {
            let message = format!("{} is too long", self.shape());
            return States { all: Tensor::failed(Error::new(ErrorKind::Shape, cell.name(), message), at), of };
        };
        let given: Vec<Tensor> = inputs.into_iter().cloned().collect();
        let raw = Tensor::node(Op::Recurrent(of), Inputs::Many(given.clone()), saved, self.dtype(), at);
        let inputs = Inputs::Many([raw].into_iter().chain(given).collect());
        let all = Tensor::node(Op::RecurrentOutput { of, adjoint: false }, inputs, states, self.dtype(), at);
        States { all, of }
    }
}

/// The states of all steps.
struct States {
    all: Tensor,
    of: Recurrence,
}

impl States {
    #[track_caller]
    fn output(&self, options: &ScanOptions) -> Tensor {
        if self.all.error().is_some() {
            return self.all.clone();
        }
        let Extent { steps, batch, .. } = extent(self.all.shape());
        let after = if self.of.reverse { 0..steps } else { 1..steps + 1 };
        let output = self.all.select(0, 0).narrow(0, after);
        match options.lengths {
            Some(lengths) => {
                let taken = Tensor::iota([steps, batch], 0, DType::I64).lt(lengths);
                output.keep_where(&taken.unsqueeze(2))
            }
            None => output,
        }
    }

    #[track_caller]
    fn last(&self, field: usize) -> Tensor {
        if self.all.error().is_some() {
            return self.all.clone();
        }
        let row = if self.of.reverse { 0 } else { self.all.dims()[1] - 1 };
        self.all.select(0, field).select(0, row)
    }
}

fn check(cell: Cell, inputs: &[&Tensor]) -> Result<(), (ErrorKind, String)> {
    let fail = |message| Err((ErrorKind::Shape, message));
    let (gates, given) = (inputs[0], &inputs[1..cell.inputs()]);
    arithmetic(cell.name(), gates.dtype()).map_err(|message| (ErrorKind::DType, message))?;
    if !gates.dtype().is_float() {
        return Err((ErrorKind::DType, format!("{} of {}: cast to f32 first", cell.name(), gates.dtype())));
    }
    if let Some(other) = given.iter().find(|input| input.dtype() != gates.dtype()) {
        let message = format!("{} with {}: cast to one of them, f32 first", gates.dtype(), other.dtype());
        return Err((ErrorKind::DType, message));
    }
    let &[steps, batch, width] = gates.dims() else {
        return fail(format!("the gates {} are not [T, N, {} H]", gates.shape(), cell.gates()));
    };
    if steps == 0 || width == 0 || !width.is_multiple_of(cell.gates()) {
        let message = format!(
            "the gates {} are not [T, N, {} H] with at least one step and one unit",
            gates.shape(),
            cell.gates()
        );
        return fail(message);
    }
    let hidden = width / cell.gates();
    let state = vec![batch, hidden];
    let other = if cell == Cell::Gru { ("the bias", vec![hidden]) } else { ("c", state.clone()) };
    let wanted = [("the weight", vec![width, hidden]), ("h", state), other];
    for (input, (role, dims)) in given.iter().zip(wanted) {
        if input.dims() != dims {
            return fail(format!("{role} is {}, not {dims:?}, for gates {}", input.shape(), gates.shape()));
        }
    }
    match inputs.get(cell.inputs()) {
        Some(lengths) if lengths.dtype() != DType::I64 => {
            Err((ErrorKind::DType, format!("the lengths are {}, not i64", lengths.dtype())))
        }
        Some(lengths) if lengths.dims() != [batch] => fail(format!("lengths {} for {batch} samples", lengths.shape())),
        _ => Ok(()),
    }
}
