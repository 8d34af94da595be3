//! How numbers become colours.

/// Blue below 0, nearly white at 0, red above (ColorBrewer's RdBu).
const SIGNED: [[u8; 3]; 9] = [
    [5, 48, 97],
    [33, 102, 172],
    [67, 147, 195],
    [146, 197, 222],
    [247, 247, 247],
    [244, 165, 130],
    [214, 96, 77],
    [178, 24, 43],
    [103, 0, 31],
];

/// Black over purple and orange to pale yellow, as light as it is large (matplotlib's inferno).
const HEAT: [[u8; 3]; 9] = [
    [0, 0, 4],
    [31, 12, 72],
    [85, 15, 109],
    [136, 34, 106],
    [186, 54, 85],
    [227, 89, 51],
    [249, 140, 10],
    [249, 201, 50],
    [252, 255, 164],
];

/// The colour of a number from -1 to 1.
pub fn signed(value: f32) -> [f32; 3] {
    between(&SIGNED, 0.5 + 0.5 * value)
}

/// The colour of a number from 0 to 1.
pub fn heat(value: f32) -> [f32; 3] {
    between(&HEAT, value)
}

fn between(stops: &[[u8; 3]; 9], share: f32) -> [f32; 3] {
    let place = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) } * (stops.len() - 1) as f32;
    let low = (place as usize).min(stops.len() - 2);
    let part = place - low as f32;
    std::array::from_fn(|c| {
        let [a, b] = [stops[low][c], stops[low + 1][c]].map(|x| f32::from(x) / 255.0);
        a + part * (b - a)
    })
}

/// The stops of a gradient in an SVG.
pub(super) fn stops(is_signed: bool) -> String {
    let stops = if is_signed { &SIGNED } else { &HEAT };
    let one = |(at, [r, g, b]): (usize, &[u8; 3])| {
        format!(r#"<stop offset="{}" stop-color="rgb({r},{g},{b})"/>"#, at as f32 / (stops.len() - 1) as f32)
    };
    stops.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_white_and_signs_are_told_apart() {
        assert!(signed(0.0).iter().all(|&x| x > 0.95));
        assert!(signed(0.8)[0] > signed(0.8)[2] && signed(-0.8)[2] > signed(-0.8)[0]);
        let light = |value: f32| heat(value).iter().sum::<f32>();
        assert!((0..10).all(|at| light(at as f32 / 10.0) < light((at + 1) as f32 / 10.0)));
        assert_eq!((signed(7.0), heat(f32::NAN)), (signed(1.0), heat(0.0)));
    }
}
