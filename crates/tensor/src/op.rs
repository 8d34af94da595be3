//! The table of ops: what each one is called, what it computes, how it is differentiated, how it is tested.
//!
//! An op is a variant of [`Op`] and a [`Page`]. The page lies in the room of its family (`ops/`), beside the methods
//! of [`Tensor`] that build the node and check its shapes.

use crate::array::Array;
use crate::dtype::DType;
use crate::ops;
use crate::shape::{AxisSet, MAX_RANK};
use crate::tensor::{Node, Tensor};

/// What a node computes from its inputs. Plain data: hashed, compared and copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// A value brought from outside.
    Data,
    /// The current value of a variable (a parameter, a moment, a running mean).
    Var,
    /// One number everywhere.
    Full(Scalar),
    /// The index along `axis`.
    Iota {
        /// The axis that is counted.
        axis: u8,
    },
    /// Counter-based random numbers. Input: the key, i64 `[seed, stream, step]`.
    Random(Distribution),
    /// One number to one number.
    Unary(Unary),
    /// Two numbers to one; the inputs have the same shape and dtype.
    Binary(Binary),
    /// Inputs (condition, a, b): a where the condition holds, else b.
    Where,
    /// Limits to `lo..=hi`.
    Clamp {
        /// Lower limit.
        lo: Scalar,
        /// Upper limit.
        hi: Scalar,
        /// Whether the gradient passes at the limits, too.
        ends: bool,
    },
    /// To the node's dtype.
    Cast,
    /// Folds `axes` to size 1.
    Reduce {
        /// How two values become one.
        op: Reduction,
        /// The axes folded.
        axes: AxisSet,
    },
    /// Index (i64) of the extreme along `axis`, which becomes size 1; the first one on ties; NaN counts as extreme.
    ArgReduce {
        /// Largest or smallest.
        max: bool,
        /// The axis folded.
        axis: u8,
    },
    /// Running sum along `axis`, sequential.
    CumSum {
        /// The axis.
        axis: u8,
    },
    /// The order (i64 indices) that sorts along `axis`, as much of it as the result has places; stable; NaN counts as largest.
    ArgSort {
        /// The axis.
        axis: u8,
        /// Largest first.
        descending: bool,
    },
    /// The same elements in row-major order under the node's shape. A view when strides can say it.
    Reshape,
    /// Axis `i` of the result is axis `order[i]` of the input. A view.
    Permute {
        /// Where each axis comes from; entries past the rank are 0.
        order: [u8; MAX_RANK],
    },
    /// Repeats axes of size 1 (and new leading axes) to the node's shape. A view.
    Expand,
    /// Elements `start, start + step, ...` along `axis`. A view.
    Slice {
        /// The axis.
        axis: u8,
        /// First index.
        start: usize,
        /// Distance; negative runs backwards.
        step: isize,
    },
    /// The input, through which no gradient flows. A view.
    Detach,
    /// `before` copies of `value` in front along `axis`, and as many behind as the node's shape needs.
    Pad {
        /// The axis.
        axis: u8,
        /// How many in front.
        before: usize,
        /// What stands there.
        value: Scalar,
    },
    /// The inputs one after the other along `axis`.
    Concat {
        /// The axis.
        axis: u8,
    },
    /// `[.., m, k] x [.., k, n] -> [.., m, n]`; the leading dimensions are equal.
    MatMul,
    /// Convolution: `x [N, C, ..]`, `w [O, C/groups, ..]` -> `[N, O, ..]`.
    Conv(Conv),
    /// Adjoint of convolution in its input: `dy [N, O, ..]`, `w [O, C/groups, ..]` -> the node's shape `[N, C, ..]`.
    ConvInput(Conv),
    /// Adjoint of convolution in its weight: `x [N, C, ..]`, `dy [N, O, ..]` -> the node's shape `[O, C/groups, ..]`.
    ConvWeight(Conv),
    /// Largest value of each window: `[N, C, ..] -> [N, C, ..]`.
    MaxPool(Pool),
    /// Where the largest value of each window stands: i64 row-major index into the spatial dimensions.
    MaxPoolIndex(Pool),
    /// Inputs (x, g): g of each window at its largest value, 0 elsewhere: the node's shape is that of x.
    MaxPoolInput(Pool),
    /// Mean of each window.
    AvgPool(Pool),
    /// Adjoint of the mean of each window: `dy` -> the node's shape.
    AvgPoolInput(Pool),
    /// Inputs (x, index): `y[.., j, ..] = x[.., index[.., j, ..], ..]` along `axis`.
    Gather {
        /// The axis.
        axis: u8,
    },
    /// Inputs (base, index, src): base with `src[.., j, ..]` added at `index[.., j, ..]` along `axis`, in row-major order.
    ScatterAdd {
        /// The axis.
        axis: u8,
    },
    /// Inputs (x, index): whole slices of x along `axis`, whose place the shape of `index` takes.
    IndexSelect {
        /// The axis.
        axis: u8,
    },
    /// Inputs (index, src): zeros of the node's shape with slices of `src` added at `index` along `axis`, in order.
    IndexAdd {
        /// The axis.
        axis: u8,
    },
    /// Inputs (pass, q, k, v) or (pass, q, k, v, mask): the result that `pass` holds, rows `[first, queries, others.., values]`.
    /// A view of the pass; the other inputs are for its gradient.
    Attention(Attention),
    /// Inputs (q, k, v) or (q, k, v, mask), `[.., queries, width]` and so on: result, maxima and inverse sums, flat.
    AttentionPass(Attention),
    /// Inputs (pass, delta, g, q, k, v) or with a mask behind: the gradients of q, k and v, flat.
    AttentionGrad(Attention),
    /// A recurrent layer over a whole sequence, one direction: what every step leaves behind. See [`ops::recurrent`].
    Recurrent(Recurrence),
    /// Adjoint of the recurrent layer in the inputs of its steps, through time.
    RecurrentGrad(Recurrence),
    /// The part of [`Op::Recurrent`] (or, if `adjoint`, of [`Op::RecurrentGrad`]) that carries gradients; inputs: that op,
    /// then everything it was computed from, to which the gradients go. A view of the first input.
    RecurrentOutput {
        /// Of which recurrence.
        of: Recurrence,
        /// Whether it is the adjoint's.
        adjoint: bool,
    },
    /// Building the node failed; the node carries the error.
    Error,
}

