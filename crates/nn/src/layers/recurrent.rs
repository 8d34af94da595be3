//! Recurrent layers over whole sequences: LSTM (Hochreiter and Schmidhuber 1997), GRU (Cho et al. 2014), plain (Elman 1990).

use tensor::op::{Cell, Op};
use tensor::{DType, ScanOptions, Tensor};

use crate::init::Init;
use crate::layer::{Description, Layer, Place};
use crate::param::Param;
use crate::pass::Pass;
use crate::scope::Scope;

/// One or more recurrent layers, one on the output of the other: `[T, N, inputs] -> [T, N, hidden]`.
///
/// Equations, parameters, names and initial values (uniform within `1 / sqrt(hidden)`) are PyTorch's. [`Layer::forward`]
/// starts from zero and gives the outputs; [`Recurrent::sequence`] takes a state and lengths, and gives the last state too.
pub struct Recurrent {
    place: Place,
    at: Scope,
    cell: Cell,
    inputs: usize,
    hidden: usize,
    layers: usize,
    bidirectional: bool,
    bias: bool,
    batch_first: bool,
    dropout: f64,
    init: Option<Init>,
    /// Each by its name, withdrawn ones too.
    params: Vec<(String, Param)>,
}

/// What a recurrent layer gives for a sequence.
pub struct Sequence {
    /// The last layer's h of each step `[T, N, directions * hidden]`, or `[N, T, ..]`; 0 past the length of a sample.
    pub output: Tensor,
    /// h after each sample's last step, `[layers * directions, N, hidden]`.
    pub hidden: Tensor,
    /// The same of c, of an LSTM.
    pub cell: Option<Tensor>,
}

/// An LSTM layer.
#[track_caller]
pub fn lstm(at: Scope, inputs: usize, hidden: usize) -> Recurrent {
    Recurrent::new(at, Cell::Lstm, inputs, hidden)
}

/// A GRU layer.
#[track_caller]
pub fn gru(at: Scope, inputs: usize, hidden: usize) -> Recurrent {
    Recurrent::new(at, Cell::Gru, inputs, hidden)
}

/// A plain recurrent layer, `h = tanh(W_ih x + b_ih + W_hh h + b_hh)`.
#[track_caller]
pub fn rnn(at: Scope, inputs: usize, hidden: usize) -> Recurrent {
    Recurrent::new(at, Cell::RnnTanh, inputs, hidden)
}

impl Recurrent {
    #[track_caller]
    fn new(at: Scope, cell: Cell, inputs: usize, hidden: usize) -> Recurrent {
        Recurrent {
            place: Place::new(&at),
            at,
            cell,
            inputs,
            hidden,
            layers: 1,
            bidirectional: false,
            bias: true,
            batch_first: false,
            dropout: 0.0,
            init: None,
            params: Vec::new(),
        }
        .declared()
    }

    /// With `layers` layers, each but the first on the outputs of the one before.
    #[track_caller]
    pub fn layers(self, layers: usize) -> Recurrent {
        Recurrent { layers, ..self }.declared()
    }

    /// Also from the last step to the first, if `true`: outputs of both directions stand side by side.
    #[track_caller]
    pub fn bidirectional(self, bidirectional: bool) -> Recurrent {
        Recurrent { bidirectional, ..self }.declared()
    }

    /// Without biases, if `false`.
    #[track_caller]
    pub fn bias(self, bias: bool) -> Recurrent {
        Recurrent { bias, ..self }.declared()
    }

    /// Of a plain layer: `max(., 0)` in place of tanh, if `true`.
    pub fn relu(self, relu: bool) -> Recurrent {
        let plain = matches!(self.cell, Cell::RnnTanh | Cell::RnnRelu);
        let cell = if relu { Cell::RnnRelu } else { Cell::RnnTanh };
        Recurrent { cell: if plain { cell } else { self.cell }, ..self }
    }

