use super::*;

fn file(name: &str) -> (Vec<u8>, PathBuf) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name);
    (std::fs::read(&path).unwrap(), path)
}

fn array(shape: &[usize], values: NpyValues) -> NpyArray {
    NpyArray { shape: shape.to_vec(), values }
}

#[test]
fn arrays_of_numpy_are_read_stored_or_deflated() {
    for name in ["stored.npz", "deflated.npz"] {
        let (bytes, path) = file(name);
        let npz = Npz::parse(bytes, &path).unwrap();
        assert_eq!(npz.names(), ["u8", "i64", "i32", "f32", "f64", "flag", "fortran", "big"]);
        let expected = [
            ("u8", array(&[2, 3, 4], NpyValues::U8((0..24).collect()))),
            ("i64", array(&[2], NpyValues::I64(vec![-1, 1 << 40]))),
            ("i32", array(&[2, 1], NpyValues::I32(vec![7, -8]))),
            ("f32", array(&[2], NpyValues::F32(vec![0.5, -1.25]))),
            ("f64", array(&[], NpyValues::F64(vec![3.5]))),
            ("flag", array(&[2], NpyValues::Bool(vec![true, false]))),
            ("fortran", array(&[2, 3], NpyValues::F32(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]))),
        ];
        for (key, array) in expected {
            assert_eq!(npz.array(key).unwrap(), array, "{name} {key}");
        }
        let error = npz.array("big").unwrap_err().to_string();
        assert!(error.contains("array big: type >i4 cannot be read, only bool, uint8"), "{error}");
        let error = npz.array("small").unwrap_err().to_string();
        assert!(error.contains("array small: not in the file\n  help: the arrays are u8, i64, "), "{error}");
    }
    let (bytes, path) = file("u8.npy");
    assert_eq!(parse_npy(&bytes, &path).unwrap(), array(&[2, 3, 4], NpyValues::U8((0..24).collect())));
}

#[test]
fn damaged_files_never_panic_and_cut_off_ones_are_errors() {
    for name in ["stored.npz", "deflated.npz"] {
        let (bytes, path) = file(name);
        let unpack = |bytes: &[u8]| {
            let npz = Npz::parse(bytes.to_vec(), &path)?;
            drop(npz.images("u8", "flag"));
            npz.names().iter().try_for_each(|array| npz.array(array).map(drop))
        };
        crate::fuzz::truncations(&bytes, |cut| assert!(unpack(cut).is_err()));
        crate::fuzz::flips(&bytes, 5000, |damaged| drop(unpack(damaged)));
        // The directory at the end decides most, so damage it as often.
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        crate::fuzz::flips(&reversed, 5000, |damaged| {
            let damaged: Vec<u8> = damaged.iter().rev().copied().collect();
            drop(unpack(&damaged));
        });
    }
    let (bytes, path) = file("u8.npy");
    crate::fuzz::truncations(&bytes, |cut| assert!(parse_npy(cut, &path).is_err()));
    crate::fuzz::flips(&bytes, 5000, |damaged| drop(parse_npy(damaged, &path)));
}

#[test]
fn damage_within_an_entry_is_noticed_by_its_checksum() {
    let (mut bytes, path) = file("stored.npz");
    let place = bytes.windows(4).position(|w| w == [5, 6, 7, 8]).unwrap();
    bytes[place] = 9;
    let error = Npz::parse(bytes, &path).unwrap().array("u8").unwrap_err().to_string();
    assert!(error.contains("array u8: expected 152 bytes, found 152 or other ones"), "{error}");
}

#[test]
fn a_shape_beyond_memory_is_an_error() {
    let (bytes, path) = file("u8.npy");
    let text = String::from_utf8_lossy(&bytes[10..]).into_owned();
    let mut huge = bytes[..10].to_vec();
    huge.extend(text.replace("(2, 3, 4)", "(99999999999, 99999999999)").bytes().take(bytes.len() - 10));
    let error = parse_npy(&huge, &path).unwrap_err().to_string();
    assert!(error.contains("shape [99999999999, 99999999999] of type |u1 does not make the"), "{error}");
}

#[test]
fn images_with_channels_last_become_planes() {
    let rgb: Vec<u8> = (0..12).collect();
    let (bytes, path) = file("stored.npz");
    let set = Npz::parse(bytes, &path).unwrap().images("u8", "flag").unwrap();
    assert_eq!((set.shape(), set.targets()), (&[1, 3, 4][..], &Targets::Classes(vec![1, 0])));
    assert_eq!(to_planes(&rgb, 2, 3), [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]);
}
