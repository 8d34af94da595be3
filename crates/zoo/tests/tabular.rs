//! Models of tables on real ones, if they are there (`GLASSBOX_DATA`), against scikit-learn 1.9's figures, and on made ones.

use std::path::{Path, PathBuf};

use cpu::Cpu;
use data::{CsvOptions, OnBroken, Table, TableFormat, TargetKind, read_csv};
use glassbox_zoo::tabular::{
    Design, Neighbours, Standard, closed_form, folds, gradient_descent, maximum_likelihood, newton, stochastic,
};
use tensor::RandomKey;
use train::metric::{Calibration, Roc};

fn tables() -> Option<PathBuf> {
    let dir = std::env::var_os("GLASSBOX_DATA").map(|root| PathBuf::from(root).join("tabular"));
    let there = dir.filter(|dir| dir.is_dir());
    if there.is_none() {
        eprintln!("skipped: GLASSBOX_DATA holds no tabular");
    }
    there
}

/// All cells of a table without names, as numbers.
fn numbers(bytes: Vec<u8>, path: &Path, delimiter: u8) -> Vec<Vec<f64>> {
    let table =
        Table::parse(bytes, path, &TableFormat { delimiter, header: false, on_broken: OnBroken::Fail }).unwrap();
    let row = |row: usize| (0..table.columns().len()).map(|at| table.cell(row, at).trim().parse().unwrap()).collect();
    (0..table.len()).map(row).collect()
}

fn design(rows: impl Iterator<Item = (Vec<f64>, f64)>) -> Design {
    let mut design = Design { x: Vec::new(), y: Vec::new(), columns: 0 };
    for (x, y) in rows {
        design.columns = x.len();
        design.x.extend(x);
        design.y.push(y);
    }
    design
}

fn diabetes(dir: &Path) -> Design {
    let read = |name: &str| numbers(std::fs::read(dir.join(name)).unwrap(), &dir.join(name), b' ');
    let targets = read("diabetes_target.csv.gz");
    design(read("diabetes_data_raw.csv.gz").into_iter().zip(targets.into_iter().map(|row| row[0])))
}

