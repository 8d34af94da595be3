//! Chains: instructions of a pass joined, so that values between them stay in registers ([`super::strip`]).

use tensor::op::{Binary, Op, Unary};

use super::program::{Chain, Item, Kind, Line, Placed, Source, What};
use super::strip::{Code, MOST_PORTS, MOST_STEPS, Step};

/// What an f32 instruction is to a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    /// Of one argument.
    One(Code),
    /// max, then min.
    Clamp,
    /// The sum over the folded points: [`super::moments`], never in a chain.
    Sum,
}

/// Shorter chains cost more than loops over values in the first-level cache: a step takes about 12 cycles for 8 vectors, a loop
/// 8 (AVX2, Zen 3). GELU, when it was five ops, took 15 % longer with all that can be joined, layer norm 25 %.
const LEAST: usize = 5;

/// What is to be joined.
pub struct Join<'a> {
    /// The lines of the program.
    pub lines: &'a [Line],
    /// Those of a pass, in an order in which they can be computed.
    pub list: &'a [u16],
    /// Whether a line of the list reads another one.
    pub reads: &'a dyn Fn(u16, u16) -> bool,
    /// Whether something that is not in the list reads a line.
    pub outside: &'a dyn Fn(u16) -> bool,
    /// Whether a line is computed in another way.
    pub apart: &'a dyn Fn(u16) -> bool,
}

/// Joins lines where that pays.
pub fn join(of: &Join) -> Vec<Item> {
    let Join { lines, list, reads, .. } = *of;
    let mut items = Vec::new();
    let mut waiting: Vec<u16> = Vec::new();
    let joins = |line: u16| {
        lines[line as usize].function.is_some() && lines[line as usize].kind == Kind::Full && !(of.apart)(line)
    };
    for &line in list {
        if joins(line) {
            waiting.push(line);
            continue;
        }
        if waiting.iter().any(|&of| reads(line, of)) {
            close(of, std::mem::take(&mut waiting), &mut items);
        }
        items.push(single(line));
    }
    close(of, waiting, &mut items);
    items
}

/// Whether a chain is faster than loops of its members: steps that only move values cost as much as those that compute. If
/// nothing else is computed, a short one is too: it goes through memory as fast as memory allows.
fn pays(of: &Join, members: &[u16], chain: &Chain) -> bool {
    let reads = |line: &u16| matches!(of.lines[*line as usize].what, What::Load { .. } | What::Spread { .. });
    let alone = of.list.iter().all(|line| reads(line) || members.contains(line));
    (alone || members.len() >= LEAST) && chain.steps.len() <= members.len() + chain.outs.len()
}

fn single(line: u16) -> Item {
    Item::Line(Placed { line, home: 0, store: None })
}

/// Lines that wait are joined, if that pays.
fn close(of: &Join, members: Vec<u16>, items: &mut Vec<Item>) {
    let Join { lines, list, reads, outside, .. } = *of;
    if let [line] = members[..] {
        items.push(single(line));
    } else if !members.is_empty() {
        let read = |line: u16| outside(line) || list.iter().any(|&user| !members.contains(&user) && reads(user, line));
        match Writer::new(lines, &members, &read).write() {
            Some(chain) if pays(of, &members, &chain) => items.push(Item::Chain(chain)),
            // Loops of their own are as fast.
            Some(_) => items.extend(members.into_iter().map(single)),
            None => {
                let (first, second) = members.split_at(members.len() / 2);
                close(of, first.to_vec(), items);
                close(of, second.to_vec(), items);
            }
        }
    }
}

/// Writes the steps of one chain.
struct Writer<'a> {
    lines: &'a [Line],
    members: &'a [u16],
    /// Members that others read too.
    outs: Vec<u16>,
    /// How often members that are still to be written read each member.
    uses: Vec<usize>,
    /// A product that the sum of the second member takes along.
    absorbed: Vec<(u16, u16)>,
    steps: Vec<Step>,
    ports: Vec<Source>,
    /// The port of each line that lies in memory.
    saved: Vec<(u16, u16)>,
    /// The line in the accumulator.
    now: Option<u16>,
}

