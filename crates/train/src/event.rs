//! What happens in a run, as it happens. The library never prints: it hands events to whoever listens.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// Something that a listener may show, log or ignore.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Training is about to begin.
    Start(Start),
    /// A step was made.
    Step(Step),
    /// An epoch ended.
    Epoch(Epoch),
    /// A checkpoint was written.
    Checkpoint {
        /// Steps made.
        step: u64,
        /// Its folder.
        path: PathBuf,
    },
    /// Something that the reader should know.
    Note(String),
    /// Training ended.
    End(End),
}

/// What is about to be trained, on what.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// The run's folder.
    pub run: PathBuf,
    /// The recipe's name.
    pub recipe: String,
    /// Instruction set.
    pub simd: String,
    /// Threads.
    pub threads: usize,
    /// Seed of everything random.
    pub seed: u64,
    /// Numbers of the net.
    pub parameters: usize,
    /// Those of them that stay as they are.
    pub frozen: usize,
    /// Rows for training, validation and testing.
    pub rows: [usize; 3],
    /// Epochs.
    pub epochs: u64,
    /// Steps made before.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
}

/// The figures of one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// From 1.
    pub epoch: u64,
    /// In all.
    pub epochs: u64,
    /// From 1.
    pub step: u64,
    /// In all.
    pub steps: u64,
    /// Loss of the batch.
    pub loss: f32,
    /// Running mean of the loss over the last steps.
    pub smooth_loss: f64,
    /// Learning rate.
    pub lr: f64,
    /// Length of the gradient of all parameters.
    pub grad_norm: f32,
    /// Last accuracy on the validation part, if there is one.
    pub val_accuracy: Option<f64>,
    /// Rows a second.
    pub rate: f64,
    /// Seconds to the end of the last epoch, at this rate.
    pub left: f64,
}

/// The figures of one epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Epoch {
    /// From 1.
    pub epoch: u64,
    /// In all.
    pub epochs: u64,
    /// Steps made.
    pub step: u64,
    /// `train_loss`, `train_accuracy`, `val_loss`, `val_accuracy`, ...
    pub figures: Map<String, Value>,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// How training ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// The run's folder.
    pub run: PathBuf,
    /// Why it ended.
    pub status: Status,
    /// Steps made.
    pub step: u64,
    /// The step of the newest complete checkpoint, if there is one.
    pub saved: Option<u64>,
    /// The final figures: `test_loss`, `test_accuracy`, ...
    pub figures: Map<String, Value>,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The share of the time of the steps that the ledger's hashes and writing took; `None` without a ledger.
    pub ledger: Option<f64>,
}

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is being trained, or its process was killed.
    Running,
    /// All epochs were trained.
    Finished,
    /// Someone asked it to stop; it stopped with a checkpoint.
    Interrupted,
    /// Its numbers became none.
    Diverged,
    /// An error ended it.
    Failed,
}

impl Status {
    /// Its word in files.
    pub fn word(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Finished => "finished",
            Status::Interrupted => "interrupted",
            Status::Diverged => "diverged",
            Status::Failed => "failed",
        }
    }
}

impl Event {
    /// The event as one JSON object; `event` says which it is.
    pub fn to_json(&self) -> Value {
        match self {
            Event::Start(s) => json!({
                "event": "start", "run": text(&s.run), "recipe": s.recipe, "device": "cpu", "simd": s.simd,
                "threads": s.threads, "seed": s.seed, "parameters": s.parameters, "frozen": s.frozen, "train_rows": s.rows[0],
                "val_rows": s.rows[1], "test_rows": s.rows[2], "epochs": s.epochs, "step": s.step,
                "steps": s.steps,
            }),
            Event::Step(s) => json!({
                "event": "step", "epoch": s.epoch, "step": s.step, "steps": s.steps, "loss": s.loss,
                "lr": s.lr, "grad_norm": s.grad_norm, "rows_per_second": s.rate.round(),
            }),
            Event::Epoch(e) => {
                let head = json!({ "event": "epoch", "epoch": e.epoch, "epochs": e.epochs, "step": e.step });
                with(with(head, &e.figures), &one("seconds", json!(e.seconds)))
            }
            Event::Checkpoint { step, path } => json!({ "event": "checkpoint", "step": step, "path": text(path) }),
            Event::Note(note) => json!({ "event": "note", "text": note }),
            Event::End(e) => {
                let head = json!({ "event": "end", "run": text(&e.run), "status": e.status.word(), "step": e.step });
                let head = with(head, &one("checkpoint", json!(e.saved)));
                let head = with(head, &one("ledger_share", json!(e.ledger)));
                with(with(head, &e.figures), &one("seconds", json!(e.seconds)))
            }
        }
    }

    /// The event as a line for people; `None` if it deserves none of its own.
    pub fn line(&self) -> Option<String> {
        match self {
            Event::Start(s) => Some(s.line()),
            Event::Step(s) => Some(s.line()),
            Event::Epoch(e) => Some(e.line()),
            Event::Note(note) => Some(format!("note: {note}")),
            Event::Checkpoint { .. } | Event::End(_) => None,
        }
    }
}

