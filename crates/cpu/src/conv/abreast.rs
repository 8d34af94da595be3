//! Depthwise convolution of small planes, 16 abreast: each has a lane of the vectors, so that none is idle, however short the rows are.
//!
//! Planes are turned, so that a position of all of them lies side by side, and the results are turned back. The chains are those of the
//! specification.

use super::ConvGeometry;
use super::canvas::Canvas;
use super::phases::{Frame, phases};
use super::places::coordinates;
use crate::gemm::{Epilogue, Lines, Tile};
use crate::machine::Machine;
use crate::pool::Disjoint;
use crate::scratch::with_scratch;
use crate::simd::{Simd, prefetch};

/// Planes abreast.
pub(super) const ABREAST: usize = 16;
/// With fewer channels too many lanes are idle.
const CHANNELS_LEAST: usize = 8;
/// Rows from this length on fill vectors by themselves.
const LONG_ROW: usize = 14;
/// Positions of a canvas: 16 of them, which are read again under each tap, are 64 KiB.
const CANVAS_MOST: usize = 1 << 10;
/// Positions of a plane that is not drawn on a canvas, but turned.
const PLANE_MOST: usize = 4 * CANVAS_MOST;
/// Rows from this length on are turned one by one.
const ROW: usize = 16;
/// Numbers that a unit of work computes, at least.
const UNIT: usize = 1 << 12;
/// Positions whose sums stay in registers.
const POSITIONS: usize = 4;
/// Numbers of a cache line.
const LINE: usize = 16;

/// One position of all planes.
type Lanes = [f32; ABREAST];

/// Whether this is the faster way. A function of the shape alone (and the bits are the same either way).
pub(super) fn suits(geometry: &ConvGeometry) -> bool {
    let small = geometry.output[2] < LONG_ROW && geometry.input_positions() <= PLANE_MOST;
    single(geometry) && small && Canvas::forward(geometry, false).room(0) <= CANVAS_MOST
}

/// The same of the input gradient; with a stride, long rows do not fill vectors either.
pub(super) fn suits_input_gradient(geometry: &ConvGeometry) -> bool {
    let short = geometry.input[2] < LONG_ROW || geometry.stride[2] > 1;
    // (A unit of work is 16 planes.)
    let units = geometry.batch * geometry.groups.div_ceil(ABREAST);
    let small = short && units > 1 && geometry.input_positions() <= PLANE_MOST;
    single(geometry) && small && Frame::new(geometry).plane() <= CANVAS_MOST
}

/// Whether each channel has one output channel, and there are enough.
fn single(geometry: &ConvGeometry) -> bool {
    geometry.outputs == geometry.groups && geometry.groups >= CHANNELS_LEAST
}

pub(super) fn forward(
    machine: &Machine,
    geometry: &ConvGeometry,
    x: &[f32],
    w: &[f32],
    y: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) {
    let canvas = Canvas::forward(geometry, false);
    let places = (0..geometry.output_positions()).map(|p| (canvas.start(coordinates(p, geometry.output)), p)).collect();
    let looks = Looks { taps: (0..geometry.taps()).collect(), shifts: canvas.taps.clone(), places };
    let drawn = Drawn { positions: geometry.input_positions(), size: canvas.room(0), runs: canvas.runs().collect() };
    run(machine, geometry, &drawn, &[looks], (x, w, y), epilogue);
}

/// With a stride, phase by phase.
pub(super) fn input_gradient(
    machine: &Machine,
    geometry: &ConvGeometry,
    w: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    epilogue: Option<Epilogue<'_, f32>>,
) {
    let frame = Frame::new(geometry);
    let looks: Vec<Looks> = phases(geometry, &frame)
        .into_iter()
        .map(|phase| {
            let places = phase.places(geometry, &frame).collect();
            Looks { taps: phase.taps, shifts: phase.shifts, places }
        })
        .collect();
    let runs = frame.rows(geometry.output).collect();
    let drawn = Drawn { positions: geometry.output_positions(), size: frame.plane(), runs };
    run(machine, geometry, &drawn, &looks, (dy, w, dx), epilogue);
}

/// How planes lie on canvases, those of 16 side by side.
pub(super) struct Drawn {
    /// Of a plane.
    pub positions: usize,
    /// Of a canvas.
    pub size: usize,
    /// To, from and how many.
    pub runs: Vec<(usize, usize, usize)>,
}

impl Drawn {
    /// Whether rows are turned one by one; else whole planes are first.
    fn by_rows(&self) -> bool {
        self.runs.iter().all(|&(.., steps)| steps >= ROW)
    }

    /// Numbers that are turned before they are drawn.
    pub fn turned(&self) -> usize {
        if self.by_rows() { 0 } else { self.positions * ABREAST }
    }

