//! Instructions that are one thing together, and are computed as such.

use tensor::DType;
use tensor::op::{Binary, Op, Unary};
use tensor::plan::{Code, Instr};

use super::prepare::Builder;
use super::program::Kind;

impl Builder<'_> {
    /// The number that a register is everywhere, if the program says so.
    fn number(&self, register: u16) -> Option<f64> {
        match self.fused.code[register as usize].code {
            Code::Op(Op::Full(value)) => Some(value.f64()),
            _ => None,
        }
    }

    /// The lines y and g of `where(y <= 0, 0, g)`, if the instruction is that: one loop instead of two and a mask between them.
    pub(super) fn relu_gradient(&self, index: usize) -> Option<[u16; 2]> {
        let code = &self.fused.code;
        let instr = &code[index];
        let zero = |register: u16| self.number(register).is_some_and(|number| number.to_bits() == 0);
        let [condition, taken, other] = instr.args;
        let condition = match instr.code {
            Code::Op(Op::Where) if instr.dtype == DType::F32 && zero(taken) => &code[condition as usize],
            _ => return None,
        };
        let [y, limit, _] = condition.args;
        let is_le = matches!(condition.code, Code::Op(Op::Binary(Binary::Le))) && zero(limit);
        let line = |register: u16| self.line_of[register as usize];
        (is_le && code[y as usize].dtype == DType::F32).then(|| [line(y), line(other)])
    }

    /// The lines y and g of `where(lo < y and y < hi, g, 0)`, and the limits, if the instruction is that: one loop instead of
    /// four and three masks.
    pub(super) fn inside(&self, index: usize) -> Option<(u16, u16, [f32; 2])> {
        let code = &self.fused.code;
        let of = |register: u16, op: Binary| {
            let instr = &code[register as usize];
            (instr.code == Code::Op(Op::Binary(op))).then_some(instr.args)
        };
        let [condition, g, zero] = code[index].args;
        if code[index].code != Code::Op(Op::Where)
            || code[index].dtype != DType::F32
            || self.number(zero)?.to_bits() != 0
        {
            return None;
        }
        let [above, below, _] = of(condition, Binary::And)?;
        let ([y, low, _], [other, high, _]) = (of(above, Binary::Gt)?, of(below, Binary::Lt)?);
        let line = |register: u16| self.line_of[register as usize];
        let limits = [self.number(low)? as f32, self.number(high)? as f32];
        (y == other && code[y as usize].dtype == DType::F32).then(|| (line(y), line(g), limits))
    }

    /// The lines label, value and other of `where(iota == label, value, other)` with one label for each row, if the instruction is
    /// that: one loop that fills, instead of three over positions and masks.
    pub(super) fn one_hot(&self, index: usize) -> Option<[u16; 3]> {
        let (code, space) = (&self.fused.code, self.fused.space);
        let [condition, value, other] = code[index].args;
        let is = |register: usize, op: Op| code[register].code == Code::Op(op);
        if !is(index, Op::Where) || !is(condition as usize, Op::Binary(Binary::Eq)) {
            return None;
        }
        // Positions along all that is folded.
        let counts = |register: u16| match code[register as usize] {
            Instr { code: Code::Op(Op::Iota { axis }), dtype: DType::I64, .. } => {
                (0..space.rank()).all(|a| self.folded.contains(a) == (a == axis as usize) || space[a] == 1)
            }
            _ => false,
        };
        let [x, y, _] = code[condition as usize].args;
        let label = if counts(x) { y } else { Some(x).filter(|_| counts(y))? };
        let args = [label, value, other].map(|register| self.line_of[register as usize]);
        let [label, value, other] = args.map(|line| self.lines[line as usize].kind);
        let suits = matches!(label, Kind::Row(_)) && value != Kind::Full && other == Kind::Uniform;
        (suits && !self.fused.reduced.is_empty() && code[index].dtype == DType::F32).then_some(args)
    }

    /// The lines that are GELU of f32 values, each with the line that is its slope there.
    pub(super) fn gelus(&self) -> Vec<[u16; 2]> {
        let of = |op: Unary| {
            self.fused.code.iter().zip(&self.line_of).filter_map(move |(instr, &line)| {
                let full = self.lines[line as usize].kind == Kind::Full && instr.dtype == DType::F32;
                (full && matches!(instr.code, Code::Op(Op::Unary(other)) if other == op)).then_some(line)
            })
        };
        let x = |line: u16| self.lines[line as usize].args[0];
        let pair = |gelu: u16| of(Unary::GeluSlope).find(|&slope| x(slope) == x(gelu)).map(|slope| [gelu, slope]);
        of(Unary::Gelu).filter_map(pair).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::fused::prepare::prepare;
    use crate::exec::fused::program::{Item, Program, What};
    use tensor::Tensor;
    use tensor::plan::Kernel;

    /// The programs that the cpu makes of a graph.
    fn programs(outputs: &[&Tensor]) -> Vec<Program> {
        let plan = crate::Cpu::new(1).unwrap().plan(outputs, &[]).unwrap();
        let fused =
            plan.steps.iter().filter_map(|step| if let Kernel::Fused(of) = &step.kernel { Some(of) } else { None });
        fused.map(|fused| prepare(fused, None, &|slot| plan.slots[slot].dtype, 1).unwrap()).collect()
    }

    #[test]
    fn the_gradient_of_a_cross_entropy_fills_and_compares_nothing() {
        let x = Tensor::from_vec(vec![0.5f32; 6], [2, 3]) * 2.0;
        let labels = Tensor::from_vec(vec![2i64, 0], [2]);
        let gradient = x.cross_entropy(&labels).grad([&x]).remove(0);
        let mut of = programs(&[&gradient]);
        assert_eq!(of.len(), 1);
        let program = of.remove(0);
        let items = program.passes.iter().flat_map(|pass| &pass.items);
        let what = items.filter_map(|item| {
            if let Item::Line(of) = item { Some(&program.lines[of.line as usize].what) } else { None }
        });
        let (filled, counted) = what.fold((0, 0), |(filled, counted), what| match what {
            What::OneHot => (filled + 1, counted),
            What::Count { .. } => (filled, counted + 1),
            _ => (filled, counted),
        });
        assert_eq!((filled, counted), (1, 0));
    }

    #[test]
    fn the_gradient_of_limits_is_one_loop() {
        let x = Tensor::from_vec(vec![-1.0f32, 0.0, 0.5, 6.0, 7.0], [5]) * 2.0;
        let y = x.relu6();
        let gradient = (&y * &y).sum(..).grad([&x]).remove(0);
        let of = programs(&[&gradient]);
        let masks = of.iter().flat_map(|program| {
            program.passes.iter().flat_map(|pass| &pass.items).map(move |item| {
                let size = |line: u16| program.lines[line as usize].size;
                match item {
                    Item::Line(placed) => usize::from(size(placed.line) == 1),
                    _ => 0,
                }
            })
        });
        assert_eq!(masks.sum::<usize>(), 0);
        let inside = of.iter().flat_map(|program| &program.lines);
        let inside = inside.filter(|line| matches!(line.what, What::Call { arity: 3, .. }) && line.function.is_none());
        assert_eq!(inside.count(), 1);
    }

    #[test]
    fn gelu_and_its_slope_at_the_same_place_are_one_item() {
        let x = Tensor::from_vec(vec![1.0f32, -2.0, 3.0], [3]) * 2.0;
        let pairs = |outputs: [Tensor; 2]| -> usize {
            let programs = programs(&outputs.each_ref());
            let items = programs.iter().flat_map(|program| &program.passes).flat_map(|pass| &pass.items);
            items.filter(|item| matches!(item, Item::Gelu(_))).count()
        };
        assert_eq!(pairs([x.gelu(), x.gelu_slope()]), 1);
        assert_eq!(pairs([x.gelu_slope(), x.gelu() + 1.0]), 1);
        assert_eq!(pairs([x.gelu(), (&x + 1.0).gelu_slope()]), 0);
        let wide = x.cast(DType::F64);
        assert_eq!(pairs([wide.gelu(), wide.gelu_slope()]), 0);
    }
}