/// A number fixed in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// Bits of an f64.
    Float(u64),
    /// An integer.
    Int(i64),
}

impl Scalar {
    /// As f64.
    pub fn f64(self) -> f64 {
        match self {
            Scalar::Float(bits) => f64::from_bits(bits),
            Scalar::Int(i) => i as f64,
        }
    }

    /// As i64 (floats truncate and saturate).
    pub fn i64(self) -> i64 {
        match self {
            Scalar::Float(bits) => f64::from_bits(bits) as i64,
            Scalar::Int(i) => i,
        }
    }
}

impl From<f64> for Scalar {
    fn from(x: f64) -> Scalar {
        Scalar::Float(x.to_bits())
    }
}
impl From<f32> for Scalar {
    fn from(x: f32) -> Scalar {
        Scalar::Float(f64::from(x).to_bits())
    }
}
impl From<i64> for Scalar {
    fn from(x: i64) -> Scalar {
        Scalar::Int(x)
    }
}
impl From<i32> for Scalar {
    fn from(x: i32) -> Scalar {
        Scalar::Int(i64::from(x))
    }
}
impl From<bool> for Scalar {
    fn from(x: bool) -> Scalar {
        Scalar::Int(i64::from(x))
    }
}

/// Distribution of [`Op::Random`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Distribution {
    /// Uniform in [0, 1), 24 bits. Element i is word `i % 4` of Philox group `i / 4`.
    Uniform,
    /// Standard normal by Box-Muller on the words of a Philox group: (0, 1) and (2, 3) give a cosine and a sine each.
    Normal,
    /// Uniform 32-bit words as i64.
    Bits,
}

/// Elementwise functions of one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Unary {
    Neg,
    Abs,
    Sign,
    Exp,
    Expm1,
    Log,
    Log1p,
    Sqrt,
    Rsqrt,
    Recip,
    Sin,
    Cos,
    Tanh,
    Sigmoid,
    Erf,
    Gelu,
    GeluSlope,
    Relu,
    Floor,
    Ceil,
    Round,
    IsNan,
    Not,
}

