//! Samples of reading and adding by index.

use super::*;

pub(crate) fn gather() -> Vec<Sample> {
    let case = |name: &str, x: &[usize], index: &[usize], axis: isize, seed: u64| {
        let size = x[axis as usize] as i64;
        sample(name, vec![line(x, seed), integers(index, 0, size, seed + 1)], move |t| t[0].gather(axis, &t[1]))
    };
    vec![
        case("plain", &[3, 5], &[3, 2], 1, 1),
        case("first axis", &[5, 3], &[7, 3], 0, 3),
        case("middle axis", &[2, 4, 3], &[2, 6, 3], 1, 5),
        case("one a row", &[4, 6], &[4, 1], 1, 7),
        case("size 1", &[1, 1], &[1, 1], 0, 9),
        case("no picks", &[3, 4], &[3, 0], 1, 11),
        case("no rows", &[0, 4], &[0, 2], 1, 13),
        case("long", &[3, 4113], &[3, 1500], 1, 15),
        sample("strided", vec![line(&[5, 3], 17), integers(&[4, 3], 0, 5, 18)], |t| {
            t[0].transpose(0, 1).flip(1).gather(1, &t[1].transpose(0, 1))
        }),
        sample("expanded", vec![line(&[1, 4], 19), integers(&[3, 1], 0, 4, 20)], |t| {
            t[0].expand([3, 4]).gather(1, &t[1].expand([3, 6]))
        }),
        values("special", vec![special(), integers(&[40], 0, SPECIAL.len() as i64, 21)], |t| t[0].gather(0, &t[1])),
        values("i64", vec![integers(&[3, 5], -9, 9, 22), integers(&[3, 4], 0, 5, 23)], |t| t[0].gather(1, &t[1])),
    ]
}

pub(crate) fn scatter_add() -> Vec<Sample> {
    let case = |name: &str, base: &[usize], index: &[usize], axis: isize, seed: u64| {
        let size = base[axis as usize] as i64;
        let inputs = vec![line(base, seed), integers(index, 0, size, seed + 1), line(index, seed + 2)];
        sample(name, inputs, move |t| t[0].scatter_add(axis, &t[1], &t[2]))
    };
    vec![
        case("plain", &[3, 5], &[3, 2], 1, 1),
        case("first axis", &[5, 3], &[7, 3], 0, 4),
        case("middle axis", &[2, 4, 3], &[2, 6, 3], 1, 7),
        case("size 1", &[1, 1], &[1, 1], 0, 10),
        case("nothing added", &[3, 4], &[3, 0], 1, 13),
        case("no rows", &[0, 4], &[0, 2], 1, 16),
        case("many at one place", &[2, 3], &[2, 400], 1, 19),
        case("long", &[3, 4113], &[3, 1500], 1, 22),
        sample("strided", vec![line(&[5, 3], 25), integers(&[4, 3], 0, 5, 26), line(&[3, 4], 27)], |t| {
            t[0].transpose(0, 1).scatter_add(1, &t[1].transpose(0, 1), &t[2].flip(1))
        }),
        values("i64", vec![integers(&[6], -9, 9, 28), integers(&[9], 0, 6, 29), integers(&[9], -9, 9, 30)], |t| {
            t[0].scatter_add(0, &t[1], &t[2])
        }),
    ]
}

pub(crate) fn index_select() -> Vec<Sample> {
    let case = |name: &str, x: &[usize], index: &[usize], axis: isize, seed: u64| {
        let size = x[axis as usize] as i64;
        sample(name, vec![line(x, seed), integers(index, 0, size, seed + 1)], move |t| t[0].index_select(axis, &t[1]))
    };
    vec![
        case("plain", &[5, 3], &[4], 0, 1),
        case("last axis", &[3, 5], &[7], 1, 3),
        case("middle axis", &[2, 4, 3], &[3], 1, 5),
        case("embedding of a batch", &[6, 4], &[2, 3], 0, 7),
        case("matrix of indices inside", &[2, 5, 3], &[2, 2], 1, 9),
        case("scalar index", &[5, 3], &[], 0, 11),
        case("scalar index at the end", &[3, 5], &[], 1, 13),
        case("size 1", &[1, 1], &[1], 0, 15),
        case("no picks", &[3, 4], &[0], 0, 17),
        case("empty slices", &[3, 0], &[5], 0, 19),
        case("long", &[7, 1301], &[9], 0, 21),
        sample("strided", vec![line(&[5, 3], 23), integers(&[8], 0, 3, 24)], |t| {
            t[0].transpose(0, 1).flip(0).index_select(0, &t[1].slice(0, 0, 8, 2))
        }),
        values("i64", vec![integers(&[6, 2], -9, 9, 25), integers(&[9], 0, 6, 26)], |t| t[0].index_select(0, &t[1])),
    ]
}

pub(crate) fn index_add() -> Vec<Sample> {
    let case = |name: &str, index: &[usize], src: &[usize], axis: isize, size: usize, seed: u64| {
        let inputs = vec![integers(index, 0, size.max(1) as i64, seed), line(src, seed + 1)];
        sample(name, inputs, move |t| t[1].index_add(axis, &t[0], size))
    };
    vec![
        case("plain", &[4], &[4, 3], 0, 5, 1),
        case("last axis", &[7], &[3, 7], -1, 5, 3),
        case("middle axis", &[3], &[2, 3, 2], 1, 4, 5),
        case("batch of indices", &[2, 3], &[2, 3, 4], 0, 6, 7),
        case("matrix of indices inside", &[2, 2], &[3, 2, 2, 2], 1, 5, 9),
        case("matrix of indices at the end", &[2, 2], &[3, 2, 2], -1, 5, 11),
        case("scalar index", &[], &[3], 0, 5, 13),
        case("scalar index at the end", &[], &[3], -1, 5, 15),
        case("size 1", &[1], &[1, 1], 0, 1, 17),
        case("nothing added", &[0], &[0, 4], 0, 3, 19),
        case("empty slices", &[5], &[5, 0], 0, 3, 21),
        case("many at one place", &[600], &[600, 2], 0, 3, 23),
        case("long", &[9], &[9, 1301], 0, 7, 25),
        sample("strided", vec![integers(&[8], 0, 3, 27), line(&[5, 4], 28)], |t| {
            t[1].transpose(0, 1).flip(1).index_add(0, &t[0].slice(0, 0, 8, 2), 3)
        }),
        values("i64", vec![integers(&[9], 0, 6, 29), integers(&[9, 2], -9, 9, 30)], |t| t[1].index_add(0, &t[0], 6)),
    ]
}
