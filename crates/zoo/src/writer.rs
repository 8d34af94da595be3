//! A trained model of text that goes on with a text.

use cpu::Cpu;
use nn::{Pass, Scope};
use tensor::math::f64::exp;
use tensor::{RandomKey, Tensor};
use train::{Error, Result};

use crate::char_rnn::{self, TextLstm};
use crate::gpt::{self, Cache, Gpt};
use crate::opened::Opened;

/// How letters are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// What logits are divided by: 1 as the model says, less for likelier letters, 0 for the likeliest alone.
    pub temperature: f64,
    /// Only so many of the likeliest letters are chosen among; 0: all.
    pub top_k: usize,
    /// Seed of the choices.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling { temperature: 1.0, top_k: 0, seed: 0 }
    }
}

/// A model that reads letter by letter, and says after each what could follow.
pub struct Writer {
    cpu: Cpu,
    model: Model,
    letters: Vec<String>,
    /// Numbers of the letters read.
    read: Vec<usize>,
    /// Logits of what follows.
    next: Vec<f32>,
}

enum Model {
    /// The LSTM, and its states `[layers, 1, hidden]`.
    Lstm(TextLstm, Option<[Tensor; 2]>),
    Gpt(Gpt, Cache),
}

impl Writer {
    /// Of an opened run, before anything is read.
    ///
    /// # Errors
    /// If it is no model of text.
    pub fn of(opened: &Opened, cpu: Cpu) -> Result<Writer> {
        let (settings, input) = (&opened.settings, &opened.input);
        let scope = Scope::root(0);
        let model = match opened.recipe.name {
            "gpt" => {
                let model = Gpt::new(&scope, gpt::sizes(settings, input)?);
                let cache = Cache::new(&model);
                Model::Gpt(model, cache)
            }
            "char-rnn" | "lstm-text" => {
                Model::Lstm(TextLstm::new(&scope, char_rnn::sizes(settings, input)?, None), None)
            }
            other => {
                return Err(Error::usage(
                    format!("a run of the recipe {other} writes no text"),
                    "give a run of char-rnn, lstm-text or gpt; glassbox predict says what pictures show",
                ));
            }
        };
        scope.load_state(&opened.scope.state()?, "the run")?;
        Ok(Writer { cpu, model, letters: input.classes.clone(), read: Vec::new(), next: Vec::new() })
    }

    /// Reads a text.
    ///
    /// # Errors
    /// If it holds a letter that the model does not know, or the model cannot be evaluated.
    pub fn read(&mut self, text: &str) -> Result<()> {
        symbols(text, &self.letters)?.into_iter().try_for_each(|symbol| self.read_symbol(symbol))
    }

    /// Logits of each letter to follow; empty before anything is read.
    pub fn logits(&self) -> &[f32] {
        &self.next
    }

    /// Reads the letter of this number.
    ///
    /// # Errors
    /// If the model cannot be evaluated.
    pub fn read_symbol(&mut self, symbol: usize) -> Result<()> {
        self.read.push(symbol);
        if let Model::Gpt(model, cache) = &mut self.model
            && cache.len() == model.context()
        {
            // No place is left: the last half is read again from the first place on. So each letter costs two at most.
            cache.clear();
            let kept = model.context() / 2;
            for &symbol in &self.read[self.read.len() - 1 - kept..self.read.len() - 1] {
                let (logits, updates) = cache.read(model, symbol);
                self.cpu.run(&[&logits], &updates)?;
            }
        }
        let values = match &mut self.model {
            Model::Gpt(model, cache) => {
                let (logits, updates) = cache.read(model, symbol);
                self.cpu.run(&[&logits], &updates)?
            }
            Model::Lstm(model, state) => {
                let x = Tensor::from_vec(vec![symbol as f32], [1, 1]);
                let (logits, after) = model.read(&x, state.as_ref().map(|state| &state[..]), &Pass::eval());
                let cell = after.cell.unwrap_or_else(|| after.hidden.clone());
                let values = self.cpu.run(&[&logits, &after.hidden, &cell], &[])?;
                *state = Some([1, 2].map(|at| Tensor::from_array(values[at].clone())));
                values
            }
        };
        self.next = values[0].as_slice().unwrap_or_default().to_vec();
        Ok(())
    }

    /// Writes so many letters, each of which is read before the next; `heard` hears each, and ends it with `false`.
    ///
    /// # Errors
    /// If the model cannot be evaluated.
    pub fn write(&mut self, length: usize, how: &Sampling, heard: &mut dyn FnMut(&str) -> bool) -> Result<()> {
        if self.next.is_empty() {
            // A model is never asked about nothing: it begins as if a line had ended.
            let begin = self.letters.iter().position(|letter| letter == "\n").unwrap_or(0);
            self.read_symbol(begin)?;
        }
        for _ in 0..length {
            let random = RandomKey::new(how.seed).stream("sample").step(self.read.len() as u32).uniform(0);
            let symbol = choose(&self.next, how, f64::from(random));
            if !heard(&self.letters[symbol]) {
                return Ok(());
            }
            self.read_symbol(symbol)?;
        }
        Ok(())
    }
}

/// The numbers of the letters of a text.
///
/// # Errors
/// If one of them is not among `letters`, those that a model knows.
pub fn symbols(text: &str, letters: &[String]) -> Result<Vec<usize>> {
    let number = |letter: char| {
        let mut bytes = [0; 4];
        let name: &str = letter.encode_utf8(&mut bytes);
        letters.iter().position(|known| known == name).ok_or_else(|| {
            let known: String = letters.iter().map(|letter| letter.escape_debug().to_string()).collect();
            Error::usage(
                format!("the text that the model was trained on has no {letter:?}"),
                format!("use letters of it: {known}"),
            )
        })
    };
    text.chars().map(number).collect()
}

/// The symbol at `random` (0..1) of the distribution that `logits` and `how` say, the likeliest first.
fn choose(logits: &[f32], how: &Sampling, random: f64) -> usize {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
    order.truncate(if how.top_k == 0 { order.len() } else { how.top_k });
    let Some(&likeliest) = order.first() else { return 0 };
    if how.temperature <= 0.0 {
        return likeliest;
    }
    let weight = |&at: &usize| exp(f64::from(logits[at] - logits[likeliest]) / how.temperature);
    let mut left = random * order.iter().map(weight).sum::<f64>();
    for at in &order {
        left -= weight(at);
        if left < 0.0 {
            return *at;
        }
    }
    likeliest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_chosen_as_often_as_their_probability_says() {
        let logits = [0.0, f32::ln(2.0), f32::ln(5.0)];
        let counts = |how: Sampling| {
            let mut counts = [0; 3];
            (0..800).for_each(|i| counts[choose(&logits, &how, f64::from(i) / 800.0)] += 1);
            counts
        };
        let how = Sampling::default();
        // (f32 has no logarithm of 2 to the last digit.)
        assert!(
            counts(how)
                .iter()
                .zip([100, 200, 500])
                .all(|(&count, expected): (&i32, i32)| (count - expected).abs() <= 1)
        );
        assert_eq!(counts(Sampling { temperature: 0.0, ..how }), [0, 0, 800]);
        assert_eq!(counts(Sampling { top_k: 1, ..how }), [0, 0, 800]);
        // At half the temperature 1 : 4 : 25.
        let colder = counts(Sampling { temperature: 0.5, ..how });
        assert!(
            colder.iter().zip([27, 107, 667]).all(|(&count, expected): (&i32, i32)| (count - expected).abs() <= 1),
            "{colder:?}"
        );
    }
}