/// Elementwise functions of two numbers. Comparisons give `Bool`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Rem,
    Pow,
    Max,
    Min,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
    Xor,
}

impl Binary {
    /// Whether the result is `Bool`.
    pub fn compares(self) -> bool {
        matches!(self, Binary::Eq | Binary::Ne | Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge)
    }
}

/// How [`Op::Reduce`] folds. The order is a function of shape alone: see [`crate::order`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Reduction {
    Sum,
    Prod,
    Max,
    Min,
}

/// Geometry of a convolution over 1 to 3 spatial dimensions; entries past `spatial` are stride 1, padding 0, dilation 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv {
    /// Number of spatial dimensions.
    pub spatial: u8,
    /// Distance between windows.
    pub stride: [u32; 3],
    /// Zeros on both sides.
    pub padding: [u32; 3],
    /// Distance between the taps of a window.
    pub dilation: [u32; 3],
    /// Channels are split into this many independent convolutions.
    pub groups: u32,
}

impl Conv {
    /// Whether one window sees the whole input, of these spatial sizes: the convolution is then a matrix product.
    pub fn is_single_window(&self, input: &[usize], kernel: &[usize]) -> bool {
        self.groups == 1 && self.padding == [0; 3] && input == kernel && !input.contains(&0)
    }
}

/// Geometry of pooling over 1 to 3 spatial dimensions; entries past `spatial` are kernel 1, stride 1, padding 0, dilation 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pool {
    /// Number of spatial dimensions.
    pub spatial: u8,
    /// Size of the window.
    pub kernel: [u32; 3],
    /// Distance between windows.
    pub stride: [u32; 3],
    /// Padding on both sides: minus infinity for the maximum, zeros for the mean.
    pub padding: [u32; 3],
    /// Distance between the taps of a window (maximum only).
    pub dilation: [u32; 3],
    /// Round the number of windows up; a window must start inside the input or its left padding.
    pub ceil: bool,
    /// Whether the mean divides by the full window, padding included (positions past the right padding never count).
    pub count_include_pad: bool,
}

/// What attention is told beside its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attention {
    /// Whether query i looks at the keys 0 to i only.
    pub causal: bool,
    /// Factor of the scores.
    pub scale: Scalar,
}

/// What repeats along a sequence, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recurrence {
    /// The cell.
    pub cell: Cell,
    /// From the last step to the first.
    pub reverse: bool,
}

/// The cell of a recurrent layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cell {
    /// Long short-term memory (Hochreiter and Schmidhuber 1997; Gers et al. 2000).
    Lstm,
    /// Gated recurrent unit (Cho et al. 2014).
    Gru,
    /// `h' = tanh(a)` (Elman 1990).
    RnnTanh,
    /// `h' = max(a, 0)`.
    RnnRelu,
}

/// What the engine knows of an op: its page in the book.
pub struct Page {
    /// Name, lower case.
    pub name: &'static str,
    /// The formula of the result.
    pub formula: &'static str,
    /// The formula of the gradient, for people.
    pub gradient_formula: &'static str,
    /// The gradient rule; `None` makes differentiation an error that names the op.
    pub gradient: Option<GradientRule>,
    /// The plain reference implementation: the specification of the op.
    pub reference: fn(&Node, &[&Array]) -> Result<Array, String>,
    /// Sample inputs for the generated tests.
    pub samples: fn() -> Vec<Sample>,
}

/// Builds the gradients of the inputs of `y` from the gradient `g` of `y`: one entry an input, `None` where the input
/// carries no gradient (an index, a condition) or where it is zero by definition (a step function).
pub type GradientRule = fn(y: &Tensor, g: &Tensor) -> Vec<Option<Tensor>>;

/// Builds a graph on given inputs.
pub type Build = Box<dyn Fn(&[Tensor]) -> Tensor>;

/// One case of the generated op matrix: inputs, and the op applied to them.
pub struct Sample {
    /// What the case shows: "broadcast", "size 0", "strided", ...
    pub name: String,
    /// The inputs. Float inputs are f64 here; the matrix also runs them as f32.
    pub inputs: Vec<Array>,
    /// Applies the op.
    pub build: Build,
    /// Whether gradients are checked here (not at kinks, not at infinities).
    pub differentiable: bool,
}

