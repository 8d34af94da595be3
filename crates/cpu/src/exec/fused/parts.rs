//! The parts of a pass: which lines it computes, in which order, joined how, and where their values lie.

use super::affine::{Affine, Finder};
use super::chain::{Function, Join, join};
use super::moments::{Moments, find};
use super::program::{FullStore, Item, Kind, Line, Pass, Placed, What};
use super::walk::{Operand, Order};
use tensor::plan::SlotId;

/// Along shorter lines, to begin a sum of products costs more than loops of its parts over many rows.
const SHORTEST_LINE: usize = 64;

/// The lines of a program, seen as parts of passes.
pub struct Parts<'a> {
    lines: &'a [Line],
    operands: &'a [Operand],
    levels: &'a [usize],
    order: Order,
    /// Tiles are squares, not whole rows.
    squares: bool,
    /// Whether something is folded.
    folds: bool,
    /// Whether what is loaded and stored lies in pieces, and is read and written there.
    pieces: bool,
    /// Points of a row, or of a line of columns.
    length: usize,
    /// Slots that the program reads.
    pub read: Vec<SlotId>,
    /// Lines that are GELU of something, and those that are its slope there.
    gelus: &'a [[u16; 2]],
}

impl<'a> Parts<'a> {
    /// Of these lines, which read these operands, need so many levels of folds and go along lines of `length` points.
    pub fn new(
        lines: &'a [Line],
        operands: &'a [Operand],
        levels: &'a [usize],
        (order, squares, pieces): (Order, bool, bool),
        length: usize,
        gelus: &'a [[u16; 2]],
    ) -> Parts<'a> {
        let read = lines
            .iter()
            .filter_map(|line| match line.what {
                What::Load { operand, .. } => Some(operands[operand as usize].slot),
                What::Random { key, .. } => Some(key),
                _ => None,
            })
            .collect();
        let folds = lines.iter().any(|line| matches!(line.what, What::Fold(_)));
        Parts { lines, operands, levels, order, squares, folds, pieces, length, read, gelus }
    }

    /// Gives a pass what its reductions and stores need; if `rows`, all passes in one, with the row lines `after` the folds.
    /// `together`: whether sums are made together. Returns the bytes of buffers for each point.
    pub fn fill(&self, pass: &mut Pass, after: &[u16], rows: bool, together: bool) -> usize {
        if together {
            pass.moments = find(self.lines, self.operands, self.levels, &pass.folds);
        }
        let Pass { folds, moments, stores, .. } = &*pass;
        let of_fold = |fold: u16| {
            let number = folds.iter().position(|&other| other == fold)? as u16;
            moments.iter().position(|moments| moments.sums.contains(&Some(number)))
        };
        let laid_out = |line: &u16| !self.in_pieces(*line);
        let inputs = |line: u16| match of_fold(line) {
            Some(number) => moments[number].inputs().into_iter().filter(laid_out).collect(),
            None => self.lines[line as usize].inputs().to_vec(),
        };
        let mut roots: Vec<u16> = stores.iter().map(|store| store.line).chain(after.iter().copied()).collect();
        let apart: Vec<u16> = folds.iter().copied().filter(|&fold| of_fold(fold).is_none()).collect();
        if !rows {
            // Summed behind the items, tile after tile.
            roots.extend(&apart);
            let full = |line: &u16| self.lines[*line as usize].kind == Kind::Full;
            roots.extend(moments.iter().flat_map(Moments::inputs).filter(full).filter(laid_out));
        }
        let outside = |line: u16| {
            let summed = !rows && folds.iter().any(|&fold| inputs(fold).contains(&line));
            summed || stores.iter().any(|store| store.line == line)
        };
        let mut list = self.needed(&roots, rows, &inputs);
        let mut sums: Vec<(u16, Affine)> = Vec::new();
        // (What folds has no squares.)
        if self.folds && self.length >= SHORTEST_LINE {
            sums = self.sums(&list, &inputs, &outside);
        }
        let sum_of = |line: u16| sums.iter().find(|(of, _)| *of == line).map(|(_, affine)| affine);
        let inputs = |line: u16| sum_of(line).map_or_else(|| inputs(line), |affine| affine.inputs().collect());
        if !sums.is_empty() {
            list = self.needed(&roots, rows, &inputs);
        }
        let reads = |user: u16, line: u16| inputs(user).contains(&line);
        let apart = |line: u16| sum_of(line).is_some();
        let mut items = join(&Join { lines: self.lines, list: &list, reads: &reads, outside: &outside, apart: &apart });
        for item in &mut items {
            if let Item::Line(Placed { line, home, store }) = *item
                && let Some(affine) = sum_of(line)
            {
                *item = Item::Affine(Placed { line, home, store }, affine.clone());
            }
        }
        // Where the first of sums that are made together stands, all of them are made.
        let mut made = vec![false; moments.len()];
        items.retain_mut(|item| {
            let number = if let Item::Line(placed) = item { of_fold(placed.line) } else { None };
            let Some(number) = number else { return true };
            *item = Item::Moments(number as u16);
            !std::mem::replace(&mut made[number], true)
        });
        let numbers = 0..folds.len() as u16;
        let alone = numbers.filter(|&number| !moments.iter().any(|moments| moments.sums.contains(&Some(number))));
        let alone = alone.filter(|&number| rows || !self.added(&mut items, folds, stores, number));
        let apart = alone.collect();
        self.gelus.iter().for_each(|&of| with_slope(&mut items, of));
        let operand = |line: u16| match self.lines[line as usize].what {
            What::Load { operand, .. } if self.in_pieces(line) => Some(operand),
            _ => None,
        };
        let mut memory: Vec<u16> = moments.iter().flat_map(Moments::inputs).filter_map(operand).collect();
        for item in &items {
            memory.extend(if let Item::Affine(_, affine) = item { affine.pieces().collect() } else { Vec::new() });
        }
        memory.sort();
        memory.dedup();
        (pass.apart, pass.memory) = (apart, memory);
        pass.items = items;
        self.place(pass, rows)
    }

    /// Whether a line is read as it lies in memory, in pieces.
    fn in_pieces(&self, line: u16) -> bool {
        let Line { what, kind, .. } = &self.lines[line as usize];
        self.pieces && *kind == Kind::Full && matches!(what, What::Load { .. })
    }

    /// Whether all that a pass does with a value of each point are sums and stored sums of products, which know pieces.
    pub fn knows_pieces(&self, pass: &Pass) -> bool {
        // (What is made in memory has no register that others could read.)
        let loaded = |line: u16| self.lines[line as usize].kind != Kind::Full || self.in_pieces(line);
        let stored = |item: &Item| match item {
            Item::Affine(placed, affine) => placed.store.is_some() && affine.inputs().all(loaded),
            _ => false,
        };
        let sums = pass.moments.iter().flat_map(Moments::inputs).all(loaded);
        let knows = |item: &Item| match item {
            Item::Line(placed) => self.lines[placed.line as usize].kind != Kind::Full,
            item => matches!(item, Item::Moments(_)) || stored(item),
        };
        let written = pass.items.iter().filter(|item| stored(item)).count();
        sums && pass.apart.is_empty() && written == pass.stores.len() && pass.items.iter().all(knows)
    }

    /// Has a sum of products of columns added to the chains of its reduction at once, if nothing else needs it.
    fn added(&self, items: &mut [Item], folds: &[u16], stores: &[FullStore], number: u16) -> bool {
        let fold = &self.lines[folds[number as usize] as usize];
        let line = fold.args[0];
        let of = |item: &Item| matches!(item, Item::Affine(placed, affine) if placed.line == line && affine.is_open());
        let Some(at) = items.iter().position(of) else { return false };
        let read = |item: &Item| item.inputs(self.lines, &[]).any(|arg| arg == line);
        let once = folds.iter().filter(|&&fold| self.lines[fold as usize].args[0] == line).count() == 1;
        let stored = stores.iter().any(|store| store.line == line);
        if self.order != Order::Columns
            || fold.function != Some(Function::Sum)
            || !once
            || stored
            || items.iter().any(read)
        {
            return false;
        }
        if let Item::Affine(_, affine) = &items[at] {
            items[at] = Item::Added(number, affine.clone());
        }
        true
    }

    /// What of a list can be computed as sums of products.
    fn sums(
        &self,
        list: &[u16],
        inputs: &dyn Fn(u16) -> Vec<u16>,
        outside: &dyn Fn(u16) -> bool,
    ) -> Vec<(u16, Affine)> {
        let mut uses = vec![0; self.lines.len()];
        for &line in list {
            inputs(line).iter().for_each(|&arg| uses[arg as usize] += 1);
            uses[line as usize] += if outside(line) { 2 } else { 0 };
        }
        let (lines, operands, order) = (self.lines, self.operands, self.order);
        let finder = Finder { lines, operands, order, uses: &uses, pieces: self.pieces };
        list.iter().filter_map(|&line| Some((line, finder.find(line)?))).collect()
    }

    /// The full lines that `roots` need, in an order in which they can be computed; with the row lines behind a fold too if
    /// `rows`, the folds of one level side by side.
    fn needed(&self, roots: &[u16], rows: bool, inputs: &dyn Fn(u16) -> Vec<u16>) -> Vec<u16> {
        let mut wanted = vec![false; self.lines.len()];
        roots.iter().for_each(|&root| wanted[root as usize] = true);
        for index in (0..self.lines.len()).rev() {
            let line = &self.lines[index];
            let root = roots.contains(&(index as u16));
            // Row values are there already, unless this list makes them.
            let walks_on = rows || root || line.kind == Kind::Full;
            if wanted[index] && walks_on {
                inputs(index as u16).iter().for_each(|&arg| wanted[arg as usize] = true);
            }
        }
        let belongs = |line: usize| match self.lines[line].kind {
            Kind::Full => true,
            Kind::Row(_) => rows && self.levels[line] > 0,
            Kind::Uniform => false,
        };
        // Spread lines stand behind what they repeat, and before its users: they were made when first needed.
        let mut list: Vec<u16> = (0..self.lines.len() as u16).collect();
        list.retain(|&line| wanted[line as usize] && belongs(line as usize));
        let fold = |line: usize| matches!(self.lines[line].what, What::Fold(_));
        list.sort_by_key(|&line| 2 * self.levels[line as usize] - usize::from(fold(line as usize)));
        list
    }

    /// Gives the lines of a pass buffers, shared where lives do not overlap; returns the bytes for each point.
    fn place(&self, pass: &mut Pass, rows: bool) -> usize {
        let mut last_use = vec![0; self.lines.len()];
        for (index, item) in pass.items.iter().enumerate() {
            item.inputs(self.lines, &pass.moments).for_each(|arg| last_use[arg as usize] = index);
        }
        pass.stores.iter().for_each(|store| last_use[store.line as usize] = usize::MAX);
        // What is summed behind the items.
        if !rows {
            for &number in &pass.apart {
                let fold = pass.folds[number as usize];
                last_use[self.lines[fold as usize].args[0] as usize] = usize::MAX;
            }
            pass.moments.iter().flat_map(Moments::inputs).for_each(|arg| last_use[arg as usize] = usize::MAX);
        }
        let mut buffers = Buffers { home_of: vec![None; self.lines.len()], free: Vec::new(), end: 0 };
        for index in 0..pass.items.len() {
            let outs = match &pass.items[index] {
                Item::Line(placed) | Item::Affine(placed, _) => vec![placed.line],
                Item::Chain(chain) => chain.outs.iter().map(|placed| placed.line).collect(),
                Item::Moments(_) | Item::Added(..) => Vec::new(),
                Item::Gelu(both) => both.iter().map(|placed| placed.line).collect(),
            };
            for (number, &line) in
                outs.iter().enumerate().filter(|&(_, &line)| self.lines[line as usize].kind == Kind::Full)
            {
                let store = self.own_store(pass, index, number, line, &last_use);
                let placed = match &mut pass.items[index] {
                    Item::Line(placed) | Item::Affine(placed, _) => placed,
                    Item::Chain(chain) => &mut chain.outs[number],
                    Item::Moments(_) | Item::Added(..) => continue,
                    Item::Gelu(both) => &mut both[number],
                };
                placed.store = store.map(|store| store as u16);
                if !self.in_memory(line, store.map(|store| &pass.stores[store])) {
                    placed.home = buffers.take(line, self.lines[line as usize].size);
                }
            }
            for arg in pass.items[index].inputs(self.lines, &pass.moments) {
                if last_use[arg as usize] == index {
                    buffers.give_back(arg, self.lines[arg as usize].size);
                }
            }
        }
        buffers.end
    }

    /// Whether the value of a line always lies in the memory of its operand or its store.
    fn in_memory(&self, line: u16, store: Option<&FullStore>) -> bool {
        let direct = |operand: &Operand| self.pieces || (!self.squares && operand.always_direct(self.order));
        let loaded = match self.lines[line as usize].what {
            What::Load { lines: true, .. } => true,
            What::Load { operand, buffered: false, .. } => direct(&self.operands[operand as usize]),
            _ => false,
        };
        loaded || store.is_some_and(|store| direct(&store.operand))
    }

    /// The store whose memory may be the buffer of a line, the out `number` of the item `index`.
    fn own_store(&self, pass: &Pass, index: usize, number: usize, line: u16, last_use: &[usize]) -> Option<usize> {
        if matches!(self.lines[line as usize].what, What::Spread { .. }) {
            return None;
        }
        let own = |store: &FullStore| {
            let slot = store.operand.slot;
            let free = || !self.pieces && self.read_before(slot, pass, index, number, last_use);
            store.line == line && (!self.read.contains(&slot) || free())
        };
        pass.stores.iter().position(own)
    }

    /// Whether what a pass loads from `slot` is used for the last time before the out `number` of its item `index` is written,
    /// and nothing else reads it.
    fn read_before(&self, slot: SlotId, pass: &Pass, index: usize, number: usize, last_use: &[usize]) -> bool {
        self.lines.iter().enumerate().all(|(load, line)| match line.what {
            What::Load { operand, .. } if self.operands[operand as usize].slot == slot => {
                let within = || match &pass.items[index] {
                    Item::Line(_) | Item::Affine(..) | Item::Added(..) | Item::Moments(_) | Item::Gelu(_) => false,
                    Item::Chain(chain) => chain.reads_before(load as u16, number),
                };
                line.kind == Kind::Full && (last_use[load] < index || (last_use[load] == index && within()))
            }
            What::Random { key, .. } => key != slot,
            _ => true,
        })
    }
}

