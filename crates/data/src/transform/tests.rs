use super::*;
use crate::Target;

/// A 5 x 7 image whose pixels follow no pattern.
fn pattern() -> Image {
    Image::from_fn(1, 5, 7, |_, y, x| ((7 * y * y + 3 * x * x + 5 * x * y + 11 * x) % 17) as f32 / 16.0)
}

fn colours() -> Image {
    Image::from_fn(3, 6, 8, |c, y, x| ((c * 31 + y * 17 + x * 13 + c * x * y) % 29) as f32 / 28.0)
}

fn image(height: usize, width: usize, pixels: &[f32]) -> Image {
    Image { channels: 1, height, width, pixels: pixels.to_vec() }
}

fn key() -> AugmentationKey {
    augmentation_key(1, 2, 3)
}

fn apply(transform: Transform, image: Image) -> Image {
    transform.apply(image, key()).unwrap()
}

fn all() -> Vec<Transform> {
    vec![
        Transform::Resize { height: 9, width: 5 },
        Transform::ResizeShorter(5),
        Transform::RandomCrop { height: 6, width: 6, padding: 1 },
        Transform::RandomResizedCrop { height: 5, width: 6, area: (0.3, 1.0) },
        Transform::HorizontalFlip { probability: 0.5 },
        Transform::AlternateFlip,
        Transform::VerticalFlip { probability: 0.5 },
        Transform::Cutout { side: 2, colour: vec![0.1, 0.2, 0.3] },
        Transform::Pad { amount: 2, mode: PadMode::Reflect },
        Transform::Pad { amount: 1, mode: PadMode::Constant(0.5) },
        Transform::Rotation { degrees: 30.0 },
        Transform::Shift { pixels: 2 },
        Transform::ColourJitter { brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
        Transform::ColourPca { directions: [[0.2, 0.2, 0.2], [0.1, 0.0, -0.1], [0.02, -0.04, 0.02]], strength: 0.1 },
        Transform::CenterCrop { height: 4, width: 4 },
        Transform::Grey,
        Transform::Rgb,
        Transform::Normalise { mean: vec![0.4, 0.5, 0.6], std: vec![0.2, 0.3, 0.4] },
    ]
}

#[test]
fn the_same_key_gives_the_same_pixels_and_another_key_others() {
    let transforms = Transforms(all());
    transforms.check().unwrap();
    let run = |seed, epoch, row| transforms.apply_image(colours(), augmentation_key(seed, epoch, row)).unwrap();
    let first = run(1, 2, 3);
    assert_eq!(first, run(1, 2, 3));
    assert_eq!(first.shape(), [3, 4, 4]);
    for other in [run(2, 2, 3), run(1, 3, 3), run(1, 2, 4)] {
        assert_ne!(first, other);
    }
}

#[test]
fn values_stay_between_0_and_1_and_finite() {
    let transforms = Transforms(all()[..13].to_vec());
    for row in 0..200 {
        let image = transforms.apply_image(colours(), augmentation_key(0, 0, row)).unwrap();
        assert!(image.pixels.iter().all(|x| (-1e-6..=1.0 + 1e-6).contains(x)), "row {row}");
    }
}

#[test]
fn resize_equals_pillow() {
    // Pillow 12, Image.fromarray(pattern, mode="F").resize((w, h), Image.BILINEAR).
    #[rustfmt::skip]
    let golden: [(usize, usize, &[f32]); 3] = [
        (3, 4, &[0.4158163, 0.3432143, 0.4517857, 0.4566326, 0.4768519, 0.6302778, 0.5630556, 0.4166667, 0.6262755,
                 0.74, 0.6825, 0.5510204]),
        (2, 13, &[0.3693182, 0.4226398, 0.5159528, 0.4191433, 0.246285, 0.4916958, 0.8068182, 0.517701, 0.2908654,
                  0.4377185, 0.5159528, 0.4226398, 0.3693182, 0.6818182, 0.6005245, 0.4582605, 0.534528, 0.6982081,
                  0.7897727, 0.8693182, 0.7347028, 0.6066434, 0.5179196, 0.4645979, 0.4997815, 0.5198864]),
        (1, 1, &[0.5455192]),
    ];
    for (height, width, expected) in golden {
        let resized = apply(Transform::Resize { height, width }, pattern());
        assert_eq!(resized.shape(), [1, height, width]);
        for (got, want) in resized.pixels.iter().zip(expected) {
            assert!((got - want).abs() < 1e-6, "{height} x {width}: {got} instead of {want}");
        }
    }
}

#[test]
fn resize_larger_interpolates_between_the_nearest_two() {
    let wide = apply(Transform::Resize { height: 1, width: 4 }, image(1, 2, &[0.0, 1.0]));
    assert_eq!(wide.pixels, [0.0, 0.25, 0.75, 1.0]);
    assert_eq!(apply(Transform::Resize { height: 5, width: 7 }, pattern()), pattern());
}

#[test]
fn the_shorter_side_gets_its_length_and_proportions_stay() {
    let wide = Image::filled(3, 30, 45, 0.5);
    assert_eq!(apply(Transform::ResizeShorter(20), wide).shape(), [3, 20, 30]);
    assert_eq!(apply(Transform::ResizeShorter(20), Image::filled(1, 45, 30, 0.5)).shape(), [1, 30, 20]);
}

#[test]
fn crops_pads_and_flips_move_pixels_and_change_none() {
    let small = image(2, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let centre = apply(Transform::CenterCrop { height: 2, width: 1 }, small.clone());
    assert_eq!(centre, image(2, 1, &[2.0, 5.0]));
    let mirrored = apply(Transform::HorizontalFlip { probability: 1.0 }, small.clone());
    assert_eq!(mirrored, image(2, 3, &[3.0, 2.0, 1.0, 6.0, 5.0, 4.0]));
    let turned = apply(Transform::VerticalFlip { probability: 1.0 }, small.clone());
    assert_eq!(turned, image(2, 3, &[4.0, 5.0, 6.0, 1.0, 2.0, 3.0]));
    assert_eq!(apply(Transform::HorizontalFlip { probability: 0.0 }, small.clone()), small);
    let reflected = apply(Transform::Pad { amount: 1, mode: PadMode::Reflect }, small.clone());
    #[rustfmt::skip]
    assert_eq!(reflected, image(4, 5, &[
        5.0, 4.0, 5.0, 6.0, 5.0,
        2.0, 1.0, 2.0, 3.0, 2.0,
        5.0, 4.0, 5.0, 6.0, 5.0,
        2.0, 1.0, 2.0, 3.0, 2.0,
    ]));
    let framed = apply(Transform::Pad { amount: 1, mode: PadMode::Constant(9.0) }, image(1, 1, &[1.0]));
    assert_eq!(framed, image(3, 3, &[9.0, 9.0, 9.0, 9.0, 1.0, 9.0, 9.0, 9.0, 9.0]));
}

#[test]
fn random_crops_and_shifts_reach_every_place_equally_often() {
    let dot = Image::from_fn(1, 3, 3, |_, y, x| if (y, x) == (1, 1) { 1.0 } else { 0.0 });
    for transform in [Transform::Shift { pixels: 1 }, Transform::RandomCrop { height: 3, width: 3, padding: 1 }] {
        let mut places = [0; 9];
        for row in 0..9000 {
            let moved = transform.apply(dot.clone(), augmentation_key(0, 0, row)).unwrap();
            places[moved.pixels.iter().position(|&x| x == 1.0).unwrap()] += 1;
        }
        // 1,000 expected, standard deviation 30.
        assert!(places.iter().all(|n| (880..1120).contains(n)), "{places:?}");
    }
}

#[test]
fn a_quarter_turn_against_the_clock_takes_the_right_to_the_top() {
    let turned = geometry::rotate(image(3, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]), 90.0);
    for (got, want) in turned.pixels.iter().zip([3.0, 6.0, 9.0, 2.0, 5.0, 8.0, 1.0, 4.0, 7.0]) {
        assert!((got - want).abs() < 1e-5, "{:?}", turned.pixels);
    }
    assert_eq!(geometry::rotate(pattern(), 0.0), pattern());
}

#[test]
fn colours_become_grey_and_grey_becomes_three_equal_channels() {
    let red = Image { channels: 3, height: 1, width: 1, pixels: vec![1.0, 0.0, 0.0] };
    assert_eq!(apply(Transform::Grey, red), image(1, 1, &[0.299]));
    assert_eq!(apply(Transform::Rgb, image(1, 1, &[0.5])).pixels, [0.5; 3]);
}

#[test]
fn colours_change_along_the_directions_given_and_by_their_deviation() {
    let directions = [[0.2, 0.1, 0.0], [0.0; 3], [0.0; 3]];
    let pca = Transform::ColourPca { directions, strength: 0.5 };
    let grey = Image::from_fn(3, 2, 2, |_, _, _| 0.5);
    let mut squares = 0.0;
    for row in 0..4000 {
        let lit = pca.apply(grey.clone(), augmentation_key(0, 0, row)).unwrap();
        let by = [0, 4, 8].map(|at| lit.pixels[at] - 0.5);
        assert!((by[0] - 2.0 * by[1]).abs() < 1e-6 && by[2] == 0.0 && lit.pixels[0] == lit.pixels[3]);
        squares += f64::from(by[0]).powi(2) / 4000.0;
    }
    assert!((squares.sqrt() - 0.1).abs() < 0.005, "{squares}");
}

#[test]
fn a_third_of_the_hue_circle_takes_red_to_green() {
    let jitter = Transform::ColourJitter { brightness: 0.0, contrast: 0.0, saturation: 0.0, hue: 0.5 };
    let red = Image { channels: 3, height: 1, width: 1, pixels: vec![1.0, 0.0, 0.0] };
    // The turn is drawn, so check what every turn keeps: the brightest channel is 1, the darkest 0.
    for row in 0..50 {
        let turned = jitter.apply(red.clone(), augmentation_key(0, 0, row)).unwrap();
        let (low, high) = turned.pixels.iter().fold((1.0f32, 0.0f32), |(l, h), &x| (l.min(x), h.max(x)));
        assert!(low.abs() < 1e-6 && (high - 1.0).abs() < 1e-6, "{:?}", turned.pixels);
    }
    let mut turned = red;
    colour::turn_hue(&mut turned, 1.0 / 3.0);
    for (got, want) in turned.pixels.iter().zip([0.0, 1.0, 0.0]) {
        assert!((got - want).abs() < 1e-6, "{:?}", turned.pixels);
    }
}

#[test]
fn normalise_is_per_channel_and_serves_table_rows_too() {
    let two = Image { channels: 2, height: 1, width: 1, pixels: vec![3.0, 8.0] };
    let transform = Transform::Normalise { mean: vec![1.0, 2.0], std: vec![2.0, 3.0] };
    assert_eq!(apply(transform.clone(), two).pixels, [1.0, 2.0]);
    let row = Sample { x: vec![3.0, 8.0], shape: vec![2], target: Target::Class(1) };
    let normalised = Transforms::new().then(transform).apply(row.clone(), key()).unwrap();
    assert_eq!(normalised, Sample { x: vec![1.0, 2.0], shape: vec![2], target: Target::Class(1) });
    let error = Transforms::new().then(Transform::Grey).apply(row, key()).unwrap_err().to_string();
    assert!(error.starts_with("transforms: Grey cannot be applied to a sample of shape [2]"), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_found_before_the_first_image() {
    let normalise = Transform::Normalise { mean: vec![0.0], std: vec![1.0] };
    let message = |transforms: Vec<Transform>| Transforms(transforms).check().unwrap_err().to_string();
    assert_eq!(
        message(vec![Transform::Normalise { mean: vec![0.0], std: vec![0.0] }]),
        "Normalise: the standard deviation 0 is not above 0\n  help: correct this setting of the transform"
    );
    assert!(message(vec![Transform::HorizontalFlip { probability: 1.5 }]).contains("probability is 1.5"));
    assert!(message(vec![Transform::Rotation { degrees: f32::NAN }]).contains("degrees is NaN"));
    assert!(message(vec![Transform::Resize { height: 0, width: 4 }]).contains("0 x 4"));
    assert!(message(vec![Transform::Resize { height: 1 << 40, width: 4 }]).contains("1099511627776 x 4"));
    let jitter = all().into_iter().find(|transform| transform.name() == "ColourJitter").unwrap();
    assert!(message(vec![normalise, jitter]).contains("put Normalise last"));
    assert!(
        message(vec![Transform::RandomResizedCrop { height: 1, width: 1, area: (0.5, 0.2) }]).contains("0.5 ..= 0.2")
    );
}

#[test]
fn an_image_that_does_not_fit_is_an_error() {
    let message = |t: Transform, i: Image| t.apply(i, key()).unwrap_err().to_string();
    let crop = Transform::RandomCrop { height: 9, width: 9, padding: 0 };
    assert!(message(crop, pattern()).starts_with("RandomCrop: an image of 5 x 7 is smaller than the crop 9 x 9"));
    let pad = Transform::Pad { amount: 5, mode: PadMode::Reflect };
    assert!(message(pad, pattern()).starts_with("Pad: an image of 5 x 7 cannot be mirrored over 5 pixels"));
    let four = Image::filled(4, 1, 1, 0.0);
    assert!(message(Transform::Grey, four).starts_with("Grey: an image of 4 channels is neither grey nor RGB"));
    let short = Image { channels: 1, height: 2, width: 2, pixels: vec![0.0; 3] };
    assert!(message(Transform::Rgb, short).starts_with("sample: 3 numbers for the shape [1, 2, 2]"));
}

#[test]
fn a_text_becomes_tokens_of_one_length_whose_first_word_is_like_any_other() {
    let tokenizer = Arc::new(crate::Tokenizer::learn([" dog dog dog"], 300, true));
    let row = |text: &str, length: usize| {
        let x: Vec<f32> = text.bytes().map(f32::from).collect();
        let sample = Sample { shape: vec![x.len()], x, target: crate::Target::Class(1) };
        let tokens = Transform::Tokens { tokenizer: Arc::clone(&tokenizer), length };
        Transforms::new().then(tokens).apply(sample, key()).unwrap()
    };
    let sample = row("Dog dog", 4);
    assert_eq!(
        (sample.x[0], sample.x[1], &sample.x[2..], sample.shape),
        (sample.x[1], sample.x[0], &[0.0; 2][..], vec![4])
    );
    assert_eq!(tokenizer.decode(&[sample.x[0] as u32]), " dog");
    assert_eq!(row("dog", 3).x, row("dog", 9).x[..3]);
    assert_eq!(row("dog dog x", 1).x, [sample.x[0]]);
    let none = Transform::Tokens { tokenizer, length: 0 };
    assert!(Transforms::new().then(none).check().unwrap_err().to_string().contains("a row has from 1 to"));
}

#[test]
fn every_other_epoch_shows_the_other_side() {
    let small = image(1, 2, &[1.0, 2.0]);
    let shown =
        |epoch, row| Transform::AlternateFlip.apply(small.clone(), augmentation_key(1, epoch, row)).unwrap().pixels;
    let mirrored: Vec<bool> = (0..1000).map(|row| shown(0, row) == [2.0, 1.0]).collect();
    assert!((400..600).contains(&mirrored.iter().filter(|&&mirrored| mirrored).count()));
    for epoch in 1..4 {
        let now: Vec<bool> = (0..1000).map(|row| shown(epoch, row) == [2.0, 1.0]).collect();
        assert!(now.iter().zip(&mirrored).all(|(now, first)| (now == first) == epoch.is_multiple_of(2)));
    }
}

#[test]
fn a_square_is_cut_out_and_stays_within() {
    let cut = |side, row| {
        let transform = Transform::Cutout { side, colour: vec![7.0, 8.0, 9.0] };
        transform.apply(colours(), augmentation_key(1, 0, row)).unwrap()
    };
    let painted = |image: &Image, c: usize| {
        (0..48)
            .filter(|at| image.at(c, at / 8, at % 8) == 7.0 + c as f32)
            .map(|at| (at / 8, at % 8))
            .collect::<Vec<_>>()
    };
    let mut sizes = [0; 10];
    for row in 0..500 {
        let cut = cut(3, row);
        let places = painted(&cut, 0);
        let (top, left) = places[0];
        assert!(places.iter().all(|&(y, x)| (top..top + 3).contains(&y) && (left..left + 3).contains(&x)));
        assert!((1..3).all(|c| painted(&cut, c) == places));
        let kept = (0..48).filter(|at| cut.at(1, at / 8, at % 8) == colours().at(1, at / 8, at % 8)).count();
        assert_eq!(kept + places.len(), 48);
        sizes[places.len()] += 1;
    }
    // Whole about the 24 pixels within the border of 48, a corner of 2 x 2 about 4.
    assert!((190..310).contains(&sizes[9]) && (15..80).contains(&sizes[4]), "{sizes:?}");
    assert_eq!(cut(0, 1), colours());
    let wrong = Transform::Cutout { side: 2, colour: vec![0.0; 2] }.apply(colours(), key()).unwrap_err();
    assert!(wrong.to_string().contains("a colour of 2 values for an image of 3 channels"), "{wrong}");
}
