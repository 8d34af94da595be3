//! Every row is tested once, by a model that did not see it.

use tensor::RandomKey;

/// `count` folds of the rows whose classes (or anything that must be spread evenly) are `classes`: for each, the rows to learn from
/// and those to test on, in order. Each class is dealt out in an order of the seed, going on where the class before it stopped, so
/// that classes and sizes of the folds differ by one row at most.
pub fn folds(classes: &[usize], count: usize, seed: u64) -> Vec<(Vec<usize>, Vec<usize>)> {
    let key = RandomKey::new(seed);
    let mut of_row = vec![0; classes.len()];
    let mut dealt = 0;
    let mut names: Vec<usize> = classes.to_vec();
    names.sort_unstable();
    names.dedup();
    for class in names {
        let rows: Vec<usize> = (0..classes.len()).filter(|&row| classes[row] == class).collect();
        for at in key.step(class as u32).permutation(rows.len()) {
            of_row[rows[at]] = dealt % count.max(1);
            dealt += 1;
        }
    }
    (0..count)
        .map(|fold| {
            let (test, train) = (0..classes.len()).partition(|&row| of_row[row] == fold);
            (train, test)
        })
        .collect()
}
