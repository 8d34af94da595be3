//! Where a node came from: the caller's line and the layer it belongs to.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, LazyLock, Mutex};

/// The source line and the layer path a node was made for.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// File and line: of the layer's construction inside a layer, else of the call that made the node.
    pub location: &'static Location<'static>,
    /// The layer the node belongs to, if any.
    pub layer: Option<LayerPath>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if let Some(layer) = self.layer {
            write!(f, "{layer}, ")?;
        }
        write!(f, "{}:{}", self.location.file(), self.location.line())
    }
}

/// The path of a layer, such as `block1/conv2`. Interned: cheap to copy and compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerPath(u32);

#[derive(Default)]
struct Paths {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

static PATHS: LazyLock<Mutex<Paths>> = LazyLock::new(Mutex::default);

impl LayerPath {
    /// The layer path with this text.
    pub fn new(text: &str) -> LayerPath {
        let mut paths = PATHS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(&number) = paths.numbers.get(text) {
            return LayerPath(number);
        }
        let (number, text) = (paths.texts.len() as u32, Arc::<str>::from(text));
        paths.texts.push(text.clone());
        paths.numbers.insert(text, number);
        LayerPath(number)
    }

    /// Its text.
    pub fn text(self) -> Arc<str> {
        PATHS.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).texts[self.0 as usize].clone()
    }
}

impl fmt::Display for LayerPath {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.text())
    }
}

thread_local! {
    static CURRENT: Cell<Option<Origin>> = const { Cell::new(None) };
}

/// While alive, nodes made on this thread belong to a layer. Restores the outer layer when dropped.
pub struct InLayer {
    outer: Option<Origin>,
    // The guard restores a thread-local, so it must stay on its thread.
    _not_send: std::marker::PhantomData<*const ()>,
}

/// Enters the layer at `path`, constructed at `location`, until the guard is dropped.
pub fn in_layer(path: LayerPath, location: &'static Location<'static>) -> InLayer {
    let outer = CURRENT.replace(Some(Origin { location, layer: Some(path) }));
    InLayer { outer, _not_send: std::marker::PhantomData }
}

impl Drop for InLayer {
    fn drop(&mut self) {
        CURRENT.set(self.outer);
    }
}

/// The origin of a node that is being made for the call at `location`.
#[inline]
pub(crate) fn origin(location: &'static Location<'static>) -> Origin {
    CURRENT.get().unwrap_or(Origin { location, layer: None })
}

/// Runs `f` with nodes belonging to `origin`: gradient nodes belong where their forward nodes do.
pub(crate) fn with_origin<R>(origin: Origin, f: impl FnOnce() -> R) -> R {
    let _guard = InLayer { outer: CURRENT.replace(Some(origin)), _not_send: std::marker::PhantomData };
    f()
}