/// 569 biopsies, 30 measures each; 1 is malignant.
fn cancer(dir: &Path) -> Design {
    let path = dir.join("breast_cancer.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    // The first line holds counts.
    let rows = numbers(text.split_once('\n').unwrap().1.as_bytes().to_vec(), &path, b',');
    design(rows.into_iter().map(|mut row| {
        let benign = row.pop().unwrap();
        (row, 1.0 - benign)
    }))
}

fn close(a: f64, b: f64, by: f64) {
    assert!((a - b).abs() <= by, "{a} is not {b}, within {by}");
}

#[test]
fn closed_form_descent_and_likelihood_agree_on_diabetes() {
    let Some(dir) = tables() else { return };
    let (cpu, table) = (Cpu::new(0).unwrap(), diabetes(&dir));
    assert_eq!((table.len(), table.columns), (442, 10));
    let exact = closed_form(&table, 0.0).unwrap();
    close(exact.r_squared(&table), 0.517_748_422_220_349_8, 1e-12);
    close(exact.bias, -334.567_138_518_787_5, 1e-8);
    close(closed_form(&table, 1.0).unwrap().r_squared(&table), 0.517_617_686_241_235_6, 1e-12);
    let (descended, steps) = gradient_descent(&cpu, &table, 0.0, 20_000).unwrap();
    let likeliest = maximum_likelihood(&cpu, &table).unwrap();
    for other in [&descended, &likeliest.mean] {
        for (a, b) in exact.weight.iter().zip(&other.weight) {
            close(*b, *a, 1e-8 * a.abs().max(1.0));
        }
        close(other.bias, exact.bias, 1e-8 * exact.bias.abs());
    }
    assert!(steps < 20_000, "{steps} steps");
    // The noise of the likelihood is the root of the mean square of the errors.
    let square: f64 = (0..table.len()).map(|row| (table.y[row] - exact.predict(table.row(row))).powi(2)).sum();
    close(likeliest.deviation, (square / table.len() as f64).sqrt(), 1e-8);
}

#[test]
fn california_is_explained_as_well_as_by_scikit_learn() {
    let Some(dir) = tables() else { return };
    let features =
        "longitude latitude housing_median_age total_rooms total_bedrooms population households median_income";
    let options = CsvOptions {
        features: features.split(' ').map(str::to_owned).collect(),
        on_broken: OnBroken::Skip,
        ..CsvOptions::new("median_house_value", TargetKind::Value)
    };
    let table = Design::of(&read_csv(&dir.join("california_housing.csv.gz"), &options).unwrap()).unwrap();
    assert_eq!((table.len(), table.columns), (20_433, 8));
    close(closed_form(&table, 0.0).unwrap().r_squared(&table), 0.636_911_685_733_563_5, 1e-6);
    close(closed_form(&table, 1e4).unwrap().r_squared(&table), 0.600_822_815_263_087_7, 1e-6);
    let ridge = gradient_descent(&Cpu::new(0).unwrap(), &table, 1e4, 20_000).unwrap().0;
    close(ridge.r_squared(&table), 0.600_822_815_263_087_7, 1e-6);
}

/// The cheapest 30 % of the houses against the dearest 30 %, by their overall quality alone: a fifth of them tests.
#[test]
fn cheap_and_dear_houses_are_told_apart_by_one_feature() {
    let Some(dir) = tables() else { return };
    let options =
        CsvOptions { features: vec!["OverallQual".into()], ..CsvOptions::new("SalePrice", TargetKind::Value) };
    let table = Design::of(&read_csv(&dir.join("i2dl_housing_train.csv"), &options).unwrap()).unwrap();
    let mut prices = table.y.clone();
    prices.sort_by(f64::total_cmp);
    let (cheap, dear) = (prices[prices.len() * 3 / 10], prices[prices.len() * 7 / 10]);
    let rows: Vec<usize> = (0..table.len()).filter(|&row| table.y[row] < cheap || table.y[row] >= dear).collect();
    let mut table = table.select(&rows);
    table.y.iter_mut().for_each(|price| *price = f64::from(u8::from(*price >= dear)));
    let classes: Vec<usize> = table.y.iter().map(|&y| y as usize).collect();
    let (train, test) = folds(&classes, 5, 0).swap_remove(0);
    let standard = Standard::of(&table.select(&train));
    let model = newton(&standard.apply(&table.select(&train)), 1.0).unwrap();
    let test = standard.apply(&table.select(&test));
    let right = (0..test.len()).filter(|&row| (model.probability(test.row(row)) > 0.5) == (test.y[row] == 1.0)).count();
    let accuracy = right as f64 / test.len() as f64;
    eprintln!("cheap or dear by overall quality: {:.2} % of {}", 100.0 * accuracy, test.len());
    assert!(accuracy > 0.85, "{accuracy}");
}

/// Ten folds; each standardises by its own training rows.
#[test]
fn cancer_is_recognised_in_ten_folds() {
    let Some(dir) = tables() else { return };
    let table = cancer(&dir);
    let classes: Vec<usize> = table.y.iter().map(|&y| y as usize).collect();
    assert_eq!((table.len(), table.columns, classes.iter().sum::<usize>()), (569, 30, 212));
    let (mut scores, mut calibration, mut right, mut near) = (Vec::new(), Calibration::new(15), 0, 0);
    for (train, test) in folds(&classes, 10, 0) {
        let train = table.select(&train);
        let standard = Standard::of(&train);
        let (train, test) = (standard.apply(&train), standard.apply(&table.select(&test)));
        let model = newton(&train, 1.0).unwrap();
        assert!(model.steps <= 10, "{} steps of Newton's method", model.steps);
        let neighbours = Neighbours::of(train);
        for row in 0..test.len() {
            let (p, malignant) = (model.probability(test.row(row)), test.y[row] == 1.0);
            scores.push((p, malignant));
            calibration.add(p.max(1.0 - p), (p > 0.5) == malignant);
            right += usize::from((p > 0.5) == malignant);
            near += usize::from(neighbours.class(test.row(row), 5) == Some(usize::from(malignant)));
        }
    }
    let roc = Roc::of(scores).unwrap();
    let share = |count: usize| count as f64 / table.len() as f64;
    let (low, high) = roc.interval();
    eprintln!(
        "cancer, 10 folds: accuracy {:.2} %, AUC {:.4} ({low:.4} to {high:.4}), sensitivity at 90 % specificity {:.2} %, \
         calibration error {:.4}; 5 neighbours {:.2} %",
        100.0 * share(right),
        roc.auc(),
        100.0 * roc.sensitivity_at(0.9),
        calibration.error(),
        100.0 * share(near),
    );
    assert!(share(right) >= 0.97 && roc.auc() >= 0.99 && share(near) >= 0.95);
    assert!(roc.sensitivity_at(0.9) >= 0.97 && calibration.error() < 0.05);
}

/// Rows of a known logistic model.
fn logistic_rows(rows: u64, seed: u64) -> Design {
    let key = RandomKey::new(seed);
    let weight = [1.5, -1.0, 0.5];
    design((0..rows).map(|row| {
        let x: Vec<f64> = (0..3).map(|at| f64::from(key.uniform(4 * row + at)) * 4.0 - 2.0).collect();
        let z: f64 = 0.3 + x.iter().zip(weight).map(|(x, w)| x * w).sum::<f64>();
        let y = f64::from(u8::from(f64::from(key.uniform(4 * row + 3)) < 1.0 / (1.0 + (-z).exp())));
        (x, y)
    }))
}

#[test]
fn newton_and_stochastic_descent_find_the_same_logistic_model() {
    let table = logistic_rows(2_000, 3);
    let exact = newton(&table, 1.0).unwrap();
    assert!(exact.steps <= 8, "{} steps", exact.steps);
    for (found, true_weight) in exact.logit.weight.iter().zip([1.5, -1.0, 0.5]) {
        close(*found, true_weight, 0.25);
    }
    let walked = stochastic(&table, 1.0, 0.05, 200, 0).unwrap();
    for (a, b) in exact.logit.weight.iter().zip(&walked.logit.weight) {
        close(*b, *a, 0.02);
    }
    close(walked.logit.bias, exact.logit.bias, 0.02);
}

#[test]
fn what_teaches_nothing_is_refused_in_words() {
    let said = |error: train::Error| error.to_string();
    let apart = design((0..10).map(|at| (vec![f64::from(at)], f64::from(u8::from(at > 4)))));
    assert!(said(newton(&apart, 0.0).unwrap_err()).contains("ridge above 0"));
    assert!(newton(&apart, 0.1).is_ok());
    let twice = design((0..10).map(|at| (vec![f64::from(at), 2.0 * f64::from(at)], f64::from(at))));
    assert!(said(closed_form(&twice, 0.0).unwrap_err()).contains("depend on each other"));
    let broken = design([(vec![f64::NAN], 1.0), (vec![0.0], 0.0)].into_iter());
    assert!(said(closed_form(&broken, 0.0).unwrap_err()).contains("not finite"));
    assert!(said(newton(&twice, 1.0).unwrap_err()).contains("two classes"));
    assert!(closed_form(&design(std::iter::empty()), 0.0).is_err());
    let exact = design((0..10).map(|at| (vec![f64::from(at)], 3.0 * f64::from(at) - 1.0)));
    assert!(said(maximum_likelihood(&Cpu::new(1).unwrap(), &exact).unwrap_err()).contains("closed form"));
}

#[test]
fn folds_test_each_row_once_and_spread_the_classes() {
    let classes: Vec<usize> = (0..103).map(|row| usize::from(row % 3 == 0)).collect();
    let all = folds(&classes, 10, 7);
    let mut tested: Vec<usize> = all.iter().flat_map(|(_, test)| test.clone()).collect();
    tested.sort_unstable();
    assert_eq!(tested, (0..103).collect::<Vec<_>>());
    for (train, test) in &all {
        assert_eq!(train.len() + test.len(), 103);
        assert!((10..=11).contains(&test.len()));
        let ones: usize = test.iter().map(|&row| classes[row]).sum();
        assert!((3..=4).contains(&ones), "{ones} of the rarer class");
    }
    assert_ne!(folds(&classes, 10, 8), all);
}

#[test]
fn equally_near_rows_are_taken_in_order() {
    let rows = design([(vec![0.0], 0.0), (vec![2.0], 1.0), (vec![2.0], 1.0), (vec![5.0], 2.0)].into_iter());
    let neighbours = Neighbours::of(rows);
    assert_eq!(neighbours.nearest(&[1.0], 2), [0, 1]);
    assert_eq!(neighbours.class(&[1.0], 2), Some(0));
    assert_eq!(neighbours.class(&[1.0], 3), Some(1));
    assert_eq!(neighbours.mean(&[4.0], 2), Some(1.5));
    assert_eq!(neighbours.nearest(&[0.0], 9).len(), 4);
}
