//! What a sweep tries: values of settings, all of them or some at random.

use tensor::RandomKey;
use tensor::math::f64::pow;
use train::config::Value;
use train::{Error, Result, Settings, Source};

/// A setting and what it is tried with.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// Name of the setting.
    pub name: String,
    /// What it is tried with.
    pub values: Values,
}

/// Values of a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// These.
    List(Vec<String>),
    /// Any number between two.
    Range {
        /// The least.
        from: f64,
        /// The greatest.
        to: f64,
        /// Whether equal ratios count as equal distances.
        log: bool,
        /// Values of a grid, the two ends among them.
        count: Option<usize>,
    },
}

/// The settings of a trial, and their values as texts, in the order in which they were asked for.
pub type Assignment = Vec<(String, String)>;

/// More trials than anybody waits for: a slip of the hand.
const MOST_TRIALS: usize = 100_000;

impl Tried {
    /// Reads `train.batch=32,64,128`, `train.lr=1e-4..1e-1:log` (for random trials) or `train.lr=1e-4..1e-1:log:5` (for a grid of
    /// five).
    ///
    /// # Errors
    /// If it is neither.
    pub fn parse(text: &str) -> Result<Tried> {
        let refused = |why: String| {
            let help = "write NAME=A,B,C, or NAME=LEAST..GREATEST with :log for equal ratios and :N for N values: train.lr=1e-4..1e-1:log:5";
            Error::usage(format!("--try {text}: {why}"), help)
        };
        let (name, values) = text.split_once('=').ok_or_else(|| refused("it has no =".to_owned()))?;
        let (name, values) = (name.trim().to_owned(), values.trim());
        // (A path may have two dots as well.)
        let range = values.split_once("..").filter(|(from, _)| from.trim().parse::<f64>().is_ok());
        let Some((from, rest)) = range else {
            let list: Vec<String> = values.split(',').map(|value| value.trim().to_owned()).collect();
            if list.iter().any(String::is_empty) {
                return Err(refused("a value is missing".to_owned()));
            }
            return Ok(Tried { name, values: Values::List(list) });
        };
        let mut words = rest.split(':');
        let number = |word: &str| {
            let parsed = word.trim().parse::<f64>().ok().filter(|number| number.is_finite());
            parsed.ok_or_else(|| refused(format!("{word:?} is no number")))
        };
        let (from, to) = (number(from)?, number(words.next().unwrap_or_default())?);
        let (mut log, mut count) = (false, None);
        for word in words {
            match word.trim() {
                "log" => log = true,
                word => {
                    let parsed = word.parse().ok().filter(|count| (2..=MOST_TRIALS).contains(count));
                    count = Some(parsed.ok_or_else(|| refused(format!("{word:?} is neither log nor a count from 2")))?);
                }
            }
        }
        if from >= to {
            return Err(refused(format!("{from:?} is not below {to:?}")));
        }
        if log && from <= 0.0 {
            return Err(refused("equal ratios need numbers above 0".to_owned()));
        }
        Ok(Tried { name, values: Values::Range { from, to, log, count } })
    }

    /// Whether equal ratios of its values count as equal distances.
    pub fn is_log(&self) -> bool {
        matches!(self.values, Values::Range { log: true, .. })
    }

    /// The value at `share` (0 to 1) of the way from the least to the greatest, or of the list.
    fn at(&self, share: f64, whole: bool) -> String {
        match &self.values {
            Values::List(list) => list[((share * list.len() as f64) as usize).min(list.len() - 1)].clone(),
            Values::Range { from, to, log, .. } => {
                let value = if *log { from * pow(to / from, share) } else { from + (to - from) * share };
                // The ends are what was asked for, to the last digit.
                let value = if share <= 0.0 {
                    *from
                } else if share >= 1.0 {
                    *to
                } else {
                    value.clamp(*from, *to)
                };
                let apart = if *log { 0.01 * value } else { 0.002 * (to - from) };
                if whole { format!("{:.0}", value.round()) } else { rounded(value, apart, *from, *to) }
            }
        }
    }