    /// Inputs and outputs are `[N, T, ..]`, if `true`.
    pub fn batch_first(self, batch_first: bool) -> Recurrent {
        Recurrent { batch_first, ..self }
    }

    /// Dropout with probability `p` on the outputs of every layer but the last.
    pub fn dropout(self, p: f64) -> Recurrent {
        Recurrent { dropout: p, ..self }
    }

    /// With other initial values, of biases too.
    #[track_caller]
    pub fn init(self, init: Init) -> Recurrent {
        Recurrent { init: Some(init), ..self }.declared()
    }

    /// An LSTM whose forget gates start with this `bias_ih` (Gers et al. 2000): with 1 it remembers at first. To be asked for last.
    pub fn forget_bias(self, bias: f64) -> Recurrent {
        let of_input = self.params.iter().filter(|(name, _)| name.starts_with("bias_ih"));
        if self.cell == Cell::Lstm {
            of_input.for_each(|(_, param)| param.fill_rows(self.hidden..2 * self.hidden, bias));
        }
        self
    }

    /// Declares what the settings ask for, and withdraws what they no longer do.
    #[track_caller]
    fn declared(mut self) -> Recurrent {
        let bound = 1.0 / (self.hidden.max(1) as f64).sqrt();
        let init = self.init.unwrap_or(Init::Uniform { low: -bound, high: bound });
        let rows = self.cell.gates() * self.hidden;
        let mut wanted = Vec::new();
        for layer in 0..self.layers {
            let inputs = if layer == 0 { self.inputs } else { self.directions() * self.hidden };
            for direction in 0..self.directions() {
                let name = |part: &str| name(part, layer, direction);
                wanted.push((name("weight_ih"), vec![rows, inputs]));
                wanted.push((name("weight_hh"), vec![rows, self.hidden]));
                if self.bias {
                    wanted.push((name("bias_ih"), vec![rows]));
                    wanted.push((name("bias_hh"), vec![rows]));
                }
            }
        }
        for (known, param) in &self.params {
            match wanted.iter().find(|(name, _)| name == known) {
                Some((_, shape)) => param.redeclare(shape, init),
                None => param.withdraw(),
            }
        }
        for (name, shape) in wanted {
            if self.params.iter().all(|(known, _)| *known != name) {
                let param = self.at.parameter(&name, &shape, init);
                self.params.push((name, param));
            }
        }
        self
    }

    fn directions(&self) -> usize {
        1 + usize::from(self.bidirectional)
    }

    #[track_caller]
    fn param(&self, part: &str, layer: usize, direction: usize) -> Option<Tensor> {
        let wanted = name(part, layer, direction);
        self.params.iter().find(|(name, _)| *name == wanted).map(|(_, param)| param.tensor())
    }

    /// Its outputs and last states for `x`.
    ///
    /// `start` is the state before the first step: `[h]`, of an LSTM `[h, c]`, each `[layers * directions, N, hidden]`; zeros
    /// without. `lengths` (i64 `[N]`, in any order) says how many steps each sample has.
    pub fn sequence(&self, x: &Tensor, start: Option<&[Tensor]>, lengths: Option<&Tensor>, pass: &Pass) -> Sequence {
        let mut last = Vec::new();
        let output = self.place.run(self.kind(), pass, || {
            let (output, states) = match self.check(x, start) {
                Ok(()) => self.stack(x, start, lengths, pass),
                Err(refused) => (refused, Vec::new()),
            };
            let states = if states.is_empty() { vec![vec![output.clone(); 2]] } else { states };
            for part in 0..if self.cell == Cell::Lstm { 2 } else { 1 } {
                let parts: Vec<Tensor> = states.iter().map(|state| state[part].clone()).collect();
                last.push(if parts.len() == 1 { parts[0].unsqueeze(0) } else { Tensor::stack(&parts, 0) });
            }
            output
        });
        let cell = if self.cell == Cell::Lstm { last.pop() } else { None };
        let hidden = last.pop().unwrap_or_else(|| output.clone());
        Sequence { output, hidden, cell }
    }

