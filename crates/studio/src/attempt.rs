//! An input of one's own: what a trained model makes of it.

use std::path::Path;

use data::{augmentation_key, decode_picture};
use serde_json::{Value, json};
use tensor::Tensor;

use crate::bench::Bench;
use crate::error::{Error, Result};
use crate::inputs::{fed_uri, is_light_on_dark};
use crate::layers::layers;
use crate::query::Query;

/// Pixels of a picture that someone drops on the page, at most.
const MOST_PIXELS: usize = 16 << 20;

/// `POST /api/try?run=&step=` with a PNG or JPEG: what the model of a step makes of it, as `/api/layers`.
pub fn attempt(bench: &mut Bench, query: &Query) -> Result<Value> {
    let step: u64 = query.number("step")?;
    let network = bench.network();
    let input = network.input.clone();
    let &[channels, _, _] = input.shape.as_slice() else {
        return Err(Error::Asked("this network takes no pictures".to_owned()));
    };
    let picture = decode_picture(query.body(), Path::new("the picture"), MOST_PIXELS)?;
    let (height, width) = (picture.height, picture.width);
    let (image, inverted) = zoo::picture::prepared(picture.to_image(channels), is_light_on_dark(network.recipe))?;
    // Nothing in here is random, so any key will do.
    let image = input.prepare(&[]).apply_image(image, augmentation_key(0, 0, 0))?;
    let shape = [1, image.channels, image.height, image.width];
    let seen = fed_uri(&image.pixels, &shape, &input);
    let x = Tensor::from_vec(image.pixels, shape);
    let mut object = bench.asked(step, |network, _| layers(network, &x))?;
    object["step"] = step.into();
    object["seen"] = seen.into();
    object["inverted"] = inverted.into();
    object["size"] = json!([height, width]);
    Ok(object)
}
