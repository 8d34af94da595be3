//! Pooling over 1 to 3 spatial dimensions.

use tensor::{Error, ErrorKind, PoolOptions, Tensor};

use crate::layer::{Description, Layer};
use crate::pass::Pass;
use crate::sizes::{Sizes, by};

/// Largest value of each window: `[N, C, ..] -> [N, C, ..]`.
#[derive(Debug, Clone)]
pub struct MaxPool(PoolOptions);

/// Mean of each window: `[N, C, ..] -> [N, C, ..]`.
#[derive(Debug, Clone)]
pub struct AvgPool {
    options: PoolOptions,
    divisor: Option<usize>,
}

/// Mean over windows that give the size wanted.
#[derive(Debug, Clone)]
pub struct AdaptiveAvgPool(Vec<Option<usize>>);

/// Maximum over windows of a sequence, side by side.
pub fn max_pool1d(kernel: impl Into<Sizes>) -> MaxPool {
    MaxPool(PoolOptions::new(&kernel.into().over(1)))
}

/// Maximum over windows of a picture, side by side.
pub fn max_pool2d(kernel: impl Into<Sizes>) -> MaxPool {
    MaxPool(PoolOptions::new(&kernel.into().over(2)))
}

/// Maximum over windows of a volume, side by side.
pub fn max_pool3d(kernel: impl Into<Sizes>) -> MaxPool {
    MaxPool(PoolOptions::new(&kernel.into().over(3)))
}

/// Mean over windows of a sequence, side by side.
pub fn avg_pool1d(kernel: impl Into<Sizes>) -> AvgPool {
    AvgPool { options: PoolOptions::new(&kernel.into().over(1)), divisor: None }
}

/// Mean over windows of a picture, side by side.
pub fn avg_pool2d(kernel: impl Into<Sizes>) -> AvgPool {
    AvgPool { options: PoolOptions::new(&kernel.into().over(2)), divisor: None }
}

/// Mean over windows of a volume, side by side.
pub fn avg_pool3d(kernel: impl Into<Sizes>) -> AvgPool {
    AvgPool { options: PoolOptions::new(&kernel.into().over(3)), divisor: None }
}

/// Means of a sequence that give `length`.
pub fn adaptive_avg_pool1d(length: impl Into<Sizes>) -> AdaptiveAvgPool {
    AdaptiveAvgPool(length.into().over(1).into_iter().map(Some).collect())
}

/// Means of a picture that give `[height, width]`; `1` is the global mean.
pub fn adaptive_avg_pool2d(size: impl Into<Sizes>) -> AdaptiveAvgPool {
    AdaptiveAvgPool(size.into().over(2).into_iter().map(Some).collect())
}

/// Means of a volume that give `[depth, height, width]`.
pub fn adaptive_avg_pool3d(size: impl Into<Sizes>) -> AdaptiveAvgPool {
    AdaptiveAvgPool(size.into().over(3).into_iter().map(Some).collect())
}

impl MaxPool {
    /// Distance between windows; without it the kernel.
    pub fn stride(mut self, stride: impl Into<Sizes>) -> MaxPool {
        self.0.stride = stride.into().over(self.0.kernel.len());
        self
    }

    /// Padding on both sides, which never wins.
    pub fn padding(mut self, padding: impl Into<Sizes>) -> MaxPool {
        self.0.padding = padding.into().over(self.0.kernel.len());
        self
    }

    /// Distance between the taps of a window.
    pub fn dilation(mut self, dilation: impl Into<Sizes>) -> MaxPool {
        self.0.dilation = dilation.into().over(self.0.kernel.len());
        self
    }

    /// Rounds the number of windows up.
    pub fn ceil(mut self, ceil: bool) -> MaxPool {
        self.0.ceil = ceil;
        self
    }
}

impl AvgPool {
    /// Distance between windows; without it the kernel.
    pub fn stride(mut self, stride: impl Into<Sizes>) -> AvgPool {
        self.options.stride = stride.into().over(self.options.kernel.len());
        self
    }

    /// Zeros on both sides.
    pub fn padding(mut self, padding: impl Into<Sizes>) -> AvgPool {
        self.options.padding = padding.into().over(self.options.kernel.len());
        self
    }

    /// Rounds the number of windows up.
    pub fn ceil(mut self, ceil: bool) -> AvgPool {
        self.options.ceil = ceil;
        self
    }

    /// Whether the padding counts in the mean; without it, yes.
    pub fn count_include_pad(mut self, count: bool) -> AvgPool {
        self.options.count_include_pad = count;
        self
    }

    /// Divides every sum by `divisor`, whatever the size of the window.
    pub fn divisor(mut self, divisor: usize) -> AvgPool {
        self.divisor = Some(divisor);
        self
    }

    fn pool(&self, x: &Tensor) -> Tensor {
        let Some(divisor) = self.divisor else { return x.avg_pool(&self.options) };
        if divisor == 0 || self.options.ceil {
            let message = format!("a divisor of {divisor} (it must be positive, and goes without ceil)");
            return Tensor::failure(Error::new(ErrorKind::Argument, "avg_pool", message));
        }
        let whole = PoolOptions { count_include_pad: true, ..self.options.clone() };
        let window: usize = whole.kernel.iter().product();
        x.avg_pool(&whole) * (window as f64 / divisor as f64)
    }
}

impl AdaptiveAvgPool {
    /// Keeps the size along spatial axis `axis`.
    pub fn keep(mut self, axis: usize) -> AdaptiveAvgPool {
        if let Some(size) = self.0.get_mut(axis) {
            *size = None;
        }
        self
    }
}

impl Layer for MaxPool {
    fn forward(&self, x: &Tensor, _: &Pass) -> Tensor {
        x.max_pool(&self.0)
    }

    fn describe(&self) -> Description {
        Description::of("max_pool", settings(&self.0))
    }
}

impl Layer for AvgPool {
    fn forward(&self, x: &Tensor, _: &Pass) -> Tensor {
        self.pool(x)
    }

    fn describe(&self) -> Description {
        Description::of("avg_pool", settings(&self.options))
    }
}

impl Layer for AdaptiveAvgPool {
    fn forward(&self, x: &Tensor, _: &Pass) -> Tensor {
        let own = |axis: usize| x.dims().get(2 + axis).copied().unwrap_or(1);
        let sizes: Vec<usize> = self.0.iter().enumerate().map(|(axis, size)| size.unwrap_or(own(axis))).collect();
        x.adaptive_avg_pool(&sizes)
    }

    fn describe(&self) -> Description {
        let sizes: Vec<String> = self.0.iter().map(|size| size.map_or("same".into(), |s| s.to_string())).collect();
        Description::of("adaptive_avg_pool", sizes.join("x"))
    }
}

fn settings(options: &PoolOptions) -> String {
    let mut text = by(&options.kernel);
    if options.stride != options.kernel {
        text += &format!(", stride {}", by(&options.stride));
    }
    if options.padding.iter().any(|&padding| padding != 0) {
        text += &format!(", padding {}", by(&options.padding));
    }
    text
}