    /// All values of a grid.
    fn grid(&self, whole: bool) -> Result<Vec<String>> {
        match &self.values {
            Values::List(list) => Ok(list.clone()),
            Values::Range { count: None, .. } => Err(Error::usage(
                format!("--try {}: a grid needs to know how many values of the range", self.name),
                "add their number, such as :5, or choose trials at random with --random N",
            )),
            Values::Range { count: Some(count), .. } => {
                let all = (0..*count).map(|n| self.at(n as f64 / (count - 1) as f64, whole));
                let mut values: Vec<String> = all.collect();
                values.dedup();
                Ok(values)
            }
        }
    }
}

/// The shortest number from `from` to `to`, of three digits or more, that lies within `apart` of `value`: more digits would only be
/// longer to read.
fn rounded(value: f64, apart: f64, from: f64, to: f64) -> String {
    let shorter = (2..16).filter_map(|digits| format!("{value:.digits$e}").parse::<f64>().ok());
    let fits = |short: &f64| (short - value).abs() <= apart && (from..=to).contains(short);
    format!("{:?}", shorter.into_iter().find(fits).unwrap_or(value))
}

/// The trials of a sweep: every combination, or `random` of them drawn from `seed` over all of each range. Each is checked against `settings`.
///
/// # Errors
/// If a setting does not exist or does not take a value, one is tried twice, or there are too many combinations.
pub fn trials(tried: &[Tried], random: Option<usize>, seed: u64, settings: &Settings) -> Result<Vec<Assignment>> {
    if tried.is_empty() {
        return Err(Error::usage("nothing is to be tried", "say what with --try, such as --try train.lr=1e-3,1e-2"));
    }
    for (at, one) in tried.iter().enumerate() {
        if one.values == Values::List(Vec::new()) {
            return Err(Error::usage(format!("--try {} has no values", one.name), "give some"));
        }
        if tried[..at].iter().any(|other| other.name == one.name) {
            return Err(Error::usage(format!("--try {} is given twice", one.name), "give all its values at once"));
        }
    }
    let whole = |name: &str| settings.iter().any(|row| row.name == name && matches!(row.value, Value::Int(_)));
    let assignments = match random {
        Some(count) => {
            // A Latin hypercube (McKay et al. 1979): each of `count` equal parts of a range is tried once, so that few trials cover it.
            let count = count.min(MOST_TRIALS);
            let key = RandomKey::new(seed).stream("sweep");
            let column = |one: &Tried| -> Assignment {
                let key = key.stream(&one.name);
                let share = |(trial, part): (usize, usize)| {
                    (part as f64 + f64::from(key.stream("within").uniform(trial as u64))) / count as f64
                };
                let parts = key.permutation(count).into_iter().enumerate();
                parts.map(|place| (one.name.clone(), one.at(share(place), whole(&one.name)))).collect()
            };
            let columns: Vec<Assignment> = tried.iter().map(column).collect();
            (0..count).map(|trial| columns.iter().map(|column| column[trial].clone()).collect()).collect()
        }
        None => {
            let mut all: Vec<Assignment> = vec![Vec::new()];
            for one in tried {
                let values = one.grid(whole(&one.name))?;
                if all.len().saturating_mul(values.len()) > MOST_TRIALS {
                    let help = "try fewer values, or choose trials at random with --random N";
                    return Err(Error::usage(format!("that makes more than {MOST_TRIALS} trials"), help));
                }
                let with = |before: &Assignment| -> Vec<Assignment> {
                    let more = |value: &String| [before.as_slice(), &[(one.name.clone(), value.clone())]].concat();
                    values.iter().map(more).collect()
                };
                all = all.iter().flat_map(with).collect();
            }
            all
        }
    };
    assignments.iter().try_for_each(|assignment| set(&mut settings.clone(), assignment))?;
    Ok(assignments)
}

