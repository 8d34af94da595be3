//! The page's experiment is the library's: tuning and answers to a bar.

mod tiny;

use see::{Bars, Gratings, Net, Units, tune};
use serde_json::Value;
use tiny::{ask, place, studio};

/// The numbers of an answer: little-endian f32 in base 64.
fn numbers(value: &Value) -> Vec<f32> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let six = |letter: u8| LETTERS.iter().position(|&other| other == letter).unwrap_or(0) as u32;
    let text = value.as_str().unwrap().as_bytes();
    let quads = text.chunks(4).flat_map(|quad| {
        let word = quad.iter().fold(0, |word, &letter| word << 6 | six(letter));
        [(word >> 16) as u8, (word >> 8) as u8, word as u8]
    });
    let bytes: Vec<u8> = quads.collect();
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

#[test]
fn a_bar_evokes_what_the_library_says_at_any_angle_and_place() {
    let place = place("cells");
    let studio = studio(&place);
    let mut run = zoo::Run::open(place.0.join("runs/tiny")).unwrap();
    let last = run.last_step().unwrap();
    let (status, about) = ask(&studio, &format!("/api/cells?run=tiny&step={last}"));
    assert_eq!((status, &about["usual"]), (200, &"conv1/relu".into()), "{about}");
    assert!(about["layers"].as_array().unwrap().iter().any(|layer| layer["path"] == "conv2"), "{about}");
    let asked = format!("run=tiny&step={last}&layer=conv1/relu&window=3");
    let (status, tuning) = ask(&studio, &format!("/api/cells/tuning?{asked}"));
    assert_eq!(status, 200, "{tuning}");
    assert_eq!(tuning["proof"]["verified"], true);
    let tuned = tuning["units"].as_array().unwrap();
    let shifts: Vec<f64> = tuning["shifts"].as_array().unwrap().iter().map(|shift| shift.as_f64().unwrap()).collect();

    // The weights that it answers with are the averaged ones.
    run.stand(last, &mut |_, _| Ok(())).unwrap();
    run.job().average.as_ref().unwrap().swap().unwrap();
    let net = Net { cpu: run.cpu(), model: &*run.job().model, scope: &run.job().scope };
    let units = Units::new(net, &run.job().splits.input, "conv1/relu", &[3]).unwrap();
    let own = tune(&Gratings::standard(28, 28), &mut |pictures, _| units.respond(pictures)).unwrap();
    let bars = Bars::standard(28, 28, 1);
    assert_eq!((tuned.len(), own.len()), (6, 6));
    for (unit, (told, own)) in tuned.iter().zip(&own).enumerate() {
        assert!((told["preferred"].as_f64().unwrap() - own.preferred.to_degrees()).abs() < 1e-9, "{unit}");
        assert!((told["osi"].as_f64().unwrap() - own.osi).abs() < 1e-12, "{unit}");
        let curve: Vec<f32> = own.curve.iter().map(|&answer| answer as f32).collect();
        assert_eq!(numbers(&told["curve"]), curve);
        let to_bars = numbers(&told["bars"]);
        for (orientation, shift) in [(0, 0), (7, 3), (20, 11)] {
            let bar = bars.picture(bars.angle(orientation), shifts[shift]);
            let evoked = units.respond(&bar).unwrap()[unit];
            assert_eq!(to_bars[orientation * shifts.len() + shift], evoked as f32, "unit {unit}");
            let live =
                format!("/api/cells/answer?{asked}&unit={unit}&angle={}&shift={}", 5 * orientation, shifts[shift]);
            let (status, answer) = ask(&studio, &live);
            assert_eq!(status, 200, "{answer}");
            assert!((answer["answers"][unit].as_f64().unwrap() - evoked).abs() < 1e-6, "{answer}");
            assert_eq!(answer["map"]["shape"], serde_json::json!([28, 28]));
        }
    }
    for refused in ["angle=NaN&shift=0", "angle=0", "angle=0&shift=0&unit=6", "angle=0&shift=0&thickness=inf"] {
        let (status, answer) = ask(&studio, &format!("/api/cells/answer?{asked}&{refused}"));
        assert!((400..500).contains(&status), "{refused}: {answer}");
    }
    for question in ["tuning?", "answer?angle=0&shift=0&"] {
        let asked = format!("/api/cells/{question}run=tiny&step={last}&layer=conv1/relu&window=99");
        let (status, answer) = ask(&studio, &asked);
        assert!(
            status == 400 && answer["error"].as_str().unwrap().contains("99 x 99 neighbours"),
            "{status}: {answer}"
        );
    }
}