impl Op {
    /// The page of this op.
    pub fn page(&self) -> &'static Page {
        match self {
            Op::Data => &ops::source::DATA,
            Op::Var => &ops::source::VAR,
            Op::Full(_) => &ops::source::FULL,
            Op::Iota { .. } => &ops::source::IOTA,
            Op::Random(_) => &ops::source::RANDOM,
            Op::Unary(unary) => ops::unary::page(*unary),
            Op::Binary(binary) => ops::binary::page(*binary),
            Op::Where => &ops::select::WHERE,
            Op::Clamp { .. } => &ops::select::CLAMP,
            Op::Cast => &ops::select::CAST,
            Op::Reduce { op, .. } => ops::reduce::page(*op),
            Op::ArgReduce { .. } => &ops::reduce::ARG_REDUCE,
            Op::CumSum { .. } => &ops::reduce::CUM_SUM,
            Op::ArgSort { .. } => &ops::sort::ARG_SORT,
            Op::Reshape => &ops::view::RESHAPE,
            Op::Permute { .. } => &ops::view::PERMUTE,
            Op::Expand => &ops::view::EXPAND,
            Op::Slice { .. } => &ops::view::SLICE,
            Op::Detach => &ops::view::DETACH,
            Op::Pad { .. } => &ops::join::PAD,
            Op::Concat { .. } => &ops::join::CONCAT,
            Op::MatMul => &ops::matmul::MATMUL,
            Op::Conv(_) => &ops::conv::CONV,
            Op::ConvInput(_) => &ops::conv::CONV_INPUT,
            Op::ConvWeight(_) => &ops::conv::CONV_WEIGHT,
            Op::MaxPool(_) => &ops::pool::MAX_POOL,
            Op::MaxPoolIndex(_) => &ops::pool::MAX_POOL_INDEX,
            Op::MaxPoolInput(_) => &ops::pool::MAX_POOL_INPUT,
            Op::AvgPool(_) => &ops::pool::AVG_POOL,
            Op::AvgPoolInput(_) => &ops::pool::AVG_POOL_INPUT,
            Op::Gather { .. } => &ops::index::GATHER,
            Op::ScatterAdd { .. } => &ops::index::SCATTER_ADD,
            Op::IndexSelect { .. } => &ops::index::INDEX_SELECT,
            Op::IndexAdd { .. } => &ops::index::INDEX_ADD,
            Op::Attention(_) => &ops::attention::ATTENTION,
            Op::AttentionPass(_) => &ops::attention::ATTENTION_PASS,
            Op::AttentionGrad(_) => &ops::attention::ATTENTION_GRAD,
            Op::Recurrent(of) => ops::recurrent::page(of.cell),
            Op::RecurrentGrad(of) => ops::recurrent::grad_page(of.cell),
            Op::RecurrentOutput { .. } => &ops::recurrent::OUTPUT,
            Op::Error => &ops::source::ERROR,
        }
    }

    /// Whether the op only renames positions of its (first) input.
    pub fn is_view(&self) -> bool {
        use Op::*;
        matches!(
            self,
            Reshape | Permute { .. } | Expand | Slice { .. } | Detach | Attention(_) | RecurrentOutput { .. }
        )
    }

    /// Whether the result has, element for element, the shape of the iteration: what fuses into chains.
    pub fn is_elementwise(&self) -> bool {
        matches!(
            self,
            Op::Full(_)
                | Op::Iota { .. }
                | Op::Random(_)
                | Op::Unary(_)
                | Op::Binary(_)
                | Op::Where
                | Op::Clamp { .. }
                | Op::Cast
        )
    }
}

/// Whether `dtype` may be computed with by `op`, and if not, why.
pub(crate) fn arithmetic(op: &str, dtype: DType) -> Result<(), String> {
    if dtype.is_half() {
        return Err(format!("{op} is not defined on {dtype}, which is storage: cast to f32 first"));
    }
    if dtype == DType::Bool {
        return Err(format!("{op} is not defined on bool: cast first"));
    }
    Ok(())
}
