//! Chains carried out on a tile: where their ports lie.

use std::mem::MaybeUninit;

use super::frame::Frame;
use super::kernels::Arg;
use super::program::{Chain, Kind, Pass, Source};
use super::strip::{self, LONGEST, MOST_PORTS, Port};
use super::walk::Tile;

// SAFETY notes in this block: chains read and write f32 alone; their lines have buffers for a tile, and there is a strip for
// each port.
impl Frame<'_> {
    /// Computes the lines of a chain on one tile.
    pub(super) fn chain(&mut self, chain: &Chain, pass: &Pass, tile: &Tile) {
        let mut ports = [const { MaybeUninit::<Port>::uninit() }; MOST_PORTS];
        for (number, (port, &source)) in ports.iter_mut().zip(&chain.ports).enumerate() {
            let strip = chain.first_strip + number;
            port.write(match source {
                Source::Line(line) => {
                    let value = self.regs[line as usize];
                    if value.many {
                        Port { data: value.data.cast_mut().cast(), mask: usize::MAX }
                    } else {
                        if self.program.lines[line as usize].kind != Kind::Uniform {
                            self.repeat(line, strip);
                        }
                        Port { data: self.strip(strip), mask: 0 }
                    }
                }
                Source::Out(out) => {
                    let placed = &chain.outs[out as usize];
                    let data = self.place(placed, pass, tile);
                    self.regs[placed.line as usize] = Arg { data, many: true };
                    Port { data: data.cast(), mask: usize::MAX }
                }
                Source::Spare => Port { data: self.strip(strip), mask: 0 },
            });
        }
        let spare = self.strip(chain.first_strip);
        // SAFETY: as many ports are written as the chain has, `MOST_PORTS` at most; there is a strip for each.
        let ports = unsafe { std::slice::from_raw_parts(ports.as_ptr().cast(), chain.ports.len()) };
        // SAFETY: see above.
        unsafe { strip::run(self.simd, &chain.steps, ports, spare, tile.kn * tile.rn) };
    }

    /// Fills a strip with the single value of a line.
    pub(super) fn repeat(&self, line: u16, number: usize) {
        // SAFETY: the value is a number of f32, since chains read nothing else; the strip has room for `LONGEST` floats.
        unsafe {
            let value = self.regs[line as usize].data.cast::<f32>().read();
            std::slice::from_raw_parts_mut(self.strip(number), strip::length(self.simd)).fill(value);
        }
    }

    fn strip(&self, number: usize) -> *mut f32 {
        self.strips.wrapping_add(number * LONGEST * size_of::<f32>()).cast()
    }
}
