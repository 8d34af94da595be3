//! Choosing, limiting and converting values.

use std::panic::Location;

use crate::array::{Array, Element, Values};
use crate::dtype::DType;
use crate::error::{Error, ErrorKind};
use crate::op::{Op, Page, Scalar};
use crate::ops::binary::{Operand, max, min};
use crate::samples;
use crate::tensor::{Inputs, Tensor, provenance};

/// a where the condition holds, else b.
pub static WHERE: Page = Page {
    name: "where",
    formula: "y = a if c else b",
    gradient_formula: "g where c, g where not c",
    gradient: Some(|y, g| {
        let c = &y.inputs()[0];
        vec![None, Some(g.keep_where(c)), Some(g.zero_where(c))]
    }),
    reference: |_, inputs| {
        fn choose<T: Element>(c: &[bool], a: &[T], b: &Values) -> Values {
            let b = T::of(b).unwrap_or(&[]);
            T::wrap(c.iter().zip(a.iter().zip(b)).map(|(&c, (&a, &b))| if c { a } else { b }).collect())
        }
        let c = inputs[0].as_slice::<bool>().ok_or("the condition is not bool")?;
        let b = inputs[2].values();
        let values = match inputs[1].values() {
            Values::F32(a) => choose(c, a, b),
            Values::F64(a) => choose(c, a, b),
            Values::I32(a) => choose(c, a, b),
            Values::I64(a) => choose(c, a, b),
            Values::U8(a) => choose(c, a, b),
            Values::Bool(a) => choose(c, a, b),
            a => return Err(format!("where is not defined on {}", a.dtype())),
        };
        Ok(Array::new(*inputs[1].shape(), values))
    },
    samples: samples::select,
};

/// Limits to an interval.
pub static CLAMP: Page = Page {
    name: "clamp",
    formula: "y = min(max(x, lo), hi)",
    gradient_formula: "g where lo <= x <= hi, else 0; with open ends g where lo < y < hi",
    gradient: Some(|y, g| {
        let Op::Clamp { lo, hi, ends } = *y.op() else { return vec![None] };
        let (unlimited_below, unlimited_above) = (lo.f64() == f64::NEG_INFINITY, hi.f64() == f64::INFINITY);
        let (x, lo, hi) = (&y.inputs()[0], Operand::Scalar(lo), Operand::Scalar(hi));
        let passes = match (ends, unlimited_below, unlimited_above) {
            // (NaN fails every comparison, so one is enough.)
            (true, true, _) => x.le(hi),
            (true, _, true) => x.ge(lo),
            (true, ..) => x.ge(lo).and(x.le(hi)),
            // Of y where it says the same: what comes after often needs it anyway.
            (false, ..) => y.gt(lo).and(y.lt(hi)),
        };
        vec![Some(g.keep_where(&passes))]
    }),
    reference: |node, inputs| {
        let Op::Clamp { lo, hi, .. } = *node.op() else { return Err("not clamp".into()) };
        let values = match inputs[0].values() {
            Values::F32(v) => Values::F32(v.iter().map(|&x| clamp(x, lo.f64() as f32, hi.f64() as f32)).collect()),
            Values::F64(v) => Values::F64(v.iter().map(|&x| clamp(x, lo.f64(), hi.f64())).collect()),
            Values::I32(v) => Values::I32(v.iter().map(|&x| clamp(i64::from(x), lo.i64(), hi.i64()) as i32).collect()),
            Values::I64(v) => Values::I64(v.iter().map(|&x| clamp(x, lo.i64(), hi.i64())).collect()),
            Values::U8(v) => Values::U8(v.iter().map(|&x| clamp(i64::from(x), lo.i64(), hi.i64()) as u8).collect()),
            v => return Err(format!("clamp is not defined on {}", v.dtype())),
        };
        Ok(Array::new(*inputs[0].shape(), values))
    },
    samples: samples::clamp,
};

