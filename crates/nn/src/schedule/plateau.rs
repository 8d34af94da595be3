//! Less when a measure stops improving. The one schedule with a memory.

use serde_json::{Value, json};

/// The rate is multiplied by `factor` when the measure has not improved for more than `patience` observations.
#[derive(Debug, Clone, PartialEq)]
pub struct Plateau {
    /// Whether more is better (accuracy) rather than less (loss).
    pub maximize: bool,
    /// The factor of a reduction: 0.1.
    pub factor: f64,
    /// Observations without improvement that are borne: 10.
    pub patience: u64,
    /// What counts as an improvement: 1e-4.
    pub threshold: f64,
    /// Whether the threshold is a share of the best value rather than a difference.
    pub relative: bool,
    /// Observations after a reduction that are not judged: 0.
    pub cooldown: u64,
    /// The smallest rate: 0.
    pub min_lr: f64,
    /// The smallest change of the rate that is made: 1e-8.
    pub eps: f64,
    /// Where it stands.
    pub state: PlateauState,
}

/// What a [`Plateau`] remembers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlateauState {
    /// The rate now.
    pub lr: f64,
    /// The best value so far.
    pub best: Option<f64>,
    /// Observations without improvement.
    pub bad: u64,
    /// Observations that are still not judged.
    pub cooling: u64,
}

impl Plateau {
    /// PyTorch's defaults, from `lr` on.
    pub fn new(lr: f64) -> Plateau {
        Plateau {
            maximize: false,
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            relative: true,
            cooldown: 0,
            min_lr: 0.0,
            eps: 1e-8,
            state: PlateauState { lr, best: None, bad: 0, cooling: 0 },
        }
    }

    /// The rate now.
    pub fn lr(&self) -> f64 {
        self.state.lr
    }

    /// Notes a measure (after an epoch, say) and gives the rate from now on.
    pub fn observe(&mut self, measure: f64) -> f64 {
        let worst = if self.maximize { f64::NEG_INFINITY } else { f64::INFINITY };
        if self.improves(measure, self.state.best.unwrap_or(worst)) {
            self.state.best = Some(measure);
            self.state.bad = 0;
        } else {
            self.state.bad += 1;
        }
        if self.state.cooling > 0 {
            self.state.cooling -= 1;
            self.state.bad = 0;
        }
        if self.state.bad > self.patience {
            let lr = (self.state.lr * self.factor).max(self.min_lr);
            if self.state.lr - lr > self.eps {
                self.state.lr = lr;
            }
            self.state.cooling = self.cooldown;
            self.state.bad = 0;
        }
        self.state.lr
    }

    fn improves(&self, measure: f64, best: f64) -> bool {
        match (self.maximize, self.relative) {
            (false, true) => measure < best * (1.0 - self.threshold),
            (false, false) => measure < best - self.threshold,
            (true, true) => measure > best * (1.0 + self.threshold),
            (true, false) => measure > best + self.threshold,
        }
    }
}

impl PlateauState {
    /// As JSON. Floats are written as text, which keeps every bit and infinity.
    pub fn to_json(&self) -> Value {
        let best = self.best.map(|best| best.to_string());
        json!({"lr": self.lr.to_string(), "best": best, "bad": self.bad, "cooling": self.cooling})
    }

    /// From what [`PlateauState::to_json`] gave; `None` if it is not that.
    pub fn from_json(value: &Value) -> Option<PlateauState> {
        let best = match value.get("best")? {
            Value::Null => None,
            text => Some(text.as_str()?.parse().ok()?),
        };
        let lr = value.get("lr")?.as_str()?.parse().ok()?;
        Some(PlateauState { lr, best, bad: value.get("bad")?.as_u64()?, cooling: value.get("cooling")?.as_u64()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measure_that_is_no_number_or_infinitely_bad_is_no_improvement() {
        for (maximize, bad) in [(false, f64::INFINITY), (true, f64::NEG_INFINITY), (false, f64::NAN), (true, f64::NAN)]
        {
            let mut plateau = Plateau { patience: 1, maximize, ..Plateau::new(1.0) };
            assert_eq!([bad, bad, 1.0].map(|measure| plateau.observe(measure)), [1.0, 0.1, 0.1], "{maximize} {bad}");
            assert_eq!(plateau.state.best, Some(1.0));
        }
    }
}
