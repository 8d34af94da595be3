//! Concrete values: a shape and its elements, row-major.

use crate::dtype::DType;
use crate::half::{bf16_to_f32, f16_to_f32, f32_to_bf16, f32_to_f16};
use crate::shape::Shape;

/// A computed tensor: its shape and its elements in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    shape: Shape,
    values: Values,
}

/// The elements of an [`Array`].
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Values {
    F16(Vec<u16>),
    BF16(Vec<u16>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U8(Vec<u8>),
    Bool(Vec<bool>),
}

/// A Rust type that elements can be read as. `F16` and `BF16` have none: cast them first.
pub trait Element: Copy + Send + Sync + 'static {
    /// Its dtype.
    const DTYPE: DType;
    /// Wraps elements of this type.
    fn wrap(values: Vec<Self>) -> Values;
    /// The elements, if they are of this type.
    fn of(values: &Values) -> Option<&[Self]>;
    /// The elements, if they are of this type.
    fn of_mut(values: &mut Values) -> Option<&mut Vec<Self>>;
}

macro_rules! element {
    ($($t:ty, $v:ident);*) => {$(
        impl Element for $t {
            const DTYPE: DType = DType::$v;
            fn wrap(values: Vec<Self>) -> Values { Values::$v(values) }
            fn of(values: &Values) -> Option<&[Self]> {
                if let Values::$v(v) = values { Some(v) } else { None }
            }
            fn of_mut(values: &mut Values) -> Option<&mut Vec<Self>> {
                if let Values::$v(v) = values { Some(v) } else { None }
            }
        }
    )*};
}
element!(f32, F32; f64, F64; i32, I32; i64, I64; u8, U8; bool, Bool);