/// To another dtype.
pub static CAST: Page = Page {
    name: "cast",
    formula: "y = x as dtype",
    gradient_formula: "g as the dtype of x (floats)",
    gradient: Some(|y, g| {
        let from = y.inputs()[0].dtype();
        vec![(from.is_float() || from.is_half()).then(|| g.cast(from))]
    }),
    reference: |node, inputs| Ok(inputs[0].cast(node.dtype())),
    samples: samples::cast,
};

/// `min(max(x, lo), hi)`; NaN stays.
#[inline(always)]
pub fn clamp<T: PartialOrd>(x: T, lo: T, hi: T) -> T {
    min(max(x, lo), hi)
}

impl Tensor {
    /// `self` where `condition` (`Bool`) holds, else `other`. Broadcasts. No gradient leaks from the branch not taken.
    #[track_caller]
    pub fn where_else(&self, condition: &Tensor, other: impl Into<Operand>) -> Tensor {
        let at = Location::caller();
        let other = other.into().beside("where", self, at);
        if let Some(bad) = [condition, self, &other].into_iter().find(|t| t.error().is_some()) {
            return bad.clone();
        }
        let fail = |kind, message: String| {
            let error = Error::new(kind, "where", message)
                .note(provenance("the condition", condition))
                .note(provenance("the first choice", self))
                .note(provenance("the second choice", &other));
            Tensor::failed(error, at)
        };
        if condition.dtype() != DType::Bool {
            return fail(ErrorKind::DType, format!("the condition is {}, not bool", condition.dtype()));
        }
        if self.dtype() != other.dtype() {
            return fail(ErrorKind::DType, format!("choices {} and {}", self.dtype(), other.dtype()));
        }
        if self.dtype().is_half() {
            return fail(ErrorKind::DType, format!("choices of {}, which is storage: cast to f32 first", self.dtype()));
        }
        let Some(shape) = self.shape().broadcast(other.shape()).and_then(|s| s.broadcast(condition.shape())) else {
            let message = format!("{}, {} and {} do not broadcast", condition.shape(), self.shape(), other.shape());
            return fail(ErrorKind::Shape, message);
        };
        let inputs = [condition.spread(shape, at), self.spread(shape, at), other.spread(shape, at)];
        Tensor::node(Op::Where, Inputs::Three(inputs), shape, self.dtype(), at)
    }

    /// `self` where `condition` holds, else 0: what masks are made of. Unlike a product, it stops NaN and infinity.
    #[track_caller]
    pub fn keep_where(&self, condition: &Tensor) -> Tensor {
        self.where_else(condition, 0)
    }

    /// 0 where `condition` holds, else `self`: [`Tensor::keep_where`] the other way round, for conditions that NaN fails.
    #[track_caller]
    pub(crate) fn zero_where(&self, condition: &Tensor) -> Tensor {
        self.full_like(0).where_else(condition, self)
    }

    /// Limits values to `lo..=hi`. The gradient passes where the value was inside, ends included. NaN stays.
    #[track_caller]
    pub fn clamp(&self, lo: impl Into<Scalar>, hi: impl Into<Scalar>) -> Tensor {
        self.limited(lo.into(), hi.into(), true)
    }

    /// Limits to `lo..=hi`; whether the gradient passes at the `ends`.
    #[track_caller]
    pub(crate) fn limited(&self, lo: Scalar, hi: Scalar, ends: bool) -> Tensor {
        let at = Location::caller();
        if self.error().is_some() {
            return self.clone();
        }
        if let Err(message) = crate::op::arithmetic("clamp", self.dtype()) {
            return Tensor::failed(Error::new(ErrorKind::DType, "clamp", message).note(provenance("x", self)), at);
        }
        Tensor::node(Op::Clamp { lo, hi, ends }, Inputs::One([self.clone()]), *self.shape(), self.dtype(), at)
    }

    /// The values as `dtype`: floats round to nearest even; float to integer truncates and saturates (NaN becomes 0);
    /// integers wrap; to `Bool` is "not zero". The gradient is cast back.
    #[track_caller]
    pub fn cast(&self, dtype: DType) -> Tensor {
        if self.error().is_some() || self.dtype() == dtype {
            return self.clone();
        }
        Tensor::node(Op::Cast, Inputs::One([self.clone()]), *self.shape(), dtype, Location::caller())
    }
}
