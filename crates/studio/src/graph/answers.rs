//! What the page asks of the graph: the drawing, what is behind a box, a file of source, the times of the kernels.

use std::collections::BTreeSet;

use data::{Image, encode_png};
use serde_json::{Value, json};
use tensor::{Array, Var};
use train::heat;
use train::replay::Stats;
use train::report::embed::png_uri;

use super::kernel::{KernelCall, Operand};
use super::layout::{Placed, place};
use super::model::{Node, Phase, StepGraph};
use super::source::{files, source};
use super::zoom::{Arrow, Drawn, Look, Stands, Zoom, look, to_lay_out};
use crate::bench::Bench;
use crate::error::{Error, Result};
use crate::query::Query;
use crate::tensors::finite;

/// Runs of a step whose kernels are timed, at most.
const MOST_TIMES: usize = 20;
/// Nodes of a group that are listed.
const MOST_LISTED: usize = 400;

/// `/api/graph`: boxes and arrows at one of three zooms, placed.
pub fn graph(bench: &mut Bench, query: &Query) -> Result<Value> {
    let look = asked(query)?;
    let step = step(bench, query)?;
    let graph = StepGraph::of(&bench.planned(step)?);
    let mut answer = drawing(&graph, &look);
    answer["step"] = step.into();
    answer["alone"] = bench.run().is_err().into();
    Ok(answer)
}

/// `/api/graph/box`: what is behind a box, with the values of the step.
pub fn about(bench: &mut Bench, query: &Query) -> Result<Value> {
    let step = step(bench, query)?;
    let id = query.text("id")?;
    let stands = Stands::parse(id).ok_or_else(|| Error::Asked(format!("{id} is no box")))?;
    let graph = StepGraph::of(&bench.planned(step)?);
    let missing = || Error::Missing(format!("the graph has no {id}"));
    let facts = match stands {
        Stands::Node(node) if node < graph.nodes.len() => {
            let mut facts = node_facts(&graph, node);
            add_values(&mut facts, &graph, node, bench, step)?;
            facts
        }
        Stands::Kernel(kernel) => kernel_facts(&graph, kernel, graph.kernels.get(kernel).ok_or_else(missing)?),
        Stands::Group(phase, layer) => group_facts(&graph, phase, &layer).ok_or_else(missing)?,
        Stands::Node(_) => return Err(missing()),
    };
    Ok(facts)
}

/// `/api/graph/source`: a file that the graph names.
pub fn lines(bench: &mut Bench, query: &Query) -> Result<Value> {
    let step = step(bench, query)?;
    let graph = StepGraph::of(&bench.planned(step)?);
    let file = query.text("file")?;
    let found = source(&graph, file).ok_or_else(|| Error::Missing(format!("the graph names no file {file}")))?;
    let nodes: Vec<Value> = found.nodes.iter().map(|(line, nodes)| json!([line, nodes])).collect();
    Ok(json!({ "file": file, "lines": found.lines, "note": found.note, "nodes": nodes }))
}

/// `/api/graph/times`: the step is run here some times, and put back.
pub fn times(bench: &mut Bench, query: &Query) -> Result<Value> {
    let step = step(bench, query)?;
    let times = query.number_or("times", 5usize)?.clamp(1, MOST_TIMES);
    let kernels: Vec<f64> = bench.run()?.timed(step, times)?.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    Ok(json!({ "times": times, "all": kernels.iter().sum::<f64>(), "kernels": kernels }))
}

fn step(bench: &Bench, query: &Query) -> Result<u64> {
    match query.get("step") {
        None => bench.last_plan(),
        Some(_) => query.number("step"),
    }
}

/// What is to be drawn.
fn asked(query: &Query) -> Result<Look> {
    let word = query.get("zoom").unwrap_or("layers");
    let zoom = Zoom::parse(word).ok_or_else(|| Error::Asked(format!("zoom={word}: it is layers, ops or kernels")))?;
    let listed = |name: &str| query.get(name).unwrap_or("").split(',').filter(|part| !part.is_empty());
    let words: BTreeSet<&str> = listed("phases").collect();
    let chosen = |phase: &Phase| words.is_empty() || words.contains(phase.word());
    let phases = Phase::ALL.into_iter().filter(chosen).collect();
    let toggled = listed("toggled").map(str::to_owned).collect();
    Ok(Look { zoom, phases, toggled, numbers: query.get("numbers") == Some("1") })
}

