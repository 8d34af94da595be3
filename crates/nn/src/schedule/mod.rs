//! Learning rates over time. All but the plateau are pure functions of the step: nothing to save, nothing to resume.

mod one_cycle;
mod plateau;

pub use one_cycle::{Anneal, OneCycle};
pub use plateau::{Plateau, PlateauState};

use tensor::math::f64::{cos, pow};

/// A learning rate for every step, step 0 first. Values equal PyTorch's schedulers of the same names.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// Always `lr`.
    Constant {
        /// The rate.
        lr: f64,
    },
    /// `factor lr` for `steps` steps, then `lr`.
    Held {
        /// The rate after.
        lr: f64,
        /// The factor before.
        factor: f64,
        /// How long.
        steps: u64,
    },
    /// `gamma` times as much after every `every` steps.
    Step {
        /// The first rate.
        lr: f64,
        /// Steps between changes.
        every: u64,
        /// The factor of a change.
        gamma: f64,
    },
    /// `gamma` times as much from each milestone on.
    MultiStep {
        /// The first rate.
        lr: f64,
        /// The steps of the changes; a repeated one counts twice.
        milestones: Vec<u64>,
        /// The factor of a change.
        gamma: f64,
    },
    /// `gamma` times as much after every step.
    Exponential {
        /// The first rate.
        lr: f64,
        /// The factor of a step.
        gamma: f64,
    },
    /// Half a cosine wave down from `lr` to `min` in `steps` steps, and on along the wave (Loshchilov and Hutter 2017).
    Cosine {
        /// The first rate.
        lr: f64,
        /// The last rate.
        min: f64,
        /// How long.
        steps: u64,
    },
    /// From `start lr` straight to `end lr` in `steps` steps, then that. A warm-up ends at 1.
    Linear {
        /// The rate the factors apply to.
        lr: f64,
        /// The first factor.
        start: f64,
        /// The last factor.
        end: f64,
        /// How long.
        steps: u64,
    },
    /// Up to a high rate and down to nothing (Smith and Topin 2018).
    OneCycle(OneCycle),
    /// Less when a measure stops improving.
    Plateau(Plateau),
    /// One schedule after the other, each from its own step 0.
    Sequence {
        /// The schedules.
        schedules: Vec<Schedule>,
        /// The steps at which the second and all later ones begin, ascending.
        milestones: Vec<u64>,
    },
}

impl Schedule {
    /// `self` after a straight rise from `start` times its first rate over `steps` steps.
    pub fn warmed_up(self, start: f64, steps: u64) -> Schedule {
        let warm_up = Schedule::Linear { lr: self.lr(0), start, end: 1.0, steps };
        Schedule::Sequence { schedules: vec![warm_up, self], milestones: vec![steps] }
    }

    /// Notes a measure, such as the validation loss after an epoch. Only a plateau remembers it.
    pub fn observe(&mut self, measure: f64) {
        if let Some(plateau) = self.plateau() {
            plateau.observe(measure);
        }
    }

    /// The part with a memory, which a checkpoint must save; `None` if there is none.
    pub fn plateau(&mut self) -> Option<&mut Plateau> {
        match self {
            Schedule::Plateau(plateau) => Some(plateau),
            Schedule::Sequence { schedules, .. } => schedules.iter_mut().find_map(Schedule::plateau),
            _ => None,
        }
    }

    /// What the plateau remembers, if there is one.
    pub fn plateau_state(&self) -> Option<PlateauState> {
        match self {
            Schedule::Plateau(plateau) => Some(plateau.state),
            Schedule::Sequence { schedules, .. } => schedules.iter().find_map(Schedule::plateau_state),
            _ => None,
        }
    }

    /// The rate of `step`.
    pub fn lr(&self, step: u64) -> f64 {
        let t = step as f64;
        match self {
            Schedule::Constant { lr } => *lr,
            Schedule::Held { lr, factor, steps } => lr * if step < *steps { *factor } else { 1.0 },
            Schedule::Step { lr, every, gamma } => lr * pow(*gamma, (step / (*every).max(1)) as f64),
            Schedule::MultiStep { lr, milestones, gamma } => {
                lr * pow(*gamma, milestones.iter().filter(|&&milestone| milestone <= step).count() as f64)
            }
            Schedule::Exponential { lr, gamma } => lr * pow(*gamma, t),
            Schedule::Cosine { lr, min, steps } => {
                min + (lr - min) * (1.0 + cos(std::f64::consts::PI * t / (*steps).max(1) as f64)) / 2.0
            }
            Schedule::Linear { lr, start, end, steps } => {
                let way = if *steps == 0 { 1.0 } else { t.min(*steps as f64) / *steps as f64 };
                lr * (start + (end - start) * way)
            }
            Schedule::OneCycle(cycle) => cycle.lr(step),
            Schedule::Plateau(plateau) => plateau.lr(),
            Schedule::Sequence { schedules, milestones } => {
                let later = milestones.iter().take(schedules.len().saturating_sub(1)).filter(|&&m| m <= step);
                let (index, start) = later.fold((0, 0), |(index, _), &milestone| (index + 1, milestone));
                schedules.get(index).map_or(0.0, |schedule| schedule.lr(step - start))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warm_up_rises_to_the_schedule_and_hands_over() {
        let schedule = Schedule::Cosine { lr: 0.2, min: 0.0, steps: 10 }.warmed_up(0.1, 4);
        let rates: Vec<f64> = [0, 2, 4, 14].map(|step| schedule.lr(step)).to_vec();
        let wanted = [0.02, 0.11, 0.2, 0.0];
        assert!(rates.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{rates:?}");
    }

    #[test]
    fn one_cycle_of_any_length_gives_finite_rates_and_stays_down_at_the_end() {
        for steps in 0..20 {
            for three_phase in [false, true] {
                let cycle = OneCycle { three_phase, ..OneCycle::new(1.0, steps) };
                assert!((0..30).all(|step| cycle.lr(step).is_finite() && cycle.momentum(step).is_finite()), "{steps}");
                assert_eq!(cycle.lr(steps + 10), cycle.lr(steps.saturating_sub(1)));
            }
        }
    }

    #[test]
    fn a_plateau_behind_a_warm_up_is_found() {
        let plateau = Plateau { patience: 0, ..Plateau::new(0.2) };
        let mut schedule = Schedule::Plateau(plateau).warmed_up(0.5, 2);
        [1.0, 1.0].iter().for_each(|&loss| schedule.observe(loss));
        assert!((schedule.lr(0) - 0.1).abs() < 1e-12 && (schedule.lr(5) - 0.02).abs() < 1e-12);
        assert_eq!(schedule.plateau_state().and_then(|state| state.best), Some(1.0));
        assert_eq!(Schedule::Constant { lr: 1.0 }.plateau_state(), None);
    }

    #[test]
    fn settings_at_their_ends_do_not_panic() {
        assert_eq!(Schedule::Step { lr: 0.1, every: 0, gamma: 1.0 }.lr(3), 0.1);
        assert_eq!(Schedule::Linear { lr: 0.1, start: 0.0, end: 1.0, steps: 0 }.lr(0), 0.1);
        assert_eq!(Schedule::Sequence { schedules: vec![], milestones: vec![5] }.lr(9), 0.0);
        assert!(Schedule::Cosine { lr: 0.1, min: 0.0, steps: 0 }.lr(1).is_finite());
    }
}