impl<'a> Writer<'a> {
    fn new(lines: &'a [Line], members: &'a [u16], read: &dyn Fn(u16) -> bool) -> Writer<'a> {
        let outs = members.iter().copied().filter(|&line| read(line)).collect();
        let mut uses = vec![0; lines.len()];
        for &member in members {
            lines[member as usize].inputs().iter().for_each(|&arg| uses[arg as usize] += 1);
        }
        let (steps, ports, saved) = (Vec::new(), Vec::new(), Vec::new());
        let mut writer = Writer { lines, members, outs, uses, absorbed: Vec::new(), steps, ports, saved, now: None };
        for &sum in members {
            if let (Some(Function::Add), &[x, y]) = (lines[sum as usize].function, lines[sum as usize].inputs()) {
                let product = if writer.absorbs(x, y) {
                    x
                } else if writer.absorbs(y, x) {
                    y
                } else {
                    continue;
                };
                writer.absorbed.push((product, sum));
            }
        }
        writer
    }

    /// Whether a sum of `product` and `other` takes the product along: one of what lies in memory, that nobody else reads.
    fn absorbs(&self, product: u16, other: u16) -> bool {
        let line = &self.lines[product as usize];
        product != other
            && self.members.contains(&product)
            && self.members.contains(&other)
            && line.function == Some(Function::Mul)
            && self.uses[product as usize] == 1
            && !self.outs.contains(&product)
            && line.inputs().iter().all(|arg| !self.members.contains(arg))
            && !self.absorbed.iter().any(|&(absorbed, _)| absorbed == other)
    }

    /// The chain, unless it has too many ports.
    fn write(mut self) -> Option<Chain> {
        let mut left: Vec<u16> = self.members.to_vec();
        left.retain(|line| !self.absorbed.iter().any(|(product, _)| product == line));
        while !left.is_empty() {
            let ready = |line: u16| {
                let inputs = self.lines[line as usize].inputs();
                inputs.iter().all(|arg| !left.contains(arg))
            };
            let reads_now = |line: u16| self.lines[line as usize].inputs().iter().any(|arg| Some(*arg) == self.now);
            let next = left.iter().position(|&line| ready(line) && reads_now(line));
            let next = next.or_else(|| left.iter().position(|&line| ready(line)))?;
            let line = left.remove(next);
            self.line(line);
        }
        self.keep_now(0);
        if self.ports.len() > MOST_PORTS || self.steps.len() > MOST_STEPS {
            return None;
        }
        let outs = self.outs.iter().map(|&line| Placed { line, home: 0, store: None }).collect();
        Some(Chain { steps: self.steps, ports: self.ports, outs, first_strip: 0 })
    }

    fn line(&mut self, line: u16) {
        let absorbed = self.absorbed.iter().find(|&&(_, sum)| sum == line).map(|&(product, _)| product);
        let inputs = self.lines[line as usize].inputs();
        let of_now = inputs.iter().filter(|&&arg| Some(arg) == self.now).count();
        inputs.iter().for_each(|&arg| self.uses[arg as usize] -= 1);
        // A chain reads its own value twice through memory, but for squares.
        let function = self.lines[line as usize].function;
        let twice = of_now == 2 && function != Some(Function::Mul);
        self.keep_now(usize::from(twice));
        match (function, inputs) {
            (Some(Function::One(code)), &[x, ..]) => {
                self.take(x);
                self.step(code, 0, 0);
            }
            (Some(Function::Clamp), &[x, lo, hi]) => {
                self.take(x);
                let (lo, hi) = (self.port(lo), self.port(hi));
                self.step(Code::Max, lo, 0);
                self.step(Code::Min, hi, 0);
            }
            (Some(Function::Add), &[x, y]) if absorbed.is_some() => {
                let product = absorbed.unwrap_or(x);
                self.take(if product == x { y } else { x });
                if let &[p, q] = self.lines[product as usize].inputs() {
                    let (p, q) = (self.port(p), self.port(q));
                    self.step(Code::AddProduct, p, q);
                }
            }
            (Some(Function::Mul), &[x, y]) if x == y => {
                self.take(x);
                self.step(Code::Square, 0, 0);
            }
            (Some(function), &[x, y]) => self.binary(function, x, y),
            _ => {}
        }
        self.now = Some(line);
    }

    fn binary(&mut self, function: Function, x: u16, y: u16) {
        let now = self.now;
        let (forward, backward, both) = match function {
            Function::Add => (Code::Add, Code::Add, Some(Code::AddBoth)),
            Function::Sub => (Code::Sub, Code::SubFrom, Some(Code::SubBoth)),
            Function::Mul => (Code::Mul, Code::Mul, Some(Code::MulBoth)),
            Function::Div => (Code::Div, Code::DivInto, Some(Code::DivBoth)),
            Function::Max => (Code::Max, Code::MaxOf, None),
            _ => (Code::Min, Code::MinOf, None),
        };
        if Some(x) == now {
            let y = self.port(y);
            self.step(forward, y, 0);
        } else if Some(y) == now {
            let x = self.port(x);
            self.step(backward, x, 0);
        } else if let Some(both) = both {
            let (x, y) = (self.port(x), self.port(y));
            self.step(both, x, y);
        } else {
            self.take(x);
            let y = self.port(y);
            self.step(forward, y, 0);
        }
    }

    fn step(&mut self, code: Code, a: u16, b: u16) {
        self.steps.push(Step { code, ports: [a, b] });
    }

    /// Makes `line` the accumulator.
    fn take(&mut self, line: u16) {
        if self.now != Some(line) {
            let port = self.port(line);
            self.step(Code::Take, port, 0);
        }
    }

    /// Saves the accumulator if it is read again later, or `more` times at once, or outside.
    fn keep_now(&mut self, more: usize) {
        let Some(line) = self.now else { return };
        let out = self.outs.iter().position(|&other| other == line);
        let needed = out.is_some() || self.uses[line as usize] + more > 0;
        if needed && !self.saved.iter().any(|&(other, _)| other == line) {
            let source = out.map_or(Source::Spare, |out| Source::Out(out as u16));
            self.ports.push(source);
            let port = self.ports.len() as u16 - 1;
            self.saved.push((line, port));
            self.step(Code::Save, port, 0);
        }
    }

    /// The port of a line that lies in memory.
    fn port(&mut self, line: u16) -> u16 {
        if let Some(&(_, port)) = self.saved.iter().find(|&&(other, _)| other == line) {
            return port;
        }
        self.ports.push(Source::Line(line));
        let port = self.ports.len() as u16 - 1;
        self.saved.push((line, port));
        port
    }
}