/// Boxes and arrows, placed, as the page draws them.
pub fn drawing(graph: &StepGraph, asked: &Look) -> Value {
    let (boxes, arrows) = look(graph, asked);
    let (items, links) = to_lay_out(&boxes, &arrows, &asked.phases);
    let Placed { places, bends, size, .. } = place(&items, &links);
    let round = |x: f32| f64::from((x * 10.0).round()) / 10.0;
    let drawn: Vec<Value> = boxes
        .iter()
        .zip(&items)
        .zip(&places)
        .map(|((drawn, item), &[x, y])| {
            let (title, below) = labels(graph, drawn);
            let kernels: Vec<usize> = match drawn.stands {
                Stands::Kernel(kernel) => vec![kernel],
                _ => kernels_of(graph, &drawn.nodes),
            };
            json!({
                "id": drawn.stands.id(), "t": title, "s": below, "p": drawn.phase.word(), "k": kind(graph, drawn),
                "x": round(x), "y": round(y), "w": item.width, "h": item.height, "l": layer(graph, drawn),
                "n": drawn.nodes, "m": kernels,
            })
        })
        .collect();
    let between: Vec<Value> = arrows
        .iter()
        .zip(bends)
        .map(|(&Arrow { from, to }, bends)| {
            let flat: Vec<f64> = bends.iter().flatten().map(|&x| round(x)).collect();
            json!([from, to, flat])
        })
        .collect();
    let (flops, bytes) = graph.kernels.iter().fold((0, 0), |(flops, bytes), of| (flops + of.flops, bytes + of.bytes));
    let costs: Vec<[usize; 2]> = graph.kernels.iter().map(|kernel| [kernel.flops, kernel.bytes]).collect();
    let files: Vec<Value> = files(graph).iter().map(|(file, nodes)| json!([file, nodes])).collect();
    json!({
        "size": size, "boxes": drawn, "arrows": between, "nodes": graph.nodes.len(), "kernels": graph.kernels.len(),
        "flops": flops, "bytes": bytes, "arena": graph.arena, "files": files, "costs": costs,
    })
}

/// The kernels whose main op is among some nodes: each kernel belongs to one box.
fn kernels_of(graph: &StepGraph, nodes: &[usize]) -> Vec<usize> {
    let mine =
        |&kernel: &usize| graph.kernels[kernel].nodes.first().is_some_and(|main| nodes.binary_search(main).is_ok());
    let all: BTreeSet<usize> = nodes.iter().flat_map(|&node| graph.nodes[node].kernels.iter().copied()).collect();
    all.into_iter().filter(mine).collect()
}

fn kind(graph: &StepGraph, drawn: &Drawn) -> &'static str {
    match drawn.stands {
        Stands::Group(..) => "group",
        Stands::Kernel(_) => "kernel",
        Stands::Node(node) if graph.nodes[node].number.is_some() => "number",
        Stands::Node(node) if graph.nodes[node].inputs.is_empty() => "leaf",
        Stands::Node(node) if graph.nodes[node].op.is_view() => "view",
        Stands::Node(_) => "op",
    }
}

fn layer<'a>(graph: &'a StepGraph, drawn: &'a Drawn) -> &'a str {
    match &drawn.stands {
        Stands::Group(_, layer) => layer,
        Stands::Node(node) => &graph.nodes[*node].layer,
        Stands::Kernel(kernel) => graph.home(&graph.kernels[*kernel]).1,
    }
}

/// What is written in a box: a title, and a line below it.
fn labels(graph: &StepGraph, drawn: &Drawn) -> (String, String) {
    match &drawn.stands {
        Stands::Node(node) => {
            let node = &graph.nodes[*node];
            (title(graph, node), dims(&node.shape))
        }
        Stands::Group(_, layer) => {
            // What leaves the group last is what it gives.
            let inside =
                |node: &usize| graph.nodes[*node].users.iter().all(|user| drawn.nodes.binary_search(user).is_ok());
            let last = drawn.nodes.iter().rev().find(|node| !inside(node)).or(drawn.nodes.last());
            let shape = last.map_or(String::new(), |&last| dims(&graph.nodes[last].shape));
            let ops = drawn.nodes.iter().filter(|&&node| !graph.nodes[node].inputs.is_empty()).count();
            let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
            let below =
                if ops == 0 { counted(drawn.nodes.len(), "value") } else { format!("{}  {shape}", counted(ops, "op")) };
            (layer.clone(), below)
        }
        Stands::Kernel(kernel) => {
            let kernel = &graph.kernels[*kernel];
            let (_, layer) = graph.home(kernel);
            (format!("{layer}: {}", kernel.ops.join(" ")), format!("{} {}", kernel.kind, dims(&kernel.space)))
        }
    }
}

