//! Parameter groups, and what all optimisers do with them.

use std::cell::OnceCell;
use std::panic::Location;

use tensor::{Array, DType, Error, ErrorKind, LayerPath, Origin, Shape, Tensor, Update, Var, in_layer};

/// Parameters that are trained alike.
#[derive(Clone)]
pub struct Group {
    /// The parameters.
    pub params: Vec<Var>,
    /// Factor on the learning rate.
    pub lr_scale: f64,
    /// Weight decay; `None` is the optimiser's.
    pub weight_decay: Option<f64>,
}

impl Group {
    /// Parameters trained with the optimiser's own settings.
    pub fn new(params: Vec<Var>) -> Group {
        Group { params, lr_scale: 1.0, weight_decay: None }
    }

    /// With a factor on the learning rate.
    pub fn lr_scale(mut self, scale: f64) -> Group {
        self.lr_scale = scale;
        self
    }

    /// With its own weight decay.
    pub fn weight_decay(mut self, decay: f64) -> Group {
        self.weight_decay = Some(decay);
        self
    }
}

/// A number given at run time, as a tensor of either float dtype.
pub(super) struct Number {
    value: f64,
    f32: OnceCell<Tensor>,
    f64: OnceCell<Tensor>,
}

impl Number {
    pub(super) fn new(value: f64) -> Number {
        Number { value, f32: OnceCell::new(), f64: OnceCell::new() }
    }

    pub(super) fn of(&self, dtype: DType) -> &Tensor {
        match dtype {
            DType::F64 => self.f64.get_or_init(|| Tensor::scalar(self.value)),
            _ => self.f32.get_or_init(|| Tensor::scalar(self.value as f32)),
        }
    }
}

/// Groups, moments by parameter, and the counter of steps taken.
pub(super) struct Book {
    groups: Vec<Group>,
    counter: Var,
    moments: Vec<Vec<Var>>,
    /// The layers of the parameters: to which the nodes of their updates belong.
    layers: Vec<LayerPath>,
    location: &'static Location<'static>,
}

impl Book {
    /// `moments` are names of tensors kept for each parameter: zeros at first.
    #[track_caller]
    pub(super) fn new(groups: Vec<Group>, moments: &[&str]) -> Book {
        let params: Vec<Var> = groups.iter().flat_map(|group| group.params.iter().cloned()).collect();
        let zeros = |name: &str, p: &Var| Var::new(format!("{name}/{}", p.name()), Array::zeros(p.dtype(), *p.shape()));
        let moments = params.iter().map(|p| moments.iter().map(|name| zeros(name, p)).collect()).collect();
        let layer = |p: &Var| LayerPath::new(p.name().rsplit_once('/').map_or(p.name(), |(layer, _)| layer));
        let layers = params.iter().map(layer).collect();
        let counter = Var::new("step", Array::zeros(DType::I64, Shape::SCALAR));
        Book { groups, counter, moments, layers, location: Location::caller() }
    }

    /// The same groups with other moments.
    pub(super) fn with(self, moments: &[&str]) -> Book {
        let location = self.location;
        Book { location, ..Book::new(self.groups, moments) }
    }

    /// The same with another name for the counter, beside another book in one checkpoint.
    pub(super) fn counted(self, name: &str) -> Book {
        Book { counter: Var::new(name, Array::zeros(DType::I64, Shape::SCALAR)), ..self }
    }

    pub(super) fn parameters(&self) -> Vec<Var> {
        self.groups.iter().flat_map(|group| group.params.iter().cloned()).collect()
    }

    pub(super) fn state(&self) -> Vec<Var> {
        [self.counter.clone()].into_iter().chain(self.moments.iter().flatten().cloned()).collect()
    }

    /// Steps taken before this one.
    pub(super) fn taken(&self) -> u64 {
        self.counter.value().get_f64(0) as u64
    }

    /// The updates that `rule` makes of each (group, parameter, its moments, its gradient).
    pub(super) fn updates(
        &self,
        gradients: &[Tensor],
        mut rule: impl FnMut(&Group, usize, &Tensor, &[Tensor], &Tensor) -> (Tensor, Vec<Tensor>),
    ) -> Vec<Update> {
        let params = self.groups.iter().enumerate().flat_map(|(i, g)| g.params.iter().map(move |p| (g, i, p)));
        let mut updates = vec![self.counter.update(&(self.counter.tensor() + 1))];
        let count = self.moments.len();
        if gradients.len() != count {
            return self.refused(format!("{} gradients for {count} parameters", gradients.len()));
        }
        let params = params.zip(&self.layers).zip(&self.moments).zip(gradients);
        for ((((group, index, param), &layer), moments), gradient) in params {
            let _here = in_layer(layer, self.location);
            if gradient.error().is_none() && (gradient.shape(), gradient.dtype()) != (param.shape(), param.dtype()) {
                let message = format!("gradient {} of {}, which is {}", gradient.shape(), param.name(), param.shape());
                updates.push(param.update(&gradient.refused("optimiser step", message, None)));
                continue;
            }
            let now: Vec<Tensor> = moments.iter().map(Var::tensor).collect();
            let (next, next_moments) = rule(group, index, &param.tensor(), &now, gradient);
            updates.push(param.update(&next));
            updates.extend(moments.iter().zip(&next_moments).map(|(moment, next)| moment.update(next)));
        }
        updates
    }

    /// A step that is an error of its run.
    pub(super) fn refused(&self, message: String) -> Vec<Update> {
        let error = Error::new(ErrorKind::Argument, "optimiser step", message);
        let failure = Tensor::failure(error.at(Origin { location: self.location, layer: None }));
        vec![self.counter.update(&failure)]
    }

    /// One number a group.
    pub(super) fn numbers(&self, value: impl Fn(&Group) -> f64) -> Vec<Number> {
        self.groups.iter().map(|group| Number::new(value(group))).collect()
    }
}
