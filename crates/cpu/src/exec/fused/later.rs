//! Reductions that wait for a later pass, which reads what they fold anyway.
//!
//! The gradient of a normalisation sums dy as soon as it can, in the pass that sums x; but the next one reads x and dy once more, for
//! sums that need the mean. Made there, a pass less reads dy.

use super::program::{Kind, Line, What};

/// Raises the levels of reductions, and of what is made of them, where that saves memory to be read and costs no further pass.
pub fn postpone(lines: &[Line], levels: &mut [usize]) {
    let folds: Vec<usize> = (0..lines.len()).filter(|&line| matches!(lines[line].what, What::Fold(_))).collect();
    let read: Vec<Vec<u16>> = folds.iter().map(|&fold| loads(lines, fold)).collect();
    for (number, &fold) in folds.iter().enumerate() {
        let others = |level: usize| {
            let of_level = |&(other, &line): &(usize, &usize)| other != number && levels[line] == level;
            folds.iter().enumerate().filter(of_level).map(|(other, _)| &read[other]).collect::<Vec<_>>()
        };
        let all_read = |of: &[&Vec<u16>]| read[number].iter().all(|load| of.iter().any(|loads| loads.contains(load)));
        let (level, most) = (levels[fold], levels.iter().copied().max().unwrap_or(0));
        let here = others(level);
        if here.is_empty() || all_read(&here) {
            continue;
        }
        let Some(later) = (level + 1..=most).find(|&later| all_read(&others(later))) else { continue };
        let raised = raise(lines, levels, fold, later);
        let same = folds.iter().all(|&other| other == fold || raised[other] == levels[other]);
        if same && raised.iter().max() == Some(&most) {
            levels.copy_from_slice(&raised);
        }
    }
}

/// The levels with that of `line` raised, and of what is made of it.
fn raise(lines: &[Line], levels: &[usize], line: usize, level: usize) -> Vec<usize> {
    let mut raised = levels.to_vec();
    raised[line] = level;
    for (index, of) in lines.iter().enumerate().skip(line + 1) {
        let least = of.inputs().iter().map(|&arg| raised[arg as usize]).max().unwrap_or(0);
        let fold = matches!(of.what, What::Fold(_));
        raised[index] = raised[index].max(least + usize::from(fold));
    }
    raised
}

/// The loads of a value a point that a reduction needs.
fn loads(lines: &[Line], fold: usize) -> Vec<u16> {
    let mut wanted = vec![false; fold + 1];
    wanted[fold] = true;
    for line in (0..=fold).rev() {
        if wanted[line] && (line == fold || lines[line].kind == Kind::Full) {
            lines[line].inputs().iter().for_each(|&arg| wanted[arg as usize] = true);
        }
    }
    let load =
        |&line: &usize| wanted[line] && lines[line].kind == Kind::Full && matches!(lines[line].what, What::Load { .. });
    (0..fold).filter(load).map(|line| line as u16).collect()
}
