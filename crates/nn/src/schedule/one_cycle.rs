//! One cycle (Smith and Topin 2018): the rate goes up and down again, the momentum the other way.

use tensor::math::f64::cos;

/// The shape between two turning points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Anneal {
    /// Half a cosine wave.
    #[default]
    Cosine,
    /// A straight line.
    Linear,
}

/// From `max_lr / div` up to `max_lr`, then down to `max_lr / div / final_div`, in `steps` steps.
#[derive(Debug, Clone, PartialEq)]
pub struct OneCycle {
    /// The highest rate.
    pub max_lr: f64,
    /// Steps of the whole cycle.
    pub steps: u64,
    /// Share of them that goes up.
    pub rise: f64,
    /// The shape.
    pub anneal: Anneal,
    /// Highest over first rate.
    pub div: f64,
    /// First over last rate.
    pub final_div: f64,
    /// Down to the first rate as slowly as up, then to the last.
    pub three_phase: bool,
    /// The momentum at the highest rate.
    pub base_momentum: f64,
    /// The momentum at the first and the last rate.
    pub max_momentum: f64,
}

impl OneCycle {
    /// PyTorch's defaults.
    pub fn new(max_lr: f64, steps: u64) -> OneCycle {
        OneCycle {
            max_lr,
            steps,
            rise: 0.3,
            anneal: Anneal::Cosine,
            div: 25.0,
            final_div: 1e4,
            three_phase: false,
            base_momentum: 0.85,
            max_momentum: 0.95,
        }
    }

    /// The rate of `step`; past the end, the last one.
    pub fn lr(&self, step: u64) -> f64 {
        let first = self.max_lr / self.div;
        let last = first / self.final_div;
        match self.three_phase {
            true => self.between(step, &[first, self.max_lr, first, last]),
            false => self.between(step, &[first, self.max_lr, last]),
        }
    }

    /// The momentum (of Adam: the first beta) of `step`.
    pub fn momentum(&self, step: u64) -> f64 {
        let (low, high) = (self.base_momentum, self.max_momentum);
        match self.three_phase {
            true => self.between(step, &[high, low, high, high]),
            false => self.between(step, &[high, low, high]),
        }
    }

    fn between(&self, step: u64, turns: &[f64]) -> f64 {
        let (step, steps) = (step.min(self.steps.saturating_sub(1)) as f64, self.steps as f64);
        let up = self.rise * steps - 1.0;
        let ends =
            if self.three_phase { vec![up, 2.0 * self.rise * steps - 2.0, steps - 1.0] } else { vec![up, steps - 1.0] };
        let mut start = 0.0;
        for (phase, &end) in ends.iter().enumerate() {
            if step <= end || phase + 1 == ends.len() {
                let way = if end > start { (step - start) / (end - start) } else { 1.0 };
                let (from, to) = (turns[phase], turns[phase + 1]);
                return match self.anneal {
                    Anneal::Cosine => to + (from - to) / 2.0 * (1.0 + cos(std::f64::consts::PI * way)),
                    Anneal::Linear => from + (to - from) * way,
                };
            }
            start = end;
        }
        self.max_lr
    }
}