/// Gives `settings` the values of a trial.
///
/// # Errors
/// If a setting does not exist or does not take its value.
pub fn set(settings: &mut Settings, assignment: &Assignment) -> Result<()> {
    let one =
        |(name, value): &(String, String)| settings.set(name, value, Source::Flag(format!("--try {name}={value}")));
    assignment.iter().try_for_each(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings::new().float("train.lr", 0.1, 0.0..=10.0, "rate").int("train.batch", 64, 1..=1024, "rows").word(
            "train.optimizer",
            "sgd",
            &["sgd", "adam"],
            "which",
        )
    }

    fn all(texts: &[&str], random: Option<usize>) -> Result<Vec<Assignment>> {
        let tried: Vec<Tried> = texts.iter().map(|text| Tried::parse(text)).collect::<Result<_>>()?;
        trials(&tried, random, 0, &settings())
    }

    #[test]
    fn a_grid_is_every_combination_and_the_last_setting_moves_first() {
        let found = all(&["train.optimizer=sgd,adam", "train.lr=1e-3..1e-1:log:3"], None).unwrap();
        let values: Vec<String> = found.iter().map(|one| format!("{} {}", one[0].1, one[1].1)).collect();
        assert_eq!(values, ["sgd 0.001", "sgd 0.01", "sgd 0.1", "adam 0.001", "adam 0.01", "adam 0.1"]);
    }

    #[test]
    fn random_trials_cover_the_range_in_equal_ratios_and_come_again_from_the_seed() {
        let found = all(&["train.lr=1e-4..1:log", "train.batch=8..64"], Some(400)).unwrap();
        assert_eq!(found, all(&["train.lr=1e-4..1:log", "train.batch=8..64"], Some(400)).unwrap());
        let below = found.iter().filter(|one| one[0].1.parse::<f64>().unwrap() < 1e-2).count();
        assert!((198..=202).contains(&below), "{below} of 400 below the middle");
        assert!(found.iter().all(|one| (8..=64).contains(&one[1].1.parse::<i64>().unwrap())));
        // A setting that is tried as well changes nothing about the others.
        let more = all(&["train.optimizer=sgd,adam", "train.lr=1e-4..1:log"], Some(400)).unwrap();
        assert!(found.iter().zip(&more).all(|(one, other)| one[0] == other[1]));
    }

    #[test]
    fn the_ends_of_a_range_are_kept_and_neighbours_told_apart() {
        let values = |text: &str| -> Vec<String> {
            all(&[text], None).unwrap().into_iter().map(|mut one| one.remove(0).1).collect()
        };
        assert_eq!(values("train.lr=0.9..0.9999:3"), ["0.9", "0.95", "0.9999"]);
        assert_eq!(values("train.lr=0.1..0.1004:5"), ["0.1", "0.1001", "0.1002", "0.1003", "0.1004"]);
    }

    #[test]
    fn what_cannot_be_tried_is_refused() {
        for (texts, expected) in [
            (&["train.lr"][..], "--try train.lr: it has no ="),
            (&["train.lr=1e-3..fast"], "\"fast\" is no number"),
            (&["train.lr=1..0.1:3"], "1.0 is not below 0.1"),
            (&["train.lr=0..1:log:3"], "equal ratios need numbers above 0"),
            (&["train.lr=0..1:1"], "neither log nor a count from 2"),
            (&["train.lr=0..1"], "a grid needs to know how many values of the range"),
            (&["train.lr=0.1,"], "a value is missing"),
            (&["train.rate=1,2"], "--try train.rate=1: there is no setting train.rate\n  help: did you mean"),
            (&["train.batch=0,1"], "train.batch cannot be \"0\""),
            (&["train.lr=../a,../b"], "train.lr cannot be \"../a\""),
            (&["train.lr=1,2", "train.lr=3"], "--try train.lr is given twice"),
            (&[], "nothing is to be tried"),
        ] {
            let error = all(texts, None).unwrap_err().to_string();
            assert!(error.contains(expected), "{texts:?}: {error}");
        }
    }
}