    fn kind(&self) -> &'static str {
        match self.cell {
            Cell::RnnTanh | Cell::RnnRelu => "rnn",
            cell => cell.name(),
        }
    }

    fn check(&self, x: &Tensor, start: Option<&[Tensor]>) -> Result<(), Tensor> {
        let kind = self.kind();
        if x.error().is_some() {
            return Err(x.clone());
        }
        let (order, time) = if self.batch_first { ("[N, T, inputs]", 1) } else { ("[T, N, inputs]", 0) };
        if x.rank() != 3 {
            let help = format!("the input is {order}: unsqueeze({}) makes one sequence a batch", 1 - time);
            return Err(x.refused(kind, format!("{} into {} inputs", x.shape(), self.inputs), Some(help)));
        }
        if x.dims()[2] != self.inputs || x.dims()[time] == 0 || self.layers == 0 || self.hidden == 0 {
            let what = (self.inputs, self.hidden, self.layers);
            let message =
                format!("{} ({order}) into {} inputs, {} hidden, {} layers", x.shape(), what.0, what.1, what.2);
            let help = format!("{kind}(at / .., {}, ..) and at least one step, unit and layer", x.dims()[2]);
            return Err(x.refused(kind, message, Some(help)));
        }
        let wanted = [self.layers * self.directions(), x.dims()[1 - time], self.hidden];
        let count = if self.cell == Cell::Lstm { 2 } else { 1 };
        match start {
            Some(start) if start.len() != count => {
                Err(x.refused(kind, format!("a state of {} tensors, not {count}", start.len()), None))
            }
            Some(start) => match start.iter().find(|part| part.error().is_some() || part.dims() != wanted) {
                Some(part) => Err(part.refused(kind, format!("a state of {}, not {wanted:?}", part.shape()), None)),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    /// All layers: the outputs, and the last state of each layer and direction.
    fn stack(
        &self,
        x: &Tensor,
        start: Option<&[Tensor]>,
        lengths: Option<&Tensor>,
        pass: &Pass,
    ) -> (Tensor, Vec<Vec<Tensor>>) {
        let mut input = Input::new(x, self.batch_first);
        let mut states = Vec::new();
        for layer in 0..self.layers {
            let mut outputs = Vec::new();
            for direction in 0..self.directions() {
                let begin = start.map(|start| start.iter().map(|part| part.select(0, states.len())).collect());
                let options = ScanOptions { lengths, reverse: direction == 1 };
                let (output, state) = self.one(&input, (layer, direction), begin, &options);
                outputs.push(output);
                states.push(state);
            }
            let output = if outputs.len() == 1 { outputs.remove(0) } else { Tensor::concat(&outputs, 2) };
            let between = layer + 1 < self.layers && self.dropout > 0.0;
            input = Input::Steps(if between { self.drop_out(output, layer, pass) } else { output });
        }
        let output = match input {
            Input::Steps(output) | Input::Rows { table: output, .. } => output,
        };
        (if self.batch_first { output.transpose(0, 1) } else { output }, states)
    }

    fn drop_out(&self, x: Tensor, layer: usize, pass: &Pass) -> Tensor {
        let dropout = super::dropout(&self.at / format!("dropout_l{layer}"), self.dropout);
        dropout.forward(&x, pass)
    }

    /// One direction of one layer: outputs, and the state after the last step.
    fn one(
        &self,
        input: &Input,
        (layer, direction): (usize, usize),
        start: Option<Vec<Tensor>>,
        options: &ScanOptions,
    ) -> (Tensor, Vec<Tensor>) {
        let hidden = self.hidden;
        let param = |part: &str| self.param(part, layer, direction).unwrap_or_else(|| Tensor::zeros([0], DType::F32));
        let (weight_ih, weight_hh) = (param("weight_ih"), param("weight_hh"));
        let biases = self.bias.then(|| (param("bias_ih"), param("bias_hh")));
        // A GRU scales the state's part of n, bias and all: that bias stays apart.
        let with_input = biases.as_ref().map(|(of_input, of_state)| match self.cell {
            Cell::Gru => of_input + of_state.narrow(0, 0..2 * hidden).pad(0, 0, hidden, 0.0),
            _ => of_input + of_state,
        });
        let gates = input.project(&weight_ih, with_input.as_ref());
        if gates.error().is_some() {
            return (gates.clone(), vec![gates.clone(), gates]);
        }
        let zeros = || Tensor::zeros([gates.dims()[1], hidden], gates.dtype());
        let start = start.unwrap_or_else(|| vec![zeros(), zeros()]);
        match self.cell {
            Cell::Lstm => {
                let [output, h, c] = gates.lstm(&weight_hh, &start[0], &start[1], options);
                (output, vec![h, c])
            }
            Cell::Gru => {
                let bias = biases.map(|(_, of_state)| of_state.narrow(0, 2 * hidden..3 * hidden));
                let bias = bias.unwrap_or_else(|| Tensor::zeros([hidden], gates.dtype()));
                let [output, h] = gates.gru(&weight_hh, &bias, &start[0], options);
                (output, vec![h])
            }
            cell => {
                let [output, h] = gates.rnn(cell == Cell::RnnRelu, &weight_hh, &start[0], options);
                (output, vec![h])
            }
        }
    }
}

/// What a layer reads, step by step.
enum Input {
    /// `[T, N, width]`.
    Steps(Tensor),
    /// Rows `index [T, N]` of `table [entries, width]`.
    Rows { table: Tensor, index: Tensor },
}

impl Input {
    fn new(x: &Tensor, batch_first: bool) -> Input {
        if let (Op::IndexSelect { axis: 0 }, [table, index]) = (*x.op(), x.inputs())
            && table.rank() == 2
            && 2 * table.dims()[0] <= index.count()
        {
            let index = if batch_first { index.transpose(0, 1) } else { index.clone() };
            return Input::Rows { table: table.clone(), index };
        }
        Input::Steps(if batch_first { x.transpose(0, 1) } else { x.clone() })
    }

    /// `x W^T + b` of every step, `[T, N, rows of W]`. Where rows of a table repeat, each is multiplied once: the same bits.
    fn project(&self, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let affine = |x: &Tensor| bias.iter().fold(x.matmul(&weight.transpose(0, 1)), |y, bias| y + *bias);
        match self {
            Input::Rows { table, index } => affine(table).embedding(index),
            Input::Steps(x) if x.error().is_some() => x.clone(),
            Input::Steps(x) => {
                let (steps, batch, width) = (x.dims()[0], x.dims()[1], x.dims()[2]);
                let gates = affine(&x.reshape([steps * batch, width]));
                let rows = gates.dims().last().copied().unwrap_or(0);
                gates.reshape([steps, batch, rows])
            }
        }
    }
}

/// PyTorch's name of a parameter.
fn name(part: &str, layer: usize, direction: usize) -> String {
    format!("{part}_l{layer}{}", if direction == 1 { "_reverse" } else { "" })
}

impl Layer for Recurrent {
    fn forward(&self, x: &Tensor, pass: &Pass) -> Tensor {
        self.sequence(x, None, None, pass).output
    }

    fn describe(&self) -> Description {
        let mut settings = format!("{} -> {}", self.inputs, self.hidden);
        if self.layers != 1 {
            settings += &format!(", {} layers", self.layers);
        }
        if self.bidirectional {
            settings += ", both directions";
        }
        if self.cell == Cell::RnnRelu {
            settings += ", relu";
        }
        if self.dropout > 0.0 {
            settings += &format!(", dropout {} between layers", self.dropout);
        }
        let params = self.params.iter().map(|(_, param)| param).filter(|param| param.var().is_some());
        Description::of(self.kind(), settings).at(&self.place, params)
    }
}