    /// Copies `count` planes that follow each other onto canvases of zeros, by way of `turned`.
    pub fn draw(&self, simd: Simd, planes: &[f32], count: usize, turned: &mut [f32], canvases: &mut [f32]) {
        let Drawn { positions, ref runs, .. } = *self;
        let turn = |(from, steps): (usize, usize), to: &mut [f32]| {
            let lines = Lines { data: &planes[from..], stride: positions, lanes: count, steps };
            lines.pack(simd, ABREAST, to);
        };
        let canvases = canvases.as_chunks_mut::<ABREAST>().0;
        if self.by_rows() {
            runs.iter().for_each(|&(to, from, steps)| turn((from, steps), canvases[to..][..steps].as_flattened_mut()));
            return;
        }
        turn((0, positions), &mut turned[..self.turned()]);
        for &(to, from, steps) in runs {
            canvases[to..][..steps].copy_from_slice(&turned.as_chunks().0[from..][..steps]);
        }
    }
}

/// Target positions that look through the same taps.
struct Looks {
    taps: Vec<usize>,
    /// Where each tap lies, from the start of a position on the canvas.
    shifts: Vec<usize>,
    /// Where each position starts on the canvas, and in the target.
    places: Vec<(usize, usize)>,
}

fn run(
    machine: &Machine,
    geometry: &ConvGeometry,
    drawn: &Drawn,
    looks: &[Looks],
    (source, w, target): (&[f32], &[f32], &mut [f32]),
    epilogue: Option<Epilogue<'_, f32>>,
) {
    let (groups, taps) = (geometry.groups, geometry.taps());
    let plane = target.len() / (geometry.batch * groups).max(1);
    if plane == 0 {
        return;
    }
    let parts = groups.div_ceil(ABREAST);
    let all_parts = geometry.batch * parts;
    let together = (UNIT / (ABREAST * plane)).min(all_parts.div_ceil(4 * machine.pool.threads())).max(1);
    let all = Disjoint::new(target);
    machine.pool.run(all_parts.div_ceil(together), |unit| {
        with_scratch((drawn.size + taps) * ABREAST + drawn.turned().max(plane * ABREAST), |room| {
            let (canvas, rest) = room.split_at_mut(drawn.size * ABREAST);
            let (factors, turned) = rest.split_at_mut(taps * ABREAST);
            canvas.fill(0.0);
            for part in unit * together..all_parts.min((unit + 1) * together) {
                let (sample, group) = (part / parts, part % parts * ABREAST);
                let (first, count) = (sample * groups + group, ABREAST.min(groups - group));
                let lines = Lines { data: &w[group * taps..], stride: taps, lanes: count, steps: taps };
                lines.pack(machine.simd, ABREAST, factors);
                drawn.draw(machine.simd, &source[first * drawn.positions..], count, turned, canvas);
                let lanes = canvas.as_chunks().0;
                // Planes are read from many places at a time, which no hardware foresees.
                ask(source, (first + count) * drawn.positions, ABREAST * drawn.positions);
                // SAFETY: the planes of different units are apart.
                let target = unsafe { all.slice(first * plane, count * plane) };
                ask(target, 0, target.len());
                let found = turned.as_chunks_mut().0;
                machine.simd.run(
                    #[inline(always)]
                    || {
                        for looks in looks {
                            looks.chains(lanes, factors.as_chunks().0, found);
                        }
                    },
                );
                let lines = Lines { data: turned, stride: ABREAST, lanes: plane, steps: count };
                lines.pack(machine.simd, plane, target);
                if let Some(epilogue) = epilogue {
                    // SAFETY: this unit alone touches its planes, and the slice above is not used any more.
                    epilogue(unsafe { Tile::new(all, plane, plane, first, (0, count), (0, plane)) });
                }
            }
        });
    });
}

/// Asks for `count` numbers of `data` from `first` on.
fn ask(data: &[f32], first: usize, count: usize) {
    for line in (first..data.len().min(first + count)).step_by(LINE) {
        prefetch(data[line..].as_ptr().cast());
    }
}

impl Looks {
    /// `found[p]` = chain of factors and what lies under the taps of p.
    #[inline(always)]
    fn chains(&self, canvas: &[Lanes], factors: &[Lanes], found: &mut [Lanes]) {
        let (groups, rest) = self.places.as_chunks::<POSITIONS>();
        for places in groups {
            self.some(canvas, factors, places, found);
        }
        match *rest {
            [a] => self.some(canvas, factors, &[a], found),
            [a, b] => self.some(canvas, factors, &[a, b], found),
            [a, b, c] => self.some(canvas, factors, &[a, b, c], found),
            _ => {}
        }
    }

    #[inline(always)]
    fn some<const N: usize>(
        &self,
        canvas: &[Lanes],
        factors: &[Lanes],
        places: &[(usize, usize); N],
        found: &mut [Lanes],
    ) {
        let from = places.map(|(start, _)| &canvas[start..]);
        let mut sums = [[0.0; ABREAST]; N];
        for (&tap, &shift) in self.taps.iter().zip(&self.shifts) {
            let factor = factors[tap];
            for (sums, from) in sums.iter_mut().zip(from) {
                let values = from[shift];
                for lane in 0..ABREAST {
                    sums[lane] = factor[lane].mul_add(values[lane], sums[lane]);
                }
            }
        }
        for (&(_, place), sums) in places.iter().zip(sums) {
            found[place] = sums;
        }
    }
}
