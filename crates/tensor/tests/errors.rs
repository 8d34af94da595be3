//! Errors of every family name the op, the shapes or dtypes, and the caller's line.

use glassbox_tensor::{ConvOptions, DType, PoolOptions, Tensor};

fn f(dims: &[usize]) -> Tensor {
    Tensor::zeros(dims, DType::F32)
}

fn int(dims: &[usize]) -> Tensor {
    Tensor::zeros(dims, DType::I64)
}

/// The tensor, what its error must say, and the line that built it.
macro_rules! case {
    ($tensor:expr, $($says:expr),+) => {
        ($tensor, vec![$($says),+], line!())
    };
}

#[test]
fn errors_name_the_op_what_does_not_fit_and_the_line() {
    let conv = |tweak: fn(&mut ConvOptions)| {
        let mut options = ConvOptions::new(2);
        tweak(&mut options);
        options
    };
    let pool = |tweak: fn(&mut PoolOptions)| {
        let mut options = PoolOptions::new(&[2, 2]);
        tweak(&mut options);
        options
    };
    let cases = [
        case!(&f(&[2, 3]) + &f(&[4]), "add", "[2, 3] and [4] do not broadcast"),
        case!(f(&[1 << 31, 1]) + f(&[1, 1 << 31]), "add", "more elements than memory can address"),
        case!(f(&[2]).narrow(0, 0..3), "narrow", "0..3", "axis of 2"),
        case!(f(&[2]).narrow(0, usize::MAX - 1..usize::MAX), "narrow", "axis of 2"),
        case!(f(&[1, 1, 3]).adaptive_avg_pool(&[1 << 61]), "adaptive_avg_pool", "more elements"),
        case!(Tensor::concat(&vec![f(&[1]).expand([1 << 58]); 8], 0), "concat", "8 tensors are too large together"),
        case!(f(&[2, 0]).max(1), "max", "over axes [1]"),
        case!(&f(&[2]) + &int(&[2]), "add", "f32 and i64", "cast one operand"),
        case!(&int(&[2]) * 0.5, "mul", "0.5 and a i64 tensor"),
        case!(f(&[2]).and(f(&[2])), "and", "defined on bool and integers, not on f32"),
        case!(int(&[2]).exp(), "exp", "not defined on i64", "cast the operand to f32 first"),
        case!(f(&[2]).not(), "not", "not defined on f32", "compare first"),
        case!(f(&[2]).where_else(&f(&[2]), 0.0), "where", "the condition is f32, not bool"),
        case!(f(&[2]).keep_where(&f(&[3]).gt(0.0)), "where", "[3], [2] and [2] do not broadcast"),
        case!(int(&[2]).where_else(&f(&[2]).gt(0.0), 0.5), "where", "0.5 and a i64 tensor"),
        case!(f(&[2]).gt(0.0).clamp(0, 1), "clamp", "not defined on bool"),
        case!(f(&[2, 3]).sum(2), "sum", "axis 2 is out of range for 2 dimensions"),
        case!(f(&[2, 3]).max([0isize, -2]), "max", "axis 0 is named twice"),
        case!(f(&[2, 0]).max(1), "max", "no values to choose from in [2, 0]"),
        case!(int(&[2]).mean(0), "mean", "not defined on i64", "cast to f32 first"),
        case!(f(&[2, 0]).argmin(1), "argmin", "no values along axis 1 of [2, 0]"),
        case!(f(&[2]).cumsum(-2), "cumsum", "axis -2 is out of range for 1 dimensions"),
        case!(f(&[2]).argsort(1, false), "argsort", "axis 1 is out of range"),
        case!(f(&[2]).top_k(3, 0).0, "top_k", "k = 3 of 2 values"),
        case!(f(&[2, 3]).reshape([4]), "reshape", "6 elements of [2, 3] do not fill [4]"),
        case!(f(&[2, 3]).permute(&[0, 0]), "permute", "[0, 0] does not name each of 2 axes once"),
        case!(f(&[2, 3]).expand([4, 3]), "expand", "[2, 3] does not repeat to [4, 3]"),
        case!(f(&[2, 3]).squeeze(0), "squeeze", "axis 0 of [2, 3] has size 2, not 1"),
        case!(f(&[2, 3]).select(1, 3), "select", "index 3 is out of range for axis 1 of [2, 3]"),
        case!(f(&[2, 3]).slice(0, 0, 2, 0), "slice", "a step of 0"),
        case!(f(&[3]).flip(1), "flip", "axis 1 is out of range"),
        case!(f(&[2, 3]).pad(2, 1, 1, 0.0), "pad", "axis 2 is out of range"),
        case!(f(&[2, 3]).pad_reflect(1, 3, 0), "pad_reflect", "needs more than 3 elements along axis 1"),
        case!(Tensor::concat(&[f(&[2, 3]), f(&[3, 3])], 1), "concat", "[2, 3] and [3, 3] along axis 1"),
        case!(Tensor::concat(&[f(&[2]), int(&[2])], 0), "concat", "f32 and i64"),
        case!(Tensor::concat(&[], 0), "concat", "no tensors"),
        case!(f(&[2, 3]).matmul(&f(&[4, 5])), "matmul", "[2, 3] x [4, 5] (inner sizes 3 and 4)"),
        case!(f(&[2, 2, 3]).matmul(&f(&[3, 3, 5])), "matmul", "[2, 2, 3] x [3, 3, 5]: leading dimensions differ"),
        case!(int(&[2, 3]).matmul(&int(&[3, 2])), "matmul", "i64 x i64", "cast to f32 first"),
        case!(f(&[]).matmul(&f(&[3])), "matmul", "a scalar has no matrix product"),
        case!(f(&[1, 3, 4, 4]).conv(&f(&[2, 4, 3, 3]), &ConvOptions::new(2)), "conv", "3 channels in 1 groups"),
        case!(f(&[1, 3, 4, 4]).conv(&f(&[2, 3, 5, 3]), &ConvOptions::new(2)), "conv", "a window of 5 does not fit 4"),
        case!(f(&[1, 3, 4]).conv(&f(&[2, 3, 3, 3]), &ConvOptions::new(1)), "conv", "[1, 3, 4] and weight [2, 3, 3, 3]"),
        case!(
            f(&[1, 3, 4, 4]).conv(&f(&[2, 3, 3, 3]), &conv(|o| o.stride[0] = 0)),
            "conv",
            "stride [0, 1] is out of range"
        ),
        case!(f(&[1, 3, 4, 4]).conv(&f(&[2, 3, 3, 3]), &conv(|o| o.groups = 0)), "conv", "0 groups"),
        case!(
            f(&[1, 3, 4, 4]).conv_transpose(&f(&[3, 2, 3, 3]), &ConvOptions::new(2), &[1, 1]),
            "conv_transpose",
            "output padding 1 must be smaller than stride 1"
        ),
        case!(
            f(&[1, 3, 4, 4]).conv_transpose(&f(&[3, 2, 3, 3]), &ConvOptions::new(2), &[0]),
            "conv_transpose",
            "output padding [0] for 2 spatial dimensions"
        ),
        case!(f(&[1, 3, 1, 4]).max_pool(&PoolOptions::new(&[2, 2])), "max_pool", "a window of 2 does not fit 1"),
        case!(f(&[1, 3, 0, 4]).max_pool(&pool(|o| o.padding = vec![1, 1])), "max_pool", "does not fit 0"),
        case!(f(&[1, 3, 4, 4]).max_pool(&pool(|o| o.padding = vec![2, 0])), "max_pool", "at most half the kernel"),
        case!(f(&[1, 3, 4, 4]).max_pool(&PoolOptions::new(&[2])), "max_pool", "it needs batch and channels first"),
        case!(
            f(&[1, 1, 2]).max_pool(&PoolOptions { padding: vec![1], dilation: vec![3], ..PoolOptions::new(&[2]) }),
            "max_pool",
            "steps over all 2 values"
        ),
        case!(f(&[1, 3, 4, 4]).avg_pool(&pool(|o| o.dilation = vec![2, 2])), "avg_pool", "dilation [2, 2] of a mean"),
        case!(f(&[1, 3, 4, 4]).adaptive_avg_pool(&[2]), "adaptive_avg_pool", "sizes [2] for [1, 3, 4, 4]"),
        case!(f(&[2, 3]).gather(1, &int(&[3, 3])), "gather", "an index of [3, 3] into [2, 3] along axis 1"),
        case!(f(&[2, 3]).gather(1, &f(&[2, 3])), "gather", "the index is f32, not i64"),
        case!(
            f(&[2, 3]).scatter_add(1, &int(&[2, 1]), &f(&[2, 2])),
            "scatter_add",
            "src is f32 [2, 2] with an index of [2, 1]"
        ),
        case!(f(&[2, 3]).index_select(2, &int(&[2])), "index_select", "axis 2 is out of range"),
        case!(
            f(&[2, 3]).index_add(0, &int(&[3]), 5),
            "index_add",
            "an index of [3] does not stand at axis 0 of [2, 3]"
        ),
        case!(f(&[2, 3, 3]).index_add(-3, &int(&[2, 3]), 5), "index_add", "axis -3 is out of range for 2 dimensions"),
        case!(Tensor::uniform([2], glassbox_tensor::RandomKey::new(1), DType::I64), "random", "not i64"),
        case!(Tensor::from_vec(vec![1.0; 5], [2, 3]), "from_vec", "5 values do not fill shape [2, 3]"),
    ];
    for (tensor, says, line) in cases {
        let text = tensor.error().unwrap_or_else(|| panic!("line {line}: {tensor:?} is no error")).to_string();
        for part in says {
            assert!(text.contains(part), "line {line}: no {part:?} in\n{text}");
        }
        // A call over several lines counts from its first.
        let named = (line..line + 3).any(|line| text.contains(&format!("errors.rs:{line}")));
        assert!(named, "line {line} is not named in\n{text}");
    }
}

#[test]
fn an_index_out_of_range_is_an_error_of_the_evaluation_that_names_element_and_line() {
    let index = Tensor::from_vec(vec![0i64, 3, -1], [3]);
    let x = f(&[3]);
    for picked in [x.gather(0, &index), x.index_select(0, &index), x.index_add(0, &index, 3)] {
        let text = glassbox_tensor::reference::evaluate(&[&picked]).map(|_| ()).unwrap_err().to_string();
        assert!(text.contains("index 3 (element 1 of the index) is out of range for 3 entries"), "{text}");
        assert!(text.contains("errors.rs"), "{text}");
    }
}