impl Chain {
    /// Whether every step that reads the value of `line` comes before the one that saves the out of this number.
    pub fn reads_before(&self, line: u16, out: usize) -> bool {
        let port_of = |source: Source| self.ports.iter().position(|&port| port == source);
        let (Some(read), Some(saved)) = (port_of(Source::Line(line)), port_of(Source::Out(out as u16))) else {
            return true;
        };
        let saves = |step: &Step| step.code == Code::Save && step.ports[0] as usize == saved;
        let Some(save) = self.steps.iter().position(saves) else { return true };
        self.steps[save..].iter().all(|step| !step.reads().contains(&(read as u16)))
    }

    /// The lines it reads.
    pub fn inputs(&self) -> impl Iterator<Item = u16> {
        self.ports.iter().filter_map(|&port| if let Source::Line(line) = port { Some(line) } else { None })
    }
}

impl Function {
    /// What an instruction of f32 alone is to a chain.
    pub fn of(op: &Op) -> Option<Function> {
        Some(match op {
            Op::Binary(Binary::Add) => Function::Add,
            Op::Binary(Binary::Sub) => Function::Sub,
            Op::Binary(Binary::Mul) => Function::Mul,
            Op::Binary(Binary::Div) => Function::Div,
            Op::Binary(Binary::Max) => Function::Max,
            Op::Binary(Binary::Min) => Function::Min,
            Op::Clamp { .. } => Function::Clamp,
            Op::Unary(Unary::Sqrt) => Function::One(Code::Sqrt),
            Op::Unary(Unary::Rsqrt) => Function::One(Code::Rsqrt),
            Op::Unary(Unary::Recip) => Function::One(Code::Recip),
            Op::Unary(Unary::Neg) => Function::One(Code::Neg),
            Op::Unary(Unary::Abs) => Function::One(Code::Abs),
            Op::Unary(Unary::Relu) => Function::One(Code::Relu),
            _ => return None,
        })
    }
}
