//! Random programs over the rows and columns of matrices, which may run row by row with each other, against the reference.

use glassbox_cpu::Cpu;
use glassbox_cpu::simd::Simd;
use tensor::{Array, DType, RandomKey, Shape, Tensor, reference};

/// Programs; more with `GLASSBOX_GRAPHS`.
const PROGRAMS: u64 = 200;
/// Steps of each.
const STEPS: usize = 10;
const ROWS: [usize; 11] = [1, 3, 7, 15, 16, 17, 31, 100, 300, 700, 4100];
const COLUMNS: [usize; 11] = [1, 64, 100, 255, 256, 257, 300, 640, 1024, 1100, 4100];
const MOST: usize = 200_000;

/// A program that grows: values of every point, of every row and of every column.
struct Program {
    key: RandomKey,
    drawn: u64,
    dims: [usize; 2],
    full: Vec<Tensor>,
    rows: Vec<Tensor>,
    columns: Vec<Tensor>,
}

impl Program {
    fn new(seed: u64) -> Program {
        let (full, rows, columns) = (Vec::new(), Vec::new(), Vec::new());
        let mut program = Program { key: RandomKey::new(seed), drawn: 0, dims: [MOST; 2], full, rows, columns };
        while program.dims.iter().product::<usize>() > MOST {
            program.dims = [ROWS[program.below(ROWS.len())], COLUMNS[program.below(COLUMNS.len())]];
        }
        let [rows, columns] = program.dims;
        for _ in 0..2 {
            let [full, row, column] =
                [vec![rows, columns], vec![rows, 1], vec![columns]].map(|dims| program.leaf(&dims));
            program.full.push(full);
            program.rows.push(row);
            program.columns.push(column);
        }
        (0..STEPS).for_each(|_| program.step());
        program
    }

    fn below(&mut self, count: usize) -> usize {
        self.drawn += 1;
        self.key.below(self.drawn, count as u64) as usize
    }

    /// One of these, the later the likelier.
    fn pick(&mut self, of: fn(&Program) -> &Vec<Tensor>) -> Tensor {
        let count = of(self).len();
        let back = self.below(count).min(self.below(count));
        of(self)[count - 1 - back].clone()
    }

    fn leaf(&mut self, dims: &[usize]) -> Tensor {
        self.drawn += 1;
        let key = self.key.stream("leaf").step(self.drawn as u32);
        let shape = Shape::new(dims).unwrap();
        let number = |i: u64| match key.below(i, 60) {
            0 => 0.0,
            1 => -0.0,
            _ => f64::from(key.uniform(i) * 6.0 - 3.0),
        };
        Tensor::from_array(Array::of::<f64>(shape, (0..shape.count() as u64).map(number).collect()).cast(DType::F32))
    }

    fn step(&mut self) {
        let [x, y] = [(); 2].map(|()| self.pick(|of| &of.full));
        let (row, column) = (self.pick(|of| &of.rows), self.pick(|of| &of.columns));
        let [rows, columns] = self.dims;
        let centred = |axis: isize| &x - x.mean_keep(axis);
        match self.below(24) {
            0 => self.full.push(&x * &y),
            1 => self.full.push(&x * &row),
            2 => self.full.push(&x * &column),
            3 => self.full.push(&x - &row),
            4 => self.full.push(&x + &column),
            5 => self.full.push(x.softmax(-1)),
            6 => self.full.push(x.softmax(0)),
            7 => self.full.push(x.cumsum(-1).tanh()),
            8 => {
                let turned = self.leaf(&[columns, rows]).transpose(0, 1);
                self.full.push(turned);
            }
            9 => {
                let part = self.leaf(&[rows, columns + 3]).narrow(1, 2..columns + 2);
                self.full.push(part);
            }
            10 => self.rows.push(x.sum_keep(1)),
            11 => self.rows.push((&x * &y).sum_keep(1)),
            12 => self.rows.push(x.max_keep(1)),
            13 => self.rows.push((centred(1) * centred(1)).mean_keep(1)),
            14 => self.rows.push(row.flip(0)),
            15 => self.columns.push(x.sum(0)),
            16 => self.columns.push((&x * &y).sum(0)),
            17 => self.columns.push(x.max(0)),
            18 => self.columns.push(((&x - &row) * &y).sum(0)),
            19 => self.columns.push((centred(0) * centred(0)).mean(0)),
            _ => {
                let z = (x.layer_norm(1, 1e-5) * &column + &row) * &y;
                let [of_x, of_column] = [&x, &column].map(|of| z.sum(..).grad([of]).remove(0));
                self.full.extend(of_x.error().is_none().then_some(of_x));
                self.columns.extend(of_column.error().is_none().then_some(of_column));
            }
        }
    }

    fn outputs(&mut self) -> Vec<Tensor> {
        let last = [&self.columns, &self.full, &self.rows].map(|all| all[all.len() - 1].clone());
        let any = [self.pick(|of| &of.full), self.pick(|of| &of.rows), self.pick(|of| &of.columns)];
        last.into_iter().chain(any).collect()
    }
}

#[test]
fn rows_and_columns_have_the_bits_of_the_reference() {
    let count = std::env::var("GLASSBOX_GRAPHS").ok().and_then(|count| count.parse().ok()).unwrap_or(PROGRAMS);
    let threads = [1, 2, 8].map(Cpu::new).into_iter();
    let widths = Simd::available().into_iter().map(|simd| Cpu::with(3, simd.level()));
    // Devices that are used again and again have old numbers in their memory.
    let devices: Vec<Cpu> = threads.chain(widths).map(Result::unwrap).collect();
    let bits = |array: &Array| -> Vec<u64> {
        array.to_f64().iter().map(|x| if x.is_nan() { u64::MAX } else { x.to_bits() }).collect()
    };
    for seed in 0..count {
        let build = || Program::new(seed).outputs();
        let wanted = reference::evaluate(&build().iter().collect::<Vec<_>>()).unwrap();
        for cpu in &devices {
            let (threads, width) = (cpu.machine().pool.threads(), cpu.machine().simd.level());
            let found = cpu.run(&build().iter().collect::<Vec<_>>(), &[]).unwrap();
            for (output, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                let same = bits(found) == bits(wanted);
                assert!(same, "program {seed}, output {output} {:?}, {threads} threads, {width}", wanted.shape());
            }
        }
    }
}
