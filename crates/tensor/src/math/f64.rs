//! The same functions in f64: pure Rust (the `libm` crate, a port of musl), so the same bits everywhere. Under 1 ULP,
//! sigmoid and rsqrt under 2.

macro_rules! same {
    ($($(#[$doc:meta])* $name:ident = $libm:ident($($x:ident),*);)*) => {
        $($(#[$doc])*
        pub fn $name($($x: f64),*) -> f64 {
            libm::$libm($($x),*)
        })*
    };
}

same! {
    /// e^x.
    exp = exp(x);
    /// e^x - 1.
    expm1 = expm1(x);
    /// The natural logarithm.
    log = log(x);
    /// log(1 + x).
    log1p = log1p(x);
    /// The hyperbolic tangent.
    tanh = tanh(x);
    /// The error function.
    erf = erf(x);
    /// The sine.
    sin = sin(x);
    /// The cosine.
    cos = cos(x);
    /// x^y.
    pow = pow(x, y);
    /// The square root, correctly rounded.
    sqrt = sqrt(x);
    /// The nearest integer, halves to the even one.
    round = rint(x);
    /// The greatest integer not above x.
    floor = floor(x);
    /// The least integer not below x.
    ceil = ceil(x);
}

/// 1 / (1 + e^-x).
pub fn sigmoid(x: f64) -> f64 {
    let z = exp(-x.abs());
    if x < 0.0 { z / (1.0 + z) } else { 1.0 / (1.0 + z) }
}

/// x Phi(x), with the normal distribution function.
pub fn gelu(x: f64) -> f64 {
    // Beyond, Phi is 0, and infinity times 0 would be NaN.
    let x = if x < -40.0 { -40.0 } else { x };
    x * 0.5 * (erf(x * std::f64::consts::FRAC_1_SQRT_2) + 1.0)
}

/// The derivative of [`gelu`].
pub fn gelu_slope(x: f64) -> f64 {
    let distribution = 0.5 * (erf(x * std::f64::consts::FRAC_1_SQRT_2) + 1.0);
    // Beyond, the density is nothing, and infinity times nothing would be NaN.
    let near = if x.abs() > 40.0 { 40.0f64.copysign(x) } else { x };
    let density = exp(-0.5 * near * near) * (std::f64::consts::FRAC_2_SQRT_PI * 0.5 * std::f64::consts::FRAC_1_SQRT_2);
    distribution + near * density
}

/// 1 / sqrt(x).
pub fn rsqrt(x: f64) -> f64 {
    1.0 / sqrt(x)
}
