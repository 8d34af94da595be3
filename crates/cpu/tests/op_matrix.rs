//! The op matrix, generated from the table of ops: each sample of each page is computed by the device and by the
//! reference (f32 and f64, forward and gradient: the same bits at any vector width, on any number of threads, fused or
//! not), and its first and second derivatives are compared with central differences in f64.

use glassbox_cpu::Cpu;
use glassbox_cpu::simd::Simd;
use tensor::op::{Attention, Binary, Cell, Conv, Distribution, Pool, Recurrence, Reduction, Sample, Unary};
use tensor::reference::evaluate;
use tensor::{Array, AxisSet, DType, ErrorKind, Op, RandomKey, Scalar, Tensor, Values};

/// Gradients and differences agree to this, relative to the larger of the two.
const TOLERANCE: f64 = 1e-6;
/// Errors are not measured against less than this part of the largest gradient of the input, or of 1.
const FLOOR: f64 = 1e-3;
/// Step of the differences, relative to the number where that is larger than 1.
const STEP: f64 = 1e-5;
/// Inputs of more than four times as many elements are stepped at this many, and in one direction that moves all.
const ELEMENTS: usize = 8;

/// A function that lists one value for each variant of an enum, from a match without a wildcard: a variant that is not
/// listed here does not compile.
macro_rules! listed {
    ($name:ident -> $type:ty { $($pattern:pat => $example:expr),+ $(,)? }) => {
        fn $name() -> Vec<$type> {
            let examples = vec![$({
                let example: $type = $example;
                assert!(matches!(example, $pattern), "{example:?} stands at another variant");
                example
            }),+];
            examples.iter().for_each(|example| match example { $($pattern => {}),+ });
            examples
        }
    };
}

listed!(unaries -> Unary {
    Unary::Neg => Unary::Neg, Unary::Abs => Unary::Abs, Unary::Sign => Unary::Sign, Unary::Exp => Unary::Exp,
    Unary::Expm1 => Unary::Expm1, Unary::Log => Unary::Log, Unary::Log1p => Unary::Log1p, Unary::Sqrt => Unary::Sqrt,
    Unary::Rsqrt => Unary::Rsqrt, Unary::Recip => Unary::Recip, Unary::Sin => Unary::Sin, Unary::Cos => Unary::Cos,
    Unary::Tanh => Unary::Tanh, Unary::Sigmoid => Unary::Sigmoid, Unary::Erf => Unary::Erf, Unary::Gelu => Unary::Gelu,
    Unary::GeluSlope => Unary::GeluSlope, Unary::Relu => Unary::Relu,
    Unary::Floor => Unary::Floor, Unary::Ceil => Unary::Ceil, Unary::Round => Unary::Round,
    Unary::IsNan => Unary::IsNan, Unary::Not => Unary::Not,
});

listed!(binaries -> Binary {
    Binary::Add => Binary::Add, Binary::Sub => Binary::Sub, Binary::Mul => Binary::Mul, Binary::Div => Binary::Div,
    Binary::Rem => Binary::Rem, Binary::Pow => Binary::Pow, Binary::Max => Binary::Max, Binary::Min => Binary::Min,
    Binary::Eq => Binary::Eq, Binary::Ne => Binary::Ne, Binary::Lt => Binary::Lt, Binary::Le => Binary::Le,
    Binary::Gt => Binary::Gt, Binary::Ge => Binary::Ge, Binary::And => Binary::And, Binary::Or => Binary::Or,
    Binary::Xor => Binary::Xor,
});

listed!(reductions -> Reduction {
    Reduction::Sum => Reduction::Sum, Reduction::Prod => Reduction::Prod,
    Reduction::Max => Reduction::Max, Reduction::Min => Reduction::Min,
});

listed!(cells -> Cell {
    Cell::Lstm => Cell::Lstm, Cell::Gru => Cell::Gru, Cell::RnnTanh => Cell::RnnTanh, Cell::RnnRelu => Cell::RnnRelu,
});

