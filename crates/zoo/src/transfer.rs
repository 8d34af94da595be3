//! Transfer: a net that begins with weights trained elsewhere, of which a part may be kept as it is.

use std::path::Path;

use nn::state::torch_name;
use nn::{Scope, safetensors};
use train::suggest::did_you_mean;
use train::{Error, Result, Settings};

/// The name by which all but the head is frozen.
const BACKBONE: &str = "backbone";

/// The settings `model.from` and `model.freeze`.
pub(crate) fn with_transfer(settings: Settings) -> Settings {
    settings
        .path("model.from", "file of weights (.safetensors) that the net begins with; its head may have other classes")
        .text("model.freeze", "", "what is kept as it is: backbone (all but the head); a layer and those in it; ..=LAYER, all from the first layer to this one")
}

/// Gives the net of a scope the weights of the file that the settings name; whether they name one.
///
/// # Errors
/// If the file cannot be read, or is of another net.
pub(crate) fn begin(at: &Scope, settings: &Settings) -> Result<bool> {
    match settings.get_word("model.from")? {
        "" => Ok(false),
        from => load(at, Path::new(from)).map(|()| true),
    }
}

/// What stands before a layer of which all before it is frozen, too.
const UP_TO: &str = "..=";

/// Freezes what the settings say of the net of a scope.
///
/// # Errors
/// If there is nothing of that name.
pub(crate) fn freeze(at: &Scope, settings: &Settings) -> Result<()> {
    match settings.get_word("model.freeze")? {
        "" => Ok(()),
        BACKBONE => {
            at.freeze("", true);
            at.freeze(&head(at), false);
            Ok(())
        }
        layer => freeze_layer(at, layer),
    }
}

/// The layer of the classifier: that of the parameter which was declared last.
pub(crate) fn head(at: &Scope) -> String {
    at.parameters().last().map_or_else(String::new, |last| layer_of(last.name()).to_owned())
}

fn layer_of(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(layer, _)| layer)
}

/// Whether a parameter is one of a layer or of those in it.
fn is_in(name: &str, layer: &str) -> bool {
    name.strip_prefix(layer).is_some_and(|rest| rest.starts_with('/'))
}

fn freeze_layer(at: &Scope, wanted: &str) -> Result<()> {
    let rest = wanted.strip_prefix(UP_TO);
    let (up_to, layer) = (rest.is_some(), rest.unwrap_or(wanted).replace('.', "/"));
    let names: Vec<String> = at.parameters().iter().map(|var| var.name().to_owned()).collect();
    let Some(last) = names.iter().rposition(|name| is_in(name, &layer)) else {
        let what = format!("the net has no layer {layer:?} to freeze");
        let before = if up_to { UP_TO } else { "" };
        let layers: Vec<String> = names.iter().map(|name| format!("{before}{}", layer_of(name))).collect();
        let others = [BACKBONE].into_iter().filter(|_| !up_to);
        return Err(Error::usage(what, did_you_mean(wanted, layers.iter().map(String::as_str).chain(others))));
    };
    if !up_to {
        at.freeze(&layer, true);
        return Ok(());
    }
    if last + 1 == names.len() {
        let what = format!("{wanted} freezes all of the net, and nothing is left to learn");
        return Err(Error::usage(what, format!("name a layer before {}, or give --freeze {BACKBONE}", head(at))));
    }
    // In the order of their declaration, which is that of the pass; of branches side by side, those declared before.
    names[..=last].iter().for_each(|name| at.freeze(name, true));
    Ok(())
}

/// All values of the file; the head keeps its own if it has another shape there, and counters of batches if there are none.
fn load(at: &Scope, path: &Path) -> Result<()> {
    let mut given = safetensors::load(path)?.tensors;
    given = given.into_iter().map(|(name, array)| (torch_name(&name), array)).collect();
    let (head, own) = (torch_name(&head(at)), at.state()?);
    let of_head = |name: &str| name.strip_prefix(&head).is_some_and(|rest| rest.starts_with('.'));
    let other_head = own
        .iter()
        .any(|(name, array)| of_head(name) && given.get(name).is_none_or(|given| given.shape() != array.shape()));
    if other_head {
        given.retain(|name, _| !of_head(name));
    }
    for (name, array) in &own {
        if (other_head && of_head(name)) || name.ends_with("num_batches_tracked") {
            given.entry(name.clone()).or_insert_with(|| array.clone());
        }
    }
    Ok(at.load_state(&given, &path.display().to_string())?)
}
