//! Tensors: cheap handles to immutable nodes of a lazy graph.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use crate::array::{Array, Element};
use crate::dtype::DType;
use crate::error::{Error, ErrorKind, Result};
use crate::op::Op;
use crate::origin::{Origin, origin};
use crate::shape::{Dims, MAX_RANK, Shape};
use crate::var::Var;

/// A value that may not have been computed yet: op, inputs, shape, dtype, origin. Cloning copies a pointer.
///
/// Building never fails: a bad op becomes an error node, and the first evaluation returns the error.
#[derive(Clone)]
pub struct Tensor(pub(crate) Arc<Node>);

/// One node of the graph.
pub struct Node {
    id: u64,
    op: Op,
    inputs: Inputs,
    shape: Shape,
    dtype: DType,
    origin: Origin,
    forward: u64,
    value: OnceLock<Arc<Array>>,
    var: Option<(Var, u64)>,
    error: Option<Error>,
}

/// Up to three inputs lie in the node itself.
pub(crate) enum Inputs {
    None,
    One([Tensor; 1]),
    Two([Tensor; 2]),
    Three([Tensor; 3]),
    Many(Vec<Tensor>),
}

impl Inputs {
    fn as_slice(&self) -> &[Tensor] {
        match self {
            Inputs::None => &[],
            Inputs::One(inputs) => inputs,
            Inputs::Two(inputs) => inputs,
            Inputs::Three(inputs) => inputs,
            Inputs::Many(inputs) => inputs,
        }
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Ids are handed to threads in blocks, so that making a node touches no shared memory.
const ID_BLOCK: u64 = 1024;

thread_local! {
    static IDS: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    /// The forward node whose gradient rule is being applied on this thread, or 0.
    pub(crate) static FORWARD: Cell<u64> = const { Cell::new(0) };
    /// Emptied nodes of graphs that are gone: a training step makes as many nodes as the one before it dropped.
    static SPARE: RefCell<Vec<Tensor>> = const { RefCell::new(Vec::new()) };
}

/// Most nodes kept: a quarter of a megabyte a thread.
const MOST_SPARE: usize = 1024;

fn next_id() -> u64 {
    let (mut next, mut end) = IDS.get();
    if next == end {
        next = NEXT_ID.fetch_add(ID_BLOCK, Ordering::Relaxed);
        end = next + ID_BLOCK;
    }
    IDS.set((next + 1, end));
    next
}

impl Tensor {
    pub(crate) fn node(op: Op, inputs: Inputs, shape: Shape, dtype: DType, at: &'static Location<'static>) -> Tensor {
        if let Some(bad) = inputs.as_slice().iter().find(|input| input.0.error.is_some()) {
            return bad.clone();
        }
        Tensor::make(op, inputs, shape, dtype, at, None, None)
    }

    fn make(
        op: Op,
        inputs: Inputs,
        shape: Shape,
        dtype: DType,
        at: &'static Location<'static>,
        var: Option<(Var, u64)>,
        error: Option<Error>,
    ) -> Tensor {
        let (origin, forward) = (origin(at), FORWARD.get());
        let node =
            Node { id: next_id(), op, inputs, shape, dtype, origin, forward, value: OnceLock::new(), var, error };
        // (At the end of a thread there are none.)
        if let Ok(Some(mut spare)) = SPARE.try_with(|spare| spare.borrow_mut().pop())
            && let Some(empty) = Arc::get_mut(&mut spare.0)
        {
            *empty = node;
            return spare;
        }
        Tensor(Arc::new(node))
    }

    /// An error node: every op on it is the same error, and evaluating it returns the error.
    pub(crate) fn failed(error: Error, at: &'static Location<'static>) -> Tensor {
        let error = if error.origin().is_none() { error.at(origin(at)) } else { error };
        Tensor::make(Op::Error, Inputs::None, Shape::SCALAR, DType::F32, at, None, Some(error))
    }

    pub(crate) fn of_var(var: Var, version: u64, at: &'static Location<'static>) -> Tensor {
        let (shape, dtype) = (*var.shape(), var.dtype());
        Tensor::make(Op::Var, Inputs::None, shape, dtype, at, Some((var, version)), None)
    }

    pub(crate) fn downgrade(&self) -> Weak<Node> {
        Arc::downgrade(&self.0)
    }

    pub(crate) fn upgrade(node: &Weak<Node>) -> Option<Tensor> {
        node.upgrade().map(Tensor)
    }

    /// A tensor of a computed array.
    #[track_caller]
    pub fn from_array(array: impl Into<Arc<Array>>) -> Tensor {
        let array = array.into();
        let tensor =
            Tensor::make(Op::Data, Inputs::None, *array.shape(), array.dtype(), Location::caller(), None, None);
        tensor.realise(array);
        tensor
    }

    /// A tensor of `values`, row-major in `shape`; the count must fit.
    #[track_caller]
    pub fn from_vec<T: Element>(values: Vec<T>, shape: impl Into<Dims>) -> Tensor {
        let shape = match checked("from_vec", shape) {
            Ok(shape) => shape,
            Err(error) => return Tensor::failed(error, Location::caller()),
        };
        if shape.count() != values.len() {
            let message = format!("{} values do not fill shape {shape}, which holds {}", values.len(), shape.count());
            return Tensor::failed(Error::new(ErrorKind::Shape, "from_vec", message), Location::caller());
        }
        Tensor::from_array(Array::of(shape, values))
    }

    /// A scalar given at run time (a learning rate, say): unlike a number written in an expression, another value does
    /// not make another plan.
    #[track_caller]
    pub fn scalar<T: Element>(value: T) -> Tensor {
        Tensor::from_array(Array::of(Shape::SCALAR, vec![value]))
    }

    /// `Ok` unless building the node failed.
    pub fn check(&self) -> Result<()> {
        self.0.error.clone().map_or(Ok(()), Err)
    }

    /// Remembers the computed value, so that graphs built on this tensor start from it. For devices.
    pub fn realise(&self, value: Arc<Array>) {
        debug_assert_eq!(value.shape(), &self.0.shape);
        // A variable's leaf stays one: a graph on it must still be refused after the variable has changed.
        if self.0.var.is_some() {
            return;
        }
        // A second value would be the same bits: the first one stays.
        let _ = self.0.value.set(value);
    }
}

impl std::ops::Deref for Tensor {
    type Target = Node;
    fn deref(&self) -> &Node {
        &self.0
    }
}

impl Node {
    /// A number that no other node of this process has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What the node computes.
    pub fn op(&self) -> &Op {
        &self.op
    }

    /// What it computes from.
    pub fn inputs(&self) -> &[Tensor] {
        self.inputs.as_slice()
    }

    /// Dimensions.
    pub fn dims(&self) -> &[usize] {
        &self.shape
    }

    /// Shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.shape.count()
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The computed value, if there is one already.
    pub fn value(&self) -> Option<&Arc<Array>> {
        self.value.get()
    }

    /// The error this node carries, if building it failed.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// Where it came from.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The id of the forward node whose gradient rule made this node, if one did.
    pub fn forward(&self) -> Option<u64> {
        (self.forward != 0).then_some(self.forward)
    }

    /// The variable this node reads and the version it was traced at, if it reads one.
    pub fn variable(&self) -> Option<(&Var, u64)> {
        self.var.as_ref().map(|(var, version)| (var, *version))
    }
}

/// Graphs can be millions of nodes deep: inputs are released with an explicit stack.
impl Drop for Node {
    fn drop(&mut self) {
        if self.inputs.as_slice().is_empty() {
            return;
        }
        let mut stack: Vec<Tensor> = Vec::with_capacity(64);
        release(&mut self.inputs, &mut stack);
        while let Some(mut tensor) = stack.pop() {
            // The last owner takes the inputs away, so that dropping the node here goes no deeper.
            if let Some(node) = Arc::get_mut(&mut tensor.0) {
                release(&mut node.inputs, &mut stack);
                (node.value, node.var, node.error) = (OnceLock::new(), None, None);
                keep(tensor);
            }
        }
    }
}

/// Keeps the memory of an emptied node for the next one, if there is room. At the end of a thread there is none.
fn keep(empty: Tensor) {
    let _ = SPARE.try_with(|spare| {
        if let Ok(mut spare) = spare.try_borrow_mut()
            && spare.len() < MOST_SPARE
        {
            spare.push(empty);
        }
    });
}

fn release(inputs: &mut Inputs, stack: &mut Vec<Tensor>) {
    match std::mem::replace(inputs, Inputs::None) {
        Inputs::None => {}
        Inputs::One(inputs) => stack.extend(inputs),
        Inputs::Two(inputs) => stack.extend(inputs),
        Inputs::Three(inputs) => stack.extend(inputs),
        Inputs::Many(inputs) => stack.extend(inputs),
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.0.error {
            Some(error) => write!(f, "Tensor(error: {error})"),
            None => write!(f, "Tensor({} {} {})", self.0.op.page().name, self.0.dtype, self.0.shape),
        }
    }
}

/// The shape a caller asks for, checked.
pub(crate) fn checked(op: &str, dims: impl Into<Dims>) -> Result<Shape> {
    let dims = dims.into().0;
    Shape::new(&dims).ok_or_else(|| {
        let message =
            format!("shape {dims:?} has more than {MAX_RANK} dimensions or more elements than memory can address");
        Error::new(ErrorKind::Argument, op, message)
    })
}

/// "the left operand comes from linear at src/model.rs:11: [64, 400]".
pub(crate) fn provenance(role: &str, tensor: &Tensor) -> String {
    let node = &tensor.0;
    let from = node.inputs.as_slice().first().map_or(String::new(), |input| format!("{} -> ", input.shape()));
    format!("{role} comes from {} at {}: {from}{} {}", node.op.page().name, node.origin, node.shape, node.dtype)
}