/// A variable by its name, an op by its name and the numbers it takes.
fn title(graph: &StepGraph, node: &Node) -> String {
    if let (true, Some(name)) = (node.inputs.is_empty(), &node.name) {
        return name.clone();
    }
    let number = |x: f64| if x == x.round() && x.abs() < 1e6 { format!("{x}") } else { format!("{x:.3e}") };
    if let Some(value) = node.number {
        return number(value);
    }
    let numbers = node.inputs.iter().filter_map(|&input| graph.nodes[input].number).map(|x| format!(" {}", number(x)));
    format!("{}{}", node.op.page().name, numbers.collect::<String>())
}

fn dims(shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("[{}]", sizes.join(", "))
}

fn brief(graph: &StepGraph, at: usize) -> Value {
    let node = &graph.nodes[at];
    json!({
        "id": Stands::Node(at).id(), "title": title(graph, node), "name": node.name, "shape": node.shape,
        "dtype": node.dtype.to_string(), "phase": node.phase.word(), "layer": node.layer,
        "at": format!("{}:{}", node.file, node.line), "flops": node.flops, "bytes": node.bytes,
    })
}

/// A node: what it is.
fn node_facts(graph: &StepGraph, at: usize) -> Value {
    let node = &graph.nodes[at];
    let page = node.op.page();
    let list =
        |nodes: &[usize]| -> Vec<Value> { nodes.iter().take(MOST_LISTED).map(|&other| brief(graph, other)).collect() };
    let mut facts = brief(graph, at);
    facts["box"] = "node".into();
    facts["op"] = page.name.into();
    facts["settings"] = format!("{:?}", node.op).into();
    facts["formula"] = page.formula.into();
    facts["gradient_formula"] = page.gradient_formula.into();
    facts["differentiable"] = page.gradient.is_some().into();
    facts["file"] = node.file.into();
    facts["line"] = node.line.into();
    facts["serves"] = node.serves.map(|of| brief(graph, of)).into();
    facts["inputs"] = list(&node.inputs).into();
    facts["users"] = list(&node.users).into();
    facts["kernels"] = node.kernels.iter().map(|&kernel| kernel_brief(graph, kernel)).collect();
    facts
}

/// What a node was at this step; of a model alone, its weights.
fn add_values(facts: &mut Value, graph: &StepGraph, at: usize, bench: &mut Bench, step: u64) -> Result<()> {
    let node = &graph.nodes[at];
    if at >= graph.numbered {
        return Ok(());
    }
    if bench.run().is_err() {
        let scope = bench.network().scope;
        let named = |var: &&Var| node.inputs.is_empty() && node.name.as_deref() == Some(var.name());
        let all = [scope.parameters(), scope.buffers()].concat();
        let value = all.iter().find(named).map(|var| var.value());
        facts["value"] = match value {
            Some(array) => values(&node.name.clone().unwrap_or_default(), Ok(&array)),
            None => values("", Err(Error::Alone.text())),
        };
        return Ok(());
    }
    if step > bench.last_step()? {
        facts["value"] = values("", Err("the step is not over yet".to_owned()));
        return Ok(());
    }
    let step = bench.at(step)?;
    let name = format!("#{at}");
    let told = |name: &str| match step.tensor(name) {
        Ok(array) => values(name, Ok(&array)),
        Err(error) => values(name, Err(error.to_string())),
    };
    facts["value"] = told(&name);
    if node.phase == Phase::Forward && node.dtype.is_float() {
        facts["gradient"] = told(&format!("{name}.grad"));
    }
    Ok(())
}

