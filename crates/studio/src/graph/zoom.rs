//! What of a graph is drawn, at each of the three zooms: boxes and the arrows between them.

use std::collections::{BTreeSet, HashMap};

use super::layout::{Item, Link};
use super::model::{Phase, StepGraph};

/// How near one looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zoom {
    /// A box for each layer and part of the step, unless it is opened.
    Layers,
    /// A box for each op, unless its layer is closed.
    Ops,
    /// A box for each kernel of the plan.
    Kernels,
}

impl Zoom {
    /// By its word.
    pub fn parse(word: &str) -> Option<Zoom> {
        match word {
            "layers" => Some(Zoom::Layers),
            "ops" => Some(Zoom::Ops),
            "kernels" => Some(Zoom::Kernels),
            _ => None,
        }
    }
}

/// What is to be drawn.
#[derive(Debug, Clone)]
pub struct Look {
    /// How near.
    pub zoom: Zoom,
    /// The parts of the step that are drawn.
    pub phases: Vec<Phase>,
    /// Layers that are opened (or, among ops, closed).
    pub toggled: BTreeSet<String>,
    /// Whether numbers written in the source are drawn too.
    pub numbers: bool,
}

/// What a box stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stands {
    /// One node.
    Node(usize),
    /// The nodes of a layer in one part of the step.
    Group(Phase, String),
    /// A kernel.
    Kernel(usize),
}

impl Stands {
    /// As the page names it: `n12`, `g:backward:conv1`, `k3`.
    pub fn id(&self) -> String {
        match self {
            Stands::Node(node) => format!("n{node}"),
            Stands::Group(phase, layer) => format!("g:{}:{layer}", phase.word()),
            Stands::Kernel(kernel) => format!("k{kernel}"),
        }
    }

    /// What has this id.
    pub fn parse(id: &str) -> Option<Stands> {
        if let Some(rest) = id.strip_prefix("g:") {
            let (word, layer) = rest.split_once(':')?;
            let phase = Phase::ALL.into_iter().find(|phase| phase.word() == word)?;
            return Some(Stands::Group(phase, layer.to_owned()));
        }
        let number = |prefix| id.strip_prefix(prefix).and_then(|number: &str| number.parse().ok());
        number("n").map(Stands::Node).or_else(|| number("k").map(Stands::Kernel))
    }
}

/// A box.
pub struct Drawn {
    /// What it stands for.
    pub stands: Stands,
    /// The nodes that it holds.
    pub nodes: Vec<usize>,
    /// The part of the step it belongs to.
    pub phase: Phase,
}

/// An arrow between two boxes, by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// Where it starts.
    pub from: usize,
    /// Where it ends.
    pub to: usize,
}

/// Boxes and arrows.
pub fn look(graph: &StepGraph, look: &Look) -> (Vec<Drawn>, Vec<Arrow>) {
    match look.zoom {
        Zoom::Kernels => of_kernels(graph, look),
        Zoom::Layers | Zoom::Ops => of_nodes(graph, look),
    }
}

/// Boxes as the layout takes them: gradients flow upwards.
pub fn to_lay_out(boxes: &[Drawn], arrows: &[Arrow], shown: &[Phase]) -> (Vec<Item>, Vec<Link>) {
    let lane = |phase: Phase| shown.iter().position(|&of| of == phase).unwrap_or(0) as u8;
    let item = |drawn: &Drawn| {
        let (width, height) = match drawn.stands {
            Stands::Group(..) => (170.0, 46.0),
            Stands::Kernel(_) => (190.0, 46.0),
            Stands::Node(_) => (128.0, 36.0),
        };
        Item { width, height, lane: lane(drawn.phase) }
    };
    let up = |arrow: &Arrow| [arrow.from, arrow.to].iter().all(|&end| boxes[end].phase == Phase::Backward);
    let links = arrows.iter().map(|arrow| Link { from: arrow.from, to: arrow.to, up: up(arrow) });
    (boxes.iter().map(item).collect(), links.collect())
}

fn of_nodes(graph: &StepGraph, look: &Look) -> (Vec<Drawn>, Vec<Arrow>) {
    let mut boxes: Vec<Drawn> = Vec::new();
    let mut place: HashMap<Stands, usize> = HashMap::new();
    let mut box_of: Vec<Option<usize>> = vec![None; graph.nodes.len()];
    for (at, node) in graph.nodes.iter().enumerate() {
        let hidden = node.number.is_some() && !look.numbers;
        if hidden || !look.phases.contains(&node.phase) {
            continue;
        }
        let stands = match group(&node.layer, look) {
            Some(layer) => Stands::Group(node.phase, layer.to_owned()),
            None => Stands::Node(at),
        };
        let drawn = *place.entry(stands.clone()).or_insert_with(|| {
            boxes.push(Drawn { stands, nodes: Vec::new(), phase: node.phase });
            boxes.len() - 1
        });
        boxes[drawn].nodes.push(at);
        box_of[at] = Some(drawn);
    }
    let mut arrows = BTreeSet::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        let Some(to) = box_of[at] else { continue };
        for from in node.inputs.iter().filter_map(|&input| box_of[input]).filter(|&from| from != to) {
            arrows.insert(Arrow { from, to });
        }
    }
    (boxes, arrows.into_iter().collect())
}

/// The closed layer that a node of `layer` is drawn in, if it is not drawn itself.
fn group<'a>(layer: &'a str, look: &Look) -> Option<&'a str> {
    let ends = layer.match_indices('/').map(|(at, _)| at).chain([layer.len()]);
    let mut prefixes = ends.map(|end| &layer[..end]);
    match look.zoom {
        // Closed unless opened: the first prefix that nobody opened.
        Zoom::Layers => prefixes.find(|prefix| !look.toggled.contains(*prefix)),
        // Open unless closed.
        _ => prefixes.find(|prefix| look.toggled.contains(*prefix)),
    }
}

fn of_kernels(graph: &StepGraph, look: &Look) -> (Vec<Drawn>, Vec<Arrow>) {
    let mut place = vec![None; graph.kernels.len()];
    let mut boxes = Vec::new();
    for (number, kernel) in graph.kernels.iter().enumerate() {
        let (phase, _) = graph.home(kernel);
        if look.phases.contains(&phase) {
            place[number] = Some(boxes.len());
            boxes.push(Drawn { stands: Stands::Kernel(number), nodes: kernel.nodes.clone(), phase });
        }
    }
    let mut arrows = BTreeSet::new();
    for (number, kernel) in graph.kernels.iter().enumerate() {
        let Some(to) = place[number] else { continue };
        arrows.extend(kernel.after.iter().filter_map(|&from| place[from]).map(|from| Arrow { from, to }));
    }
    (boxes, arrows.into_iter().collect())
}
