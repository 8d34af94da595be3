use super::*;

/// Every f32 bit pattern in steps: zeros, subnormals, infinities and NaNs of both signs among them. A prime.
const STEP: usize = 8191;

const SPECIAL: [f32; 24] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.0,
    -2.0,
    3.0,
    -3.0,
    2.5,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    f32::MIN_POSITIVE,
    -f32::MIN_POSITIVE,
    1e-45,
    -1e-45,
    f32::MAX,
    f32::MIN,
    88.722_84,
    -103.972_08,
    1e10,
    8_388_609.0,
];

fn arguments(step: usize) -> impl Iterator<Item = f32> {
    (0..=u32::MAX).step_by(step).map(f32::from_bits).chain(SPECIAL)
}

/// The distance of `found` from `exact` in units in the last place of f32 at `exact`; infinite where the kinds differ.
fn ulp(found: f32, exact: Wide) -> Wide {
    let right = found.to_bits() == (exact as f32).to_bits() || (found.is_nan() && exact.is_nan());
    if right && (exact.is_nan() || found.is_infinite()) {
        return 0.0;
    }
    if found.is_nan() || exact.is_nan() || (found == 0.0 && exact == 0.0 && !right) {
        return Wide::INFINITY;
    }
    // The power of two after the largest finite number stands for infinity.
    let finite = |x: Wide| if x.abs() > INFINITE { INFINITE.copysign(x) } else { x };
    let exact = finite(exact);
    let exponent = (exact.abs().to_bits() >> 52) as i32 - 1023;
    let spacing = libm::ldexp(1.0, exponent.clamp(-126, 127) - 23);
    (finite(Wide::from(found)) - exact).abs() / spacing
}

/// 2^128.
const INFINITE: Wide = 340_282_366_920_938_463_463_374_607_431_768_211_456.0;

fn check(
    name: &str,
    bound: Wide,
    function: fn(f32) -> f32,
    exact: fn(Wide) -> Wide,
    least: f32,
    most: f32,
    step: usize,
) {
    let mut worst = (0.0, 0.0);
    for x in arguments(step).filter(|x| x.is_nan() || (least..=most).contains(x)) {
        let error = ulp(function(x), exact(Wide::from(x)));
        if error > worst.0 {
            worst = (error, x);
        }
    }
    println!("{name}: {:.3} ULP at {:e}", worst.0, worst.1);
    assert!(worst.0 <= bound, "{name}({:e}) is off by {} ULP", worst.1, worst.0);
}

fn check_all(step: usize) {
    let all =
        |name, bound, function, exact| check(name, bound, function, exact, f32::NEG_INFINITY, f32::INFINITY, step);
    all("exp", 1.0, exp, f64::exp);
    all("expm1", 0.51, expm1, f64::expm1);
    all("log", 1.0, log, f64::log);
    all("log1p", 0.51, log1p, f64::log1p);
    all("tanh", 1.5, tanh, f64::tanh);
    all("sigmoid", 2.5, sigmoid, f64::sigmoid);
    all("erf", 1.5, erf, f64::erf);
    all("sqrt", 0.5, sqrt, f64::sqrt);
    all("rsqrt", 1.5, rsqrt, f64::rsqrt);
    let far = 2_251_799_000_000_000.0;
    check("sin", 0.51, sin, f64::sin, -far, far, step);
    check("cos", 0.51, cos, f64::cos, -far, far, step);
}

/// GLASSBOX_ULP_STEP=61 looks at every 61st f32: a minute, in release mode, after a change to a function.
#[test]
fn errors_stay_within_the_stated_bounds() {
    check_all(std::env::var("GLASSBOX_ULP_STEP").ok().and_then(|step| step.parse().ok()).unwrap_or(STEP));
}

#[test]
fn gelu_and_its_slope_are_off_by_little() {
    for x in arguments(STEP / 16).filter(|x| x.is_finite()) {
        let wide = Wide::from(x);
        let off = |found: f32, exact: Wide| (Wide::from(found) - exact).abs();
        assert!(off(gelu(x), f64::gelu(wide)) <= Wide::from(x.abs().max(1.0)) * Wide::exp2(-23.0), "gelu({x:e})");
        assert!(off(gelu_slope(x), f64::gelu_slope(wide)) <= Wide::exp2(-22.0), "gelu_slope({x:e})");
    }
    assert!(gelu(f32::NAN).is_nan() && gelu_slope(f32::NAN).is_nan());
    assert!(gelu_slope(f32::INFINITY) == 1.0 && gelu_slope(f32::NEG_INFINITY).abs() < 1e-30);
    assert!(gelu(f32::INFINITY) == f32::INFINITY && gelu(f32::NEG_INFINITY).abs() < 1e-30);
}

#[test]
fn power_is_within_its_bound_and_keeps_the_special_cases() {
    let ys: Vec<f32> =
        [0.3, -0.7, 1.5, 10.0, -11.0, 127.0, -149.0, 1e-3, 4.2, 1e9].into_iter().chain(SPECIAL).collect();
    let mut worst = (0.0, 0.0, 0.0);
    for x in arguments(STEP * 16) {
        for &y in &ys {
            let error = ulp(pow(x, y), f64::pow(Wide::from(x), Wide::from(y)));
            if error > worst.0 {
                worst = (error, x, y);
            }
        }
    }
    for x in (1..2000).map(|i| i as f32 * 0.01) {
        for y in (-2000..2000).map(|i| i as f32 * 0.03) {
            let error = ulp(pow(x, y), f64::pow(Wide::from(x), Wide::from(y)));
            if error > worst.0 {
                worst = (error, x, y);
            }
        }
    }
    println!("pow: {:.3} ULP at {:e} {:e}", worst.0, worst.1, worst.2);
    assert!(worst.0 <= 0.51, "pow{worst:?}");
}

#[test]
fn rounding_is_exact() {
    for x in arguments(STEP).chain((-2000..2000).map(|i| i as f32 / 16.0)) {
        let wide = Wide::from(x);
        for (found, exact) in [(round(x), f64::round(wide)), (floor(x), f64::floor(wide)), (ceil(x), f64::ceil(wide))] {
            assert!(found.to_bits() == (exact as f32).to_bits() || (found.is_nan() && x.is_nan()), "{x:e} {found:e}");
        }
    }
}

#[test]
fn a_huge_angle_still_has_a_sine() {
    for x in [1e20, -1e30, f32::MAX] {
        assert!(sin(x).abs() <= 1.0 && cos(x).abs() <= 1.0);
        assert!((sin(x) * sin(x) + cos(x) * cos(x) - 1.0).abs() < 1e-6);
    }
    assert!(sin(f32::INFINITY).is_nan() && cos(f32::NEG_INFINITY).is_nan());
}