const ZERO: Scalar = Scalar::Int(0);
const CONV: Conv = Conv { spatial: 1, stride: [1; 3], padding: [0; 3], dilation: [1; 3], groups: 1 };
const ATTENTION: Attention = Attention { causal: false, scale: ZERO };
const RECURRENCE: Recurrence = Recurrence { cell: Cell::Lstm, reverse: false };
const POOL: Pool = Pool {
    spatial: 1,
    kernel: [1; 3],
    stride: [1; 3],
    padding: [0; 3],
    dilation: [1; 3],
    ceil: false,
    count_include_pad: true,
};

listed!(kinds -> Op {
    Op::Data => Op::Data,
    Op::Var => Op::Var,
    Op::Full(_) => Op::Full(ZERO),
    Op::Iota { .. } => Op::Iota { axis: 0 },
    Op::Random(_) => Op::Random(Distribution::Uniform),
    Op::Unary(_) => Op::Unary(Unary::Neg),
    Op::Binary(_) => Op::Binary(Binary::Add),
    Op::Where => Op::Where,
    Op::Clamp { .. } => Op::Clamp { lo: ZERO, hi: ZERO, ends: true },
    Op::Cast => Op::Cast,
    Op::Reduce { .. } => Op::Reduce { op: Reduction::Sum, axes: AxisSet(1) },
    Op::ArgReduce { .. } => Op::ArgReduce { max: true, axis: 0 },
    Op::CumSum { .. } => Op::CumSum { axis: 0 },
    Op::ArgSort { .. } => Op::ArgSort { axis: 0, descending: false },
    Op::Reshape => Op::Reshape,
    Op::Permute { .. } => Op::Permute { order: [0; 8] },
    Op::Expand => Op::Expand,
    Op::Slice { .. } => Op::Slice { axis: 0, start: 0, step: 1 },
    Op::Detach => Op::Detach,
    Op::Pad { .. } => Op::Pad { axis: 0, before: 0, value: ZERO },
    Op::Concat { .. } => Op::Concat { axis: 0 },
    Op::MatMul => Op::MatMul,
    Op::Conv(_) => Op::Conv(CONV),
    Op::ConvInput(_) => Op::ConvInput(CONV),
    Op::ConvWeight(_) => Op::ConvWeight(CONV),
    Op::MaxPool(_) => Op::MaxPool(POOL),
    Op::MaxPoolIndex(_) => Op::MaxPoolIndex(POOL),
    Op::MaxPoolInput(_) => Op::MaxPoolInput(POOL),
    Op::AvgPool(_) => Op::AvgPool(POOL),
    Op::AvgPoolInput(_) => Op::AvgPoolInput(POOL),
    Op::Gather { .. } => Op::Gather { axis: 0 },
    Op::ScatterAdd { .. } => Op::ScatterAdd { axis: 0 },
    Op::IndexSelect { .. } => Op::IndexSelect { axis: 0 },
    Op::IndexAdd { .. } => Op::IndexAdd { axis: 0 },
    Op::Attention(_) => Op::Attention(ATTENTION),
    Op::AttentionPass(_) => Op::AttentionPass(ATTENTION),
    Op::AttentionGrad(_) => Op::AttentionGrad(ATTENTION),
    Op::Recurrent(_) => Op::Recurrent(RECURRENCE),
    Op::RecurrentGrad(_) => Op::RecurrentGrad(RECURRENCE),
    Op::RecurrentOutput { .. } => Op::RecurrentOutput { of: RECURRENCE, adjoint: false },
    Op::Error => Op::Error,
});

/// One op for each page.
fn ops() -> Vec<Op> {
    kinds()
        .into_iter()
        .flat_map(|kind| match kind {
            Op::Unary(_) => unaries().into_iter().map(Op::Unary).collect(),
            Op::Binary(_) => binaries().into_iter().map(Op::Binary).collect(),
            Op::Recurrent(of) => cells().into_iter().map(|cell| Op::Recurrent(Recurrence { cell, ..of })).collect(),
            Op::RecurrentGrad(of) => {
                cells().into_iter().map(|cell| Op::RecurrentGrad(Recurrence { cell, ..of })).collect()
            }
            Op::Reduce { axes, .. } => reductions().into_iter().map(|op| Op::Reduce { op, axes }).collect(),
            kind => vec![kind],
        })
        .collect()
}

