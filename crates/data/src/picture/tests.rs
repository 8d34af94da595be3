use super::*;

const HEIGHT: usize = 13;
const WIDTH: usize = 18;

fn file(name: &str) -> (Vec<u8>, std::path::PathBuf) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name);
    (std::fs::read(&path).unwrap(), path)
}

fn decode(name: &str) -> Picture {
    let (bytes, path) = file(name);
    decode_picture(&bytes, &path, MAX_PIXELS).unwrap()
}

/// The pixels of the files, as `tests/files/make.py` has them.
fn grey(y: usize, x: usize) -> u8 {
    ((y * 19 + x * 13) % 256) as u8
}

fn rgb(y: usize, x: usize) -> [u8; 3] {
    [(y * 12 + x * 3).min(255) as u8, (x * 13 + 5).min(255) as u8, (200 - y * 7 - x * 4) as u8]
}

fn picture<const C: usize>(pixel: impl Fn(usize, usize) -> [u8; C]) -> Picture {
    let pixels = (0..HEIGHT * WIDTH).flat_map(|i| pixel(i / WIDTH, i % WIDTH)).collect();
    Picture { channels: C, height: HEIGHT, width: WIDTH, depth: Depth::Eight(pixels) }
}

#[test]
fn png_of_every_kind_gives_its_pixels() {
    assert_eq!(decode("grey8.png"), picture(|y, x| [grey(y, x)]));
    assert_eq!(decode("grey_alpha8.png"), picture(|y, x| [grey(y, x)]));
    assert_eq!(decode("grey1.png"), picture(|y, x| [if grey(y, x) > 127 { 255 } else { 0 }]));
    assert_eq!(decode("rgb8.png"), picture(rgb));
    assert_eq!(decode("rgba8.png"), picture(rgb));
    let palette = [[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]];
    assert_eq!(decode("palette.png"), picture(|y, x| palette[usize::from(grey(y, x) % 4)]));
    let sixteen = decode("grey16.png");
    let expected = (0..HEIGHT * WIDTH).map(|i| u16::from(grey(i / WIDTH, i % WIDTH)) * 256 + 3);
    assert_eq!(sixteen.depth, Depth::Sixteen(expected.collect()));
}

#[test]
fn jpeg_of_every_kind_gives_the_pixels_of_libjpeg_turbo_within_rounding() {
    for (name, most) in [("baseline", 4), ("progressive", 4), ("full_colour", 2), ("grey", 1), ("cmyk", 4)] {
        let (ours, theirs) = (decode(&format!("{name}.jpg")), decode(&format!("{name}_decoded.png")));
        assert_eq!((ours.channels, ours.height, ours.width), (theirs.channels, HEIGHT, WIDTH), "{name}");
        let (Depth::Eight(a), Depth::Eight(b)) = (&ours.depth, &theirs.depth) else {
            panic!("{name} has 16 bits");
        };
        let worst = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        assert!(worst <= most, "{name}: off by {worst}");
    }
}

#[test]
fn planes_come_in_the_order_red_green_blue() {
    let image = decode("rgb8.png").to_image(3);
    assert_eq!(image.shape(), [3, HEIGHT, WIDTH]);
    for (c, y, x) in [(0, 2, 3), (1, 12, 17), (2, 0, 0)] {
        assert_eq!(image.at(c, y, x), f32::from(rgb(y, x)[c]) / 255.0);
    }
    let (grey_image, [r, g, b]) = (decode("rgb8.png").to_image(1), rgb(4, 5).map(|v| f32::from(v) / 255.0));
    assert_eq!(grey_image.at(0, 4, 5), 0.299 * r + 0.587 * g + 0.114 * b);
    let three = decode("grey8.png").to_image(3);
    assert!((0..3).all(|c| three.at(c, 7, 9) == f32::from(grey(7, 9)) / 255.0));
}

#[test]
fn a_picture_cut_off_anywhere_is_an_error_with_its_path() {
    for name in ["rgb8.png", "palette.png", "baseline.jpg", "progressive.jpg", "grey.jpg"] {
        let (bytes, path) = file(name);
        for length in 0..bytes.len() {
            match decode_picture(&bytes[..length], &path, MAX_PIXELS) {
                Ok(_) => panic!("{name} was read, though cut off at {length} of {}", bytes.len()),
                Err(error) => assert!(error.to_string().contains(name), "{error}"),
            }
        }
    }
}

#[test]
fn damaged_pictures_never_panic() {
    for name in ["rgb8.png", "grey16.png", "palette.png", "baseline.jpg", "progressive.jpg", "cmyk.jpg"] {
        let (bytes, path) = file(name);
        crate::fuzz::flips(&bytes, 2000, |damaged| drop(decode_picture(damaged, &path, 1 << 20)));
    }
}

#[test]
fn the_header_tells_the_size_and_no_damage_to_it_panics() {
    for name in ["rgb8.png", "grey16.png", "baseline.jpg", "progressive.jpg", "cmyk.jpg"] {
        let (bytes, path) = file(name);
        assert_eq!(picture_size(&path).unwrap(), (HEIGHT, WIDTH), "{name}");
        crate::fuzz::truncations(&bytes, |cut| assert!(header_size(cut).is_none_or(|size| size == (HEIGHT, WIDTH))));
        crate::fuzz::flips(&bytes, 2000, |damaged| _ = header_size(damaged));
    }
}

#[test]
fn other_formats_and_huge_pictures_are_refused() {
    let message = |bytes: &[u8], most| decode_picture(bytes, Path::new("a.png"), most).unwrap_err().to_string();
    assert_eq!(
        message(b"GIF89a", MAX_PIXELS),
        "broken picture file a.png: it is neither PNG nor JPEG: it starts with 47 49 46 38\n  \
         help: convert it to PNG or JPEG"
    );
    assert!(message(b"", MAX_PIXELS).starts_with("broken picture file a.png: it is empty"));
    let (png, jpeg) = (file("rgb8.png").0, file("baseline.jpg").0);
    assert!(message(&png, 100).contains("18 x 13 is more than 100 pixels, the most that is decoded"));
    assert!(message(&jpeg, 100).contains("18 x 13 is more than 100 pixels, the most that is decoded"));
}

#[test]
fn a_header_that_claims_more_pixels_than_the_file_can_hold_is_refused() {
    let mut jpeg = file("baseline.jpg").0;
    let frame = jpeg.windows(2).position(|w| w == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x1F, 0xFF, 0x1F, 0xFF]);
    let error = decode_picture(&jpeg, Path::new("a.jpg"), MAX_PIXELS).unwrap_err().to_string();
    assert!(error.contains("8191 x 8191 pixels cannot come from"), "{error}");
}

#[test]
fn what_was_written_as_png_is_read_again() {
    let path = std::env::temp_dir().join(format!("glassbox-picture-{}.png", std::process::id()));
    let image = decode("rgb8.png").to_image(3);
    write_png(&path, &image).unwrap();
    let again = read_picture(&path, MAX_PIXELS).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(again, decode("rgb8.png"));
    let wrong = write_png(&path, &Image::filled(2, 3, 4, 0.0)).unwrap_err().to_string();
    assert!(wrong.starts_with("PNG: 24 bytes for 3 x 4 x 2"), "{wrong}");
    let wrong = encode_png(1, 3, 4, &[0; 11]).unwrap_err().to_string();
    assert!(wrong.starts_with("PNG: 11 bytes for 3 x 4 x 1"), "{wrong}");
}