impl Values {
    /// Their dtype.
    pub fn dtype(&self) -> DType {
        match self {
            Values::F16(_) => DType::F16,
            Values::BF16(_) => DType::BF16,
            Values::F32(_) => DType::F32,
            Values::F64(_) => DType::F64,
            Values::I32(_) => DType::I32,
            Values::I64(_) => DType::I64,
            Values::U8(_) => DType::U8,
            Values::Bool(_) => DType::Bool,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Values::F16(v) | Values::BF16(v) => v.len(),
            Values::F32(v) => v.len(),
            Values::F64(v) => v.len(),
            Values::I32(v) => v.len(),
            Values::I64(v) => v.len(),
            Values::U8(v) => v.len(),
            Values::Bool(v) => v.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `count` zeros of `dtype`.
    pub fn zeros(dtype: DType, count: usize) -> Values {
        match dtype {
            DType::F16 => Values::F16(vec![0; count]),
            DType::BF16 => Values::BF16(vec![0; count]),
            DType::F32 => Values::F32(vec![0.0; count]),
            DType::F64 => Values::F64(vec![0.0; count]),
            DType::I32 => Values::I32(vec![0; count]),
            DType::I64 => Values::I64(vec![0; count]),
            DType::U8 => Values::U8(vec![0; count]),
            DType::Bool => Values::Bool(vec![false; count]),
        }
    }
}

impl Array {
    /// An array of `values` in `shape`. The counts must agree, which every caller in the engine has checked.
    pub fn new(shape: Shape, values: Values) -> Array {
        assert_eq!(shape.count(), values.len(), "an array of shape {shape} needs {} values", shape.count());
        Array { shape, values }
    }

    /// An array of `values` in `shape`.
    pub fn of<T: Element>(shape: Shape, values: Vec<T>) -> Array {
        Array::new(shape, T::wrap(values))
    }

    /// Zeros.
    pub fn zeros(dtype: DType, shape: Shape) -> Array {
        Array::new(shape, Values::zeros(dtype, shape.count()))
    }

    /// Its shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Its dtype.
    pub fn dtype(&self) -> DType {
        self.values.dtype()
    }

    /// Its elements.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Its elements, to be overwritten in place.
    pub fn values_mut(&mut self) -> &mut Values {
        &mut self.values
    }

    /// Its elements, owned.
    pub fn into_values(self) -> Values {
        self.values
    }

    /// The same elements under another shape of the same count.
    pub fn reshaped(self, shape: Shape) -> Array {
        Array::new(shape, self.values)
    }

    /// The elements as `T`, if that is their type.
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        T::of(&self.values)
    }

    /// Element `index` (row-major) as f64; integers and booleans become numbers.
    pub fn get_f64(&self, index: usize) -> f64 {
        match &self.values {
            Values::F16(v) => f64::from(f16_to_f32(v[index])),
            Values::BF16(v) => f64::from(bf16_to_f32(v[index])),
            Values::F32(v) => f64::from(v[index]),
            Values::F64(v) => v[index],
            Values::I32(v) => f64::from(v[index]),
            Values::I64(v) => v[index] as f64,
            Values::U8(v) => f64::from(v[index]),
            Values::Bool(v) => f64::from(u8::from(v[index])),
        }
    }

    /// All elements as f64.
    pub fn to_f64(&self) -> Vec<f64> {
        (0..self.values.len()).map(|i| self.get_f64(i)).collect()
    }

    /// The elements converted to `dtype`: floats round to nearest; float to integer truncates towards zero and
    /// saturates (NaN becomes 0); integers wrap; to `Bool` is "not zero".
    pub fn cast(&self, dtype: DType) -> Array {
        if dtype == self.dtype() {
            return self.clone();
        }
        let values = match &self.values {
            Values::F16(v) => cast_f32(&v.iter().map(|&x| f16_to_f32(x)).collect::<Vec<_>>(), dtype),
            Values::BF16(v) => cast_f32(&v.iter().map(|&x| bf16_to_f32(x)).collect::<Vec<_>>(), dtype),
            Values::F32(v) => cast_f32(v, dtype),
            Values::F64(v) => match dtype {
                DType::F32 => Values::F32(v.iter().map(|&x| x as f32).collect()),
                DType::I32 => Values::I32(v.iter().map(|&x| x as i32).collect()),
                DType::I64 => Values::I64(v.iter().map(|&x| x as i64).collect()),
                DType::U8 => Values::U8(v.iter().map(|&x| x as u8).collect()),
                DType::Bool => Values::Bool(v.iter().map(|&x| x != 0.0).collect()),
                _ => cast_f32(&v.iter().map(|&x| x as f32).collect::<Vec<_>>(), dtype),
            },
            Values::I32(v) => cast_i64(v.iter().map(|&x| i64::from(x)), dtype),
            Values::I64(v) => cast_i64(v.iter().copied(), dtype),
            Values::U8(v) => cast_i64(v.iter().map(|&x| i64::from(x)), dtype),
            Values::Bool(v) => cast_i64(v.iter().map(|&x| i64::from(x)), dtype),
        };
        Array::new(self.shape, values)
    }
}

fn cast_f32(v: &[f32], dtype: DType) -> Values {
    match dtype {
        DType::F16 => Values::F16(v.iter().map(|&x| f32_to_f16(x)).collect()),
        DType::BF16 => Values::BF16(v.iter().map(|&x| f32_to_bf16(x)).collect()),
        DType::F32 => Values::F32(v.to_vec()),
        DType::F64 => Values::F64(v.iter().map(|&x| f64::from(x)).collect()),
        DType::I32 => Values::I32(v.iter().map(|&x| x as i32).collect()),
        DType::I64 => Values::I64(v.iter().map(|&x| x as i64).collect()),
        DType::U8 => Values::U8(v.iter().map(|&x| x as u8).collect()),
        DType::Bool => Values::Bool(v.iter().map(|&x| x != 0.0).collect()),
    }
}

fn cast_i64(v: impl Iterator<Item = i64>, dtype: DType) -> Values {
    match dtype {
        DType::F16 => Values::F16(v.map(|x| f32_to_f16(x as f32)).collect()),
        DType::BF16 => Values::BF16(v.map(|x| f32_to_bf16(x as f32)).collect()),
        DType::F32 => Values::F32(v.map(|x| x as f32).collect()),
        DType::F64 => Values::F64(v.map(|x| x as f64).collect()),
        DType::I32 => Values::I32(v.map(|x| x as i32).collect()),
        DType::I64 => Values::I64(v.collect()),
        DType::U8 => Values::U8(v.map(|x| x as u8).collect()),
        DType::Bool => Values::Bool(v.map(|x| x != 0).collect()),
    }
}