/// Figures and picture of a value, or why there are none.
fn values(name: &str, found: Result<&Array, String>) -> Value {
    match found {
        Err(why) => json!({ "error": why }),
        Ok(array) => {
            let stats = Stats::of(array);
            let first: Vec<Value> = (0..stats.count.min(16)).map(|at| finite(array.get_f64(at))).collect();
            json!({
                "name": name, "count": stats.count, "min": finite(stats.min), "max": finite(stats.max),
                "mean": finite(stats.mean), "std": finite(stats.std), "norm": finite(stats.norm), "zeros": stats.zeros,
                "nan": stats.nan, "infinite": stats.infinite, "histogram": stats.histogram, "first": first,
                "picture": if stats.count > 1 { picture(&heat::picture(array)) } else { None },
            })
        }
    }
}

fn kernel_brief(graph: &StepGraph, number: usize) -> Value {
    let kernel = &graph.kernels[number];
    let (phase, layer) = graph.home(kernel);
    json!({
        "id": Stands::Kernel(number).id(), "number": number, "kind": kernel.kind, "title": kernel.ops.join(" "),
        "ops": kernel.nodes.len(), "phase": phase.word(), "layer": layer, "shape": kernel.space, "flops": kernel.flops,
        "bytes": kernel.bytes,
    })
}

fn kernel_facts(graph: &StepGraph, number: usize, kernel: &KernelCall) -> Value {
    let operand = |operand: &Operand| {
        let node = operand.node.map(|node| brief(graph, node));
        json!({
            "slot": operand.slot, "node": node, "shape": operand.shape, "dtype": operand.dtype, "bytes": operand.bytes,
            "place": operand.place,
        })
    };
    let mut facts = kernel_brief(graph, number);
    facts["box"] = "kernel".into();
    facts["nodes"] = kernel.nodes.iter().take(MOST_LISTED).map(|&node| brief(graph, node)).collect();
    facts["reads"] = kernel.reads.iter().map(operand).collect();
    facts["writes"] = kernel.writes.iter().map(operand).collect();
    facts["after"] = kernel.after.iter().map(|&before| kernel_brief(graph, before)).collect();
    facts["code"] = kernel.code.clone().into();
    facts
}

/// A layer in one part of the step; `None` if it has no node there.
fn group_facts(graph: &StepGraph, phase: Phase, layer: &str) -> Option<Value> {
    let below = |of: &str| of.strip_prefix(layer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let nodes: Vec<usize> = (0..graph.nodes.len())
        .filter(|&at| graph.nodes[at].phase == phase && below(&graph.nodes[at].layer))
        .filter(|&at| graph.nodes[at].number.is_none())
        .collect();
    let first = *nodes.first()?;
    let kernels = kernels_of(graph, &nodes);
    let sum = |of: fn(&KernelCall) -> usize| kernels.iter().map(|&kernel| of(&graph.kernels[kernel])).sum::<usize>();
    // The line that constructed the layer itself.
    let own = nodes.iter().copied().find(|&at| graph.nodes[at].layer == layer).unwrap_or(first);
    let parts: BTreeSet<&str> = nodes.iter().map(|&at| graph.nodes[at].layer.as_str()).collect();
    Some(json!({
        "box": "group", "id": Stands::Group(phase, layer.to_owned()).id(), "title": layer, "layer": layer,
        "phase": phase.word(), "count": nodes.len(), "parts": parts,
        "nodes": nodes.iter().take(MOST_LISTED).map(|&node| brief(graph, node)).collect::<Vec<_>>(),
        "kernels": kernels.iter().map(|&kernel| kernel_brief(graph, kernel)).collect::<Vec<_>>(),
        "flops": sum(|kernel| kernel.flops), "bytes": sum(|kernel| kernel.bytes),
        "file": graph.nodes[own].file, "line": graph.nodes[own].line,
        "at": format!("{}:{}", graph.nodes[own].file, graph.nodes[own].line),
    }))
}

/// A picture as the address of an image.
fn picture(image: &Image) -> Option<String> {
    let (plane, channels) = (image.height * image.width, image.channels);
    let byte = |at: usize| (image.pixels[at % channels * plane + at / channels] * 255.0).round() as u8;
    let bytes: Vec<u8> = (0..image.pixels.len()).map(byte).collect();
    encode_png(channels, image.height, image.width, &bytes).ok().map(|png| png_uri(&png))
}
