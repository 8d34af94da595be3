//! The safetensors format: what is written is read, and nothing bad is believed.

extern crate glassbox_nn as nn;

use std::sync::Arc;

use nn::safetensors::{Metadata, from_bytes, load, save, to_bytes};
use nn::state::State;
use tensor::{Array, DType, RandomKey, Shape, Tensor, Values};

fn every_dtype() -> State {
    let shape = Shape::new(&[2, 3]).expect("a shape");
    let values = Array::of(shape, vec![0f32, 1.0, -2.5, 3.0, f32::INFINITY, 0.1]);
    DType::ALL.into_iter().map(|dtype| (format!("of.{dtype}"), Arc::new(values.cast(dtype)))).collect()
}

fn file(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat()
}

#[test]
fn every_dtype_comes_back_bit_for_bit_from_the_same_bytes() {
    let mut state = every_dtype();
    state.insert("empty".into(), Arc::new(Array::new(Shape::new(&[0, 4]).expect("a shape"), Values::F32(vec![]))));
    state.insert("scalar \"quoted\"".into(), Arc::new(Array::of(Shape::SCALAR, vec![7i64])));
    let metadata = Metadata::from([("format".into(), "pt".into())]);
    let bytes = to_bytes(&state, &metadata).expect("bytes");
    assert_eq!(bytes, to_bytes(&state, &metadata).expect("bytes"));
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes"));
    assert_eq!(length % 8, 0);
    let back = from_bytes(&bytes).expect("a file");
    assert_eq!(back.tensors, state);
    assert_eq!(back.metadata, metadata);
}

#[test]
fn a_saved_file_loads_and_an_error_names_the_file() {
    let folder = std::env::temp_dir().join(format!("glassbox-nn-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("model.safetensors");
    save(&path, &every_dtype(), &Metadata::new()).expect("saved");
    assert_eq!(load(&path).expect("loaded").tensors, every_dtype());
    let bytes = std::fs::read(&path).expect("bytes");
    std::fs::write(&path, &bytes[..bytes.len() - 1]).expect("torn");
    let torn = load(&path).expect_err("torn").to_string();
    assert!(torn.contains("model.safetensors: ") && torn.contains("bytes"), "{torn}");
    assert!(load(folder.join("none")).expect_err("no file").to_string().contains("none: cannot read"));
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 1, "nothing is left over");
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn bad_files_are_refused_with_the_reason() {
    let cases = [
        (vec![1, 2, 3], "shorter than 8 bytes"),
        (u64::MAX.to_le_bytes().to_vec(), "a header of 18446744073709551615 bytes"),
        (file("not json", 0), "not JSON"),
        (file("[]", 0), "not a JSON object"),
        (file(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 4), "a: bytes 0..8 of 4"),
        (file(r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8), "a: bytes 8..0 of 8"),
        (file(r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8), "a: f32 [3] in 8 bytes"),
        (file(r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}}"#, 8), "a: shape holds something else"),
        (file(r#"{"a":{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}}"#, 8), "a: dtype Q4 is not known"),
        (file(r#"{"a":{"shape":[2],"data_offsets":[0,8]}}"#, 8), "a: no dtype"),
        (file(r#"{"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}"#, 2), "2 bytes of elements"),
        (
            file(r#"{"a":{"dtype":"U8","shape":[9223372036854775807,3],"data_offsets":[0,8]}}"#, 8),
            "too many dimensions or elements",
        ),
        (
            file(
                r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#,
                3,
            ),
            "b overlaps the tensor before it",
        ),
        (
            file(
                r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}"#,
                4,
            ),
            "b leaves a gap before it",
        ),
        (
            file(
                r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#,
                2,
            ),
            "a name twice",
        ),
        (file(r#"{"__metadata__":{"a":1}}"#, 0), "something else than text"),
    ];
    for (bytes, reason) in cases {
        let message = from_bytes(&bytes).expect_err(reason);
        assert!(message.contains(reason), "{message} does not say {reason}");
    }
    let mut truth = file(r#"{"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}"#, 1);
    *truth.last_mut().expect("a byte") = 2;
    assert!(from_bytes(&truth).expect_err("2").contains("no truth value"));
}

#[test]
fn no_damage_makes_the_reader_panic() {
    let bytes = to_bytes(&every_dtype(), &Metadata::from([("k".into(), "v".into())])).expect("bytes");
    let key = RandomKey::new(11);
    for round in 0..4000u64 {
        let mut bad = bytes.clone();
        for i in 0..1 + key.below(round * 8, 4) {
            let at = key.below(round * 8 + 2 * i + 1, bad.len() as u64) as usize;
            bad[at] = key.below(round * 8 + 2 * i + 2, 256) as u8;
        }
        bad.truncate(key.below(round * 8 + 7, 2 * bad.len() as u64) as usize);
        // Whatever comes back, it comes back.
        let _ = from_bytes(&bad);
    }
}

#[test]
fn a_state_of_halves_loads_into_f32_parameters() {
    let scope = nn::Scope::root(0);
    let _layer = nn::linear(&scope / "fc", 2, 2);
    let half = |values: Vec<f32>, dims: &[usize]| {
        Arc::new(Array::of(Shape::new(dims).expect("a shape"), values).cast(DType::F16))
    };
    let state = State::from([
        ("fc.weight".into(), half(vec![1.0, 2.0, 3.0, 0.5], &[2, 2])),
        ("fc.bias".into(), half(vec![0.0, -1.0], &[2])),
    ]);
    scope.load_state(&state, "halves").expect("floats convert");
    assert_eq!(scope.parameters()[0].value().to_f64(), [1.0, 2.0, 3.0, 0.5]);
    let _leaf: Tensor = scope.parameters()[0].tensor();
}