/// Puts GELU and its slope into one item, where the first of them stands: both need the same value alone.
fn with_slope(items: &mut Vec<Item>, lines: [u16; 2]) {
    let place = |line: u16| items.iter().position(|item| matches!(item, Item::Line(placed) if placed.line == line));
    if let [Some(gelu), Some(slope)] = lines.map(place) {
        items[gelu.min(slope)] = Item::Gelu(lines.map(|line| Placed { line, home: 0, store: None }));
        items.remove(gelu.max(slope));
    }
}

/// Buffers of values, in bytes for each point.
struct Buffers {
    home_of: Vec<Option<usize>>,
    /// Size and place.
    free: Vec<(usize, usize)>,
    end: usize,
}

impl Buffers {
    fn take(&mut self, line: u16, size: usize) -> usize {
        let home = match self.free.iter().position(|&(other, _)| other == size) {
            Some(at) => self.free.swap_remove(at).1,
            None => {
                self.end += size;
                self.end - size
            }
        };
        self.home_of[line as usize] = Some(home);
        home
    }

    fn give_back(&mut self, line: u16, size: usize) {
        if let Some(home) = self.home_of[line as usize].take() {
            self.free.push((size, home));
        }
    }
}

impl Item {
    /// The lines that it reads, of those outside of it.
    fn inputs<'a>(&'a self, lines: &'a [Line], moments: &[Moments]) -> Box<dyn Iterator<Item = u16> + 'a> {
        match self {
            Item::Moments(number) => Box::new(moments[*number as usize].inputs().into_iter()),
            Item::Line(Placed { line, .. }) => Box::new(lines[*line as usize].inputs().iter().copied()),
            Item::Chain(chain) => Box::new(chain.inputs()),
            Item::Affine(_, affine) | Item::Added(_, affine) => Box::new(affine.inputs()),
            Item::Gelu([Placed { line, .. }, _]) => Box::new(lines[*line as usize].inputs().iter().copied()),
        }
    }
}
