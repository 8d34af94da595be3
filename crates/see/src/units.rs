//! Units of a layer in the middle of the picture, and of what pools them: what they answer to grey pictures.

use tensor::Tensor;
use train::{Error, Input, Result};

use crate::net::{LayerInfo, Net};

/// Units in the middle of a layer that gives feature maps: one for each map and each window. A window of 1 is the unit itself;
/// one of 3 answers as the largest of 3 x 3 neighbours, as max pooling does.
pub struct Units<'a> {
    net: Net<'a>,
    /// `[C, H, W]` of the input.
    frame: [usize; 3],
    layer: LayerInfo,
    /// The convolution that gives its maps: the last one on the way to it.
    convolution: Option<String>,
    windows: Vec<usize>,
}

/// Pictures that pass the network at once; changes no number.
const BATCH: usize = 80;

/// The layer that the experiment asks: the first convolution with its norm and activation.
///
/// # Errors
/// If the network has none.
pub fn first_layer(net: &Net, input: &Input) -> Result<String> {
    let layers = net.layers(&tensor::Array::zeros(tensor::DType::F32, shape(input)?))?;
    let is_first = |layer: &LayerInfo| layer.kind.starts_with("conv") && layer.shape.len() == 4;
    let Some(first) = layers.iter().position(is_first) else {
        return Err(Error::usage(
            "the network has no convolution whose filters could be looked at",
            "give a run of a convolutional network: digits, fashion, images",
        ));
    };
    let behind = |layer: &&LayerInfo| {
        layer.shape == layers[first].shape && !layer.kind.starts_with("conv") && !layer.kind.contains("pool")
    };
    let more = layers[first + 1..].iter().take_while(behind).count();
    Ok(layers[first + more].path.clone())
}

fn shape(input: &Input) -> Result<tensor::Shape> {
    match input.shape[..] {
        [channels, height, width] => tensor::Shape::new(&[1, channels, height, width]),
        _ => None,
    }
    .ok_or_else(|| Error::usage("the network does not look at pictures", "give a run of a network that does"))
}

impl<'a> Units<'a> {
    /// The units of `layer` for these `windows`; windows beyond the layer's maps are left out.
    ///
    /// # Errors
    /// If the network does not look at pictures, or the layer gives no feature maps.
    pub fn new(net: Net<'a>, input: &Input, layer: &str, windows: &[usize]) -> Result<Units<'a>> {
        let shape = shape(input)?;
        let traced = net.trace(&tensor::Array::zeros(tensor::DType::F32, shape))?;
        let (info, _) = traced.find(layer)?;
        let passed = traced.layers.iter().take_while(|(passed, _)| passed.path != info.path).map(|(passed, _)| passed);
        let convolution = passed.chain([&info]).filter(|layer| layer.kind.starts_with("conv")).last();
        let convolution = convolution.map(|layer| layer.path.clone());
        let &[_, _, height, width] = &info.shape[..] else {
            return Err(Error::usage(
                format!("{layer} gives {:?}, and no feature maps", info.shape),
                "name a convolution or what follows it",
            ));
        };
        let fits = |window: &usize| (1..=height.min(width)).contains(window);
        let windows = windows.iter().copied().filter(fits).collect();
        Ok(Units { net, frame: [shape[1], shape[2], shape[3]], layer: info, convolution, windows })
    }

    /// The filters `[K, C, H, W]` of the convolution that gives the layer's maps.
    ///
    /// # Errors
    /// If there is none, or not one filter for each map.
    pub fn filters(&self) -> Result<tensor::Array> {
        let weight = self.convolution.as_ref().and_then(|path| self.net.scope.find(&format!("{path}/weight")));
        let value = weight.map(|weight| weight.value());
        match value.filter(|value| value.shape().len() == 4 && value.shape()[0] == self.maps()) {
            Some(value) => Ok((*value).clone()),
            None => Err(Error::usage(
                format!("no convolution of pictures gives the maps of {}", self.layer.path),
                "name a convolution, or what follows it",
            )),
        }
    }

    /// How many maps the layer has: units for each window.
    pub fn maps(&self) -> usize {
        self.layer.shape[1]
    }

    /// The windows that are asked.
    pub fn windows(&self) -> &[usize] {
        &self.windows
    }

    /// The layer's path.
    pub fn layer(&self) -> &str {
        &self.layer.path
    }

    /// Height and width of the pictures that are shown.
    pub fn size(&self) -> (usize, usize) {
        (self.frame[1], self.frame[2])
    }

    /// Answers to grey pictures `[n, H, W]`, the same in all channels: `[n, windows * maps]`, all maps of the first window first.
    ///
    /// # Errors
    /// If the network does not take them.
    pub fn respond(&self, pictures: &[f32]) -> Result<Vec<f64>> {
        let [channels, height, width] = self.frame;
        let mut answers = Vec::with_capacity(pictures.len() / (height * width) * self.windows.len() * self.maps());
        for part in pictures.chunks(BATCH * height * width) {
            let count = part.len() / (height * width);
            let grey = Tensor::from_vec(part.to_vec(), [count, 1, height, width]);
            let x = grey.expand([count, channels, height, width]);
            let (_, maps) = self.net.trace_tensor(x)?.find(&self.layer.path)?;
            let units: Vec<Tensor> = self.windows.iter().map(|&window| middle(&maps, window)).collect();
            let values = self.net.cpu.run(&units.iter().collect::<Vec<_>>(), &[])?;
            for row in 0..count {
                for value in &values {
                    answers.extend((0..self.maps()).map(|map| value.get_f64(row * self.maps() + map)));
                }
            }
        }
        Ok(answers)
    }
}

/// The largest of the `window` x `window` places in the middle of each map: `[N, K, H, W] -> [N, K]`.
fn middle(maps: &Tensor, window: usize) -> Tensor {
    let start = |size: usize| (size - window) / 2;
    let (top, left) = (start(maps.dims()[2]), start(maps.dims()[3]));
    maps.narrow(2, top..top + window).narrow(3, left..left + window).max([2, 3])
}
