//! The source that made the nodes of a graph: files that the graph names, and no others.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use super::model::StepGraph;

/// A file larger than this is not shown.
const MOST_BYTES: u64 = 1 << 20;

/// A file as it can be shown.
#[derive(Debug, PartialEq)]
pub struct Source {
    /// Its lines; `None` if it is not at hand.
    pub lines: Option<Vec<String>>,
    /// Where they come from, or why there are none.
    pub note: String,
    /// The nodes that each line made, by line from 1.
    pub nodes: BTreeMap<u32, Vec<usize>>,
}

/// The files that nodes come from, each with how many.
pub fn files(graph: &StepGraph) -> BTreeMap<&'static str, usize> {
    let mut files = BTreeMap::new();
    graph.nodes.iter().for_each(|node| *files.entry(node.file).or_insert(0) += 1);
    files
}

/// A file that the graph names, by that name; `None` if it names no such file.
pub fn source(graph: &StepGraph, file: &str) -> Option<Source> {
    let file = *files(graph).get_key_value(file)?.0;
    let mut nodes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, node) in graph.nodes.iter().enumerate().filter(|(_, node)| node.file == file) {
        nodes.entry(node.line).or_default().push(at);
    }
    let shipped = zoo::SOURCES.iter().find(|(name, _)| *name == file).map(|(_, text)| *text);
    let (text, note) = match shipped {
        Some(text) => (Some(text.to_owned()), "as it was compiled into this program".to_owned()),
        None => match read(file) {
            Ok(text) => (Some(text), "as it lies on the disk now".to_owned()),
            Err(why) => (
                None,
                format!(
                    "{file} is not at hand: {why}. Sources are looked for from the folder that the program was started in"
                ),
            ),
        },
    };
    Some(Source { lines: text.map(|text| text.lines().map(str::to_owned).collect()), note, nodes })
}

fn read(file: &str) -> Result<String, String> {
    let opened = File::open(file).map_err(|error| error.to_string())?;
    let about = opened.metadata().map_err(|error| error.to_string())?;
    if !about.is_file() || about.len() > MOST_BYTES {
        return Err(format!("no file of at most {} KiB", MOST_BYTES / 1024));
    }
    let mut text = String::new();
    opened.take(MOST_BYTES).read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}