#[test]
fn every_op_has_samples_and_each_sample_holds_its_op() {
    for op in ops().into_iter().filter(|op| *op != Op::Error) {
        let page = op.page();
        let samples = (page.samples)();
        assert!(samples.len() >= 5, "{} has {} samples", page.name, samples.len());
        for sample in samples {
            let y = build(&sample, DType::F64);
            assert!(y.error().is_none(), "{}, {}: {y:?}", page.name, sample.name);
            let mut stack = vec![y];
            let mut found = false;
            while let Some(node) = stack.pop().filter(|_| !found) {
                found = std::ptr::eq(node.op().page(), page);
                stack.extend(node.inputs().iter().cloned());
            }
            assert!(found, "{}, {}: the op is not in the graph", page.name, sample.name);
        }
    }
}

#[test]
fn every_op_equals_its_reference_bit_for_bit_and_its_gradient_equals_differences() {
    let devices = devices();
    let mut failures = Vec::new();
    println!("\n{:<16}{:>8}{:>10}{:>10}{:>12}{:>12}", "op", "samples", "values", "gradients", "1st error", "2nd error");
    for op in ops() {
        let page = op.page();
        let mut row = Row::default();
        for sample in (page.samples)() {
            row.samples += 1;
            if let Err(message) = row.check(&sample, &devices) {
                failures.push(format!("{}, {}: {message}", page.name, sample.name));
            }
        }
        println!("{:<16}{row}", page.name);
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn inputs_may_be_the_first_part_of_a_longer_value() {
    let devices = &devices()[..1];
    // What lies behind: no index, no number.
    let longer = |x: &Tensor| {
        let junk = x.full_like(if x.dtype().is_float() { Scalar::from(f64::NAN) } else { Scalar::Int(99) });
        let both = evaluate(&[&Tensor::concat(&[x.clone(), junk], 0)]).unwrap_or_else(|error| panic!("{error}"));
        Tensor::from_array(both[0].clone()).narrow(0, 0..x.dims()[0])
    };
    let mut failures = Vec::new();
    for op in ops() {
        for sample in (op.page().samples)() {
            for float in [DType::F32, DType::F64] {
                let prefixes = || -> Vec<Tensor> {
                    let whole = inputs(&sample, float);
                    whole
                        .into_iter()
                        .map(|x| if x.rank() == 0 || x.dtype().is_half() { x } else { longer(&x) })
                        .collect()
                };
                let graph = || {
                    let inputs = prefixes();
                    let y = (sample.build)(&inputs);
                    let differentiable = y.dtype().is_float() && !floats(&sample).is_empty();
                    let gradients = if differentiable { gradients(&sample, &inputs) } else { Vec::new() };
                    [y].into_iter().chain(gradients.into_iter().flatten()).collect()
                };
                if let Err(message) = same_on_all(&graph, devices) {
                    failures.push(format!("{}, {}, {float}: {message}", op.page().name, sample.name));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn half_precision_is_storage_and_every_op_that_computes_says_cast_to_f32_first() {
    for op in ops().into_iter().filter(|op| !op.is_view() && !matches!(op, Op::Data | Op::Var | Op::Cast)) {
        let samples = (op.page().samples)();
        let floats = samples.iter().filter(|sample| sample.inputs.iter().any(|x| x.dtype() == DType::F64));
        for (sample, half) in floats.take(3).flat_map(|sample| [(sample, DType::F16), (sample, DType::BF16)]) {
            let text = format!("{:?}", build(sample, half));
            let place = format!("{}, {}: {text}", op.page().name, sample.name);
            assert!(text.contains(half.name()) && text.contains("f32 first"), "{place}");
        }
    }
}

/// The default device, and every vector width on one thread and on three.
fn devices() -> Vec<(String, Cpu)> {
    let widths = Simd::available().into_iter().flat_map(|simd| {
        [1, 3].map(|threads| (format!("{threads} threads, {}", simd.level()), Cpu::with(threads, simd.level())))
    });
    let all = [("all cores".to_string(), Cpu::new(0))].into_iter().chain(widths);
    all.map(|(name, device)| (name, device.unwrap_or_else(|error| panic!("{error}")))).collect()
}

/// What one op has passed.
#[derive(Default)]
struct Row {
    samples: usize,
    /// Samples whose values have the bits of the reference.
    values: usize,
    /// Samples whose gradients have.
    gradients: usize,
    first: Option<f64>,
    second: Option<f64>,
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let error = |worst: Option<f64>| worst.map_or("-".to_string(), |worst| format!("{worst:.1e}"));
        let (first, second) = (error(self.first), error(self.second));
        write!(f, "{:>8}{:>10}{:>10}{first:>12}{second:>12}", self.samples, self.values, self.gradients)
    }
}

impl Row {
    fn check(&mut self, sample: &Sample, devices: &[(String, Cpu)]) -> Result<(), String> {
        for float in [DType::F32, DType::F64] {
            let graph = || vec![build(sample, float)];
            same_on_all(&graph, devices).map_err(|message| format!("{float}: {message}"))?;
        }
        self.values += 1;
        if !build(sample, DType::F64).dtype().is_float() || floats(sample).is_empty() {
            return Ok(());
        }
        for float in [DType::F32, DType::F64] {
            let graph = || gradients(sample, &inputs(sample, float)).into_iter().flatten().collect();
            same_on_all(&graph, devices).map_err(|message| format!("gradient in {float}: {message}"))?;
        }
        self.gradients += 1;
        if sample.differentiable {
            let first = check_first(sample)?;
            self.first = Some(first.max(self.first.unwrap_or(0.0)));
            let second = check_second(sample)?;
            self.second = Some(second.max(self.second.unwrap_or(0.0)));
        }
        Ok(())
    }
}

/// The inputs of a sample: floats as `float`, all others as they are.
fn inputs(sample: &Sample, float: DType) -> Vec<Tensor> {
    let cast = |x: &Array| if x.dtype() == DType::F64 { x.cast(float) } else { x.clone() };
    sample.inputs.iter().map(|x| Tensor::from_array(cast(x))).collect()
}

fn build(sample: &Sample, float: DType) -> Tensor {
    (sample.build)(&inputs(sample, float))
}

/// The inputs that carry gradients.
fn floats(sample: &Sample) -> Vec<usize> {
    (0..sample.inputs.len()).filter(|&i| sample.inputs[i].dtype() == DType::F64).collect()
}

/// Weights in [-1, 1) for the elements of `like`.
fn weights(like: &Tensor, seed: u64) -> Tensor {
    let key = RandomKey::new(seed).stream("weights");
    let weight = |i: u64| f64::from(key.uniform(i)) * 2.0 - 1.0;
    let array = Array::of(*like.shape(), (0..like.count() as u64).map(weight).collect());
    Tensor::from_array(array.cast(like.dtype()))
}

/// The gradient of each float input under random weights of the result; `None` where the result does not depend on it.
fn gradients(sample: &Sample, inputs: &[Tensor]) -> Vec<Option<Tensor>> {
    let y = (sample.build)(inputs);
    let wrt: Vec<&Tensor> = floats(sample).into_iter().map(|i| &inputs[i]).collect();
    y.vector_jacobian(&weights(&y, 1), wrt).into_iter().map(unless_independent).collect()
}

fn unless_independent(gradient: Tensor) -> Option<Tensor> {
    let independent = gradient
        .error()
        .is_some_and(|error| error.kind() == ErrorKind::NoGradient && error.to_string().contains("does not depend on"));
    (!independent).then_some(gradient)
}

/// Each device gives the bits of the reference, fused or not. The graph is built anew each time: values stay in the nodes.
fn same_on_all(graph: &dyn Fn() -> Vec<Tensor>, devices: &[(String, Cpu)]) -> Result<(), String> {
    let outputs = graph();
    let want = evaluate(&outputs.iter().collect::<Vec<_>>()).map_err(|error| format!("reference: {error}"))?;
    for (name, device) in devices {
        for fused in [true, false] {
            let outputs = graph();
            let roots: Vec<&Tensor> = outputs.iter().collect();
            let got = if fused { device.run(&roots, &[]) } else { device.run_unfused(&roots, &[]) };
            let place = format!("{name}, {}", if fused { "fused" } else { "unfused" });
            let got = got.map_err(|error| format!("{place}: {error}"))?;
            got.iter()
                .zip(&want)
                .try_for_each(|(got, want)| same(got, want).map_err(|text| format!("{place}: {text}")))?;
        }
    }
    Ok(())
}

fn same(got: &Array, want: &Array) -> Result<(), String> {
    if got.shape() != want.shape() || got.dtype() != want.dtype() {
        let (a, b) = (got.dtype(), want.dtype());
        return Err(format!("{a} {} instead of {b} {}", got.shape(), want.shape()));
    }
    match (0..want.shape().count()).find(|&i| bits(got.values(), i) != bits(want.values(), i)) {
        Some(i) => Err(format!("element {i} is {:e} instead of {:e}", got.get_f64(i), want.get_f64(i))),
        None => Ok(()),
    }
}

/// The bits of an element; all NaN are one.
fn bits(values: &Values, i: usize) -> u64 {
    match values {
        Values::F16(v) | Values::BF16(v) => v[i].into(),
        Values::F32(v) if v[i].is_nan() => u64::MAX,
        Values::F32(v) => v[i].to_bits().into(),
        Values::F64(v) if v[i].is_nan() => u64::MAX,
        Values::F64(v) => v[i].to_bits(),
        Values::I32(v) => u64::from(v[i] as u32),
        Values::I64(v) => v[i] as u64,
        Values::U8(v) => v[i].into(),
        Values::Bool(v) => v[i].into(),
    }
}

/// The worst error of the gradient.
fn check_first(sample: &Sample) -> Result<f64, String> {
    let gradients = gradients(sample, &inputs(sample, DType::F64));
    let analytic = numbers(&gradients, sample, &floats(sample))?;
    worst_error("gradient", sample, &analytic, &|inputs| {
        let y = (sample.build)(inputs);
        let weights = weights(&y, 1);
        (vec![y], vec![weights])
    })
}

/// The worst error of the gradient of the randomly weighted gradient.
fn check_second(sample: &Sample) -> Result<f64, String> {
    let weighted = |inputs: &[Tensor]| -> (Vec<Tensor>, Vec<Tensor>) {
        let gradients: Vec<Tensor> = gradients(sample, inputs).into_iter().flatten().collect();
        let weights = gradients.iter().zip(2..).map(|(gradient, seed)| weights(gradient, seed)).collect();
        (gradients, weights)
    };
    let inputs = inputs(sample, DType::F64);
    let (gradients, weights) = weighted(&inputs);
    let wrt: Vec<&Tensor> = floats(sample).into_iter().map(|i| &inputs[i]).collect();
    let Some(total) = gradients.iter().zip(&weights).map(|(g, w)| (g * w).sum(..)).reduce(|a, b| a + b) else {
        return Ok(0.0);
    };
    let second: Vec<Option<Tensor>> = total.grad(wrt).into_iter().map(unless_independent).collect();
    let analytic = numbers(&second, sample, &floats(sample))?;
    worst_error("second derivative", sample, &analytic, &weighted)
}

/// The values of gradients; zeros where there is none.
fn numbers(gradients: &[Option<Tensor>], sample: &Sample, wrt: &[usize]) -> Result<Vec<Vec<f64>>, String> {
    let there: Vec<&Tensor> = gradients.iter().flatten().collect();
    let mut values = evaluate(&there).map_err(|error| error.to_string())?.into_iter();
    let zeros = |i: usize| vec![0.0; sample.inputs[i].shape().count()];
    let mut pick = |gradient: &Option<Tensor>| gradient.as_ref().and_then(|_| values.next());
    Ok(gradients
        .iter()
        .zip(wrt)
        .map(|(gradient, &i)| pick(gradient).map_or_else(|| zeros(i), |v| v.to_f64()))
        .collect())
}

/// Functions of the inputs, and the weights with which they are summed to one number.
type Weighted<'a> = &'a dyn Fn(&[Tensor]) -> (Vec<Tensor>, Vec<Tensor>);

/// Compares the gradient of the weighted sum of `f`, one vector a float input, with central differences.
fn worst_error(what: &str, sample: &Sample, analytic: &[Vec<f64>], f: Weighted) -> Result<f64, String> {
    let mut worst: f64 = 0.0;
    for (&input, analytic) in floats(sample).iter().zip(analytic) {
        let x = sample.inputs[input].to_f64();
        let steps = steps(&x);
        let mut pairs = Vec::new();
        for step in &steps {
            let numeric = difference(sample, input, step, f)?;
            let expected: f64 = step.iter().map(|&(i, h)| analytic[i] * h).sum();
            // Both are changes over the step: per unit of its length they are slopes.
            let length = step.iter().map(|&(_, h)| h * h).sum::<f64>().sqrt();
            pairs.push((expected / length, numeric / length, step[0].0));
        }
        let largest = pairs.iter().fold(1.0f64, |m, &(a, n, _)| m.max(a.abs()).max(n.abs()));
        for (a, n, at) in pairs {
            let error = (a - n).abs() / a.abs().max(n.abs()).max(FLOOR * largest);
            if error.is_nan() || error > TOLERANCE {
                return Err(format!("{what} of input {input} at element {at}: {a:e}, but the difference is {n:e}"));
            }
            worst = worst.max(error);
        }
    }
    Ok(worst)
}

/// Steps from `x`: each a list of elements and how far they move.
fn steps(x: &[f64]) -> Vec<Vec<(usize, f64)>> {
    let width = |i: usize| STEP * x[i].abs().max(1.0);
    let together = 1.0 / (x.len() as f64).sqrt();
    let key = RandomKey::new(x.len() as u64).stream("steps");
    if x.len() <= 4 * ELEMENTS {
        return (0..x.len()).map(|i| vec![(i, width(i))]).collect();
    }
    let some = (0..ELEMENTS as u64).map(|e| key.below(e, x.len() as u64) as usize).map(|i| vec![(i, width(i))]);
    let sign = |i: usize| if key.words(i as u64)[2] & 1 == 0 { 1.0 } else { -1.0 };
    let all = (0..x.len()).map(|i| (i, sign(i) * width(i) * together)).collect();
    some.chain([all]).collect()
}

/// Half the change of the weighted sum of `f` between one step back and one step ahead.
fn difference(sample: &Sample, input: usize, step: &[(usize, f64)], f: Weighted) -> Result<f64, String> {
    let at = |sign: f64| {
        let mut inputs = inputs(sample, DType::F64);
        let mut x = sample.inputs[input].to_f64();
        step.iter().for_each(|&(i, h)| x[i] += sign * h);
        inputs[input] = Tensor::from_array(Array::of(*sample.inputs[input].shape(), x));
        let (values, weights) = f(&inputs);
        let both: Vec<&Tensor> = values.iter().chain(&weights).collect();
        let mut arrays: Vec<Vec<f64>> = evaluate(&both)?.iter().map(|array| array.to_f64()).collect();
        let weights = arrays.split_off(values.len()).concat();
        Ok((arrays.concat(), weights))
    };
    let (ahead, weights) = at(1.0).map_err(|error: tensor::Error| error.to_string())?;
    let (back, _) = at(-1.0).map_err(|error| error.to_string())?;
    Ok(ahead.iter().zip(&back).zip(&weights).map(|((a, b), w)| (a - b) * w).sum::<f64>() / 2.0)
}