impl Start {
    fn line(&self) -> String {
        let [train, val, test] = self.rows.map(grouped);
        format!(
            "{}: {}, cpu {} x {}, seed {}, run {}\n\
             rows: {train} to train, {val} to validate, {test} to test; {}, {}",
            self.recipe,
            parameters(self.parameters, self.frozen),
            self.simd,
            counted(self.threads, "thread"),
            self.seed,
            self.run.display(),
            counted(self.epochs as usize, "epoch"),
            counted(self.steps as usize, "step"),
        ) + &match self.step {
            0 => String::new(),
            step => format!("\ngoing on after step {}", grouped(step as usize)),
        }
    }
}

impl Step {
    fn line(&self) -> String {
        let val = self.val_accuracy.map_or(String::new(), |val| format!("  val {:.2} %", 100.0 * val));
        format!(
            "epoch {}/{}  step {}/{}  loss {}{val}  lr {:.2e}  |g| {}  {} rows/s  {} left",
            self.epoch,
            self.epochs,
            self.step,
            self.steps,
            short(self.smooth_loss, 4),
            self.lr,
            short(f64::from(self.grad_norm), 2),
            grouped(self.rate as usize),
            duration(self.left),
        )
    }
}

impl Epoch {
    fn line(&self) -> String {
        let figure = |name: &str| self.figures.get(name).and_then(Value::as_f64);
        let part = |part: &str| {
            let accuracy = figure(&format!("{part}_accuracy")).map(|share| format!(" accuracy {:.2} %", 100.0 * share));
            let explained = figure(&format!("{part}_r2")).map(|share| format!(" R^2 {share:.4}"));
            let more = accuracy.or(explained).unwrap_or_default();
            Some(format!("  {part} loss {}{more}", short(figure(&format!("{part}_loss"))?, 4)))
        };
        let parts: String = ["train", "val"].into_iter().filter_map(part).collect();
        format!("epoch {}/{}  step {}{parts}  {}", self.epoch, self.epochs, self.step, duration(self.seconds))
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn one(name: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value)])
}

fn with(mut object: Value, more: &Map<String, Value>) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.extend(more.clone());
    }
    object
}

/// A number with so many places, or with a power of ten if it is large.
fn short(number: f64, places: usize) -> String {
    if number.abs() < 1e5 { format!("{number:.places$}") } else { format!("{number:.2e}") }
}

/// 61706 as "61,706".
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 step", "2,700 steps".
pub fn counted(number: usize, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// How many parameters there are: `61,706 parameters`, `4,652,008 parameters, 83,472 of them frozen`.
pub fn parameters(all: usize, frozen: usize) -> String {
    let frozen = if frozen > 0 { format!(", {} of them frozen", grouped(frozen)) } else { String::new() };
    format!("{}{frozen}", counted(all, "parameter"))
}

/// Seconds as "3.2 s", "4m12s" or "1h05m".
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{}m{:02}s", whole / 60, whole % 60),
        _ => format!("{}h{:02}m", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!(["7", "61,706", "1,000,000"], [7, 61_706, 1_000_000].map(grouped)[..]);
        assert_eq!(["0 files", "1 file", "2,000 files"], [0, 1, 2000].map(|n| counted(n, "file"))[..]);
        assert_eq!(parameters(61_706, 0), "61,706 parameters");
        assert_eq!(parameters(4000, 1000), "4,000 parameters, 1,000 of them frozen");
        assert_eq!(["3.2 s", "4m12s", "1h05m"], [3.21, 252.0, 3900.0].map(duration)[..]);
    }

    #[test]
    fn a_step_fits_one_line() {
        let step = Step {
            epoch: 3,
            epochs: 20,
            step: 1412,
            steps: 9380,
            loss: 0.2,
            smooth_loss: 0.214,
            lr: 3.1e-4,
            grad_norm: 0.82,
            val_accuracy: Some(0.951),
            rate: 1180.0,
            left: 252.0,
        };
        assert_eq!(
            Event::Step(step).line().unwrap(),
            "epoch 3/20  step 1412/9380  loss 0.2140  val 95.10 %  lr 3.10e-4  |g| 0.82  1,180 rows/s  4m12s left"
        );
    }

    #[test]
    fn the_end_names_run_and_figures() {
        let end = End {
            run: PathBuf::from("runs/digits-1"),
            status: Status::Finished,
            step: 10,
            saved: Some(10),
            figures: one("test_accuracy", json!(0.98)),
            seconds: 2.0,
            ledger: None,
        };
        let object = Event::End(end).to_json();
        assert_eq!((&object["event"], &object["run"]), (&json!("end"), &json!("runs/digits-1")));
        assert_eq!(object["test_accuracy"], 0.98);
    }
}
