//! The golden files, one case of them, and how values are compared.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::Value;
use tensor::{Array, DType, Shape, Tensor};

/// One case in one dtype.
pub struct Case {
    json: Value,
    dtype: DType,
    tensors: Arc<nn::State>,
}

pub fn json(file: &str) -> Value {
    let text = std::fs::read_to_string(folder().join(file)).expect("the golden files are in the repository");
    serde_json::from_str(&text).expect("the golden files are JSON")
}

pub fn index() -> Vec<Value> {
    json("index.json")["cases"].as_array().expect("a list of cases").clone()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

pub fn tensors(file: &str, dtype: DType) -> Arc<nn::State> {
    static FILES: LazyLock<Mutex<HashMap<String, Arc<nn::State>>>> = LazyLock::new(Mutex::default);
    let name = format!("{file}_{dtype}.safetensors");
    let mut files = FILES.lock().expect("no test panics while it reads");
    let load = || Arc::new(nn::safetensors::load(folder().join(&name)).expect("golden tensors").tensors);
    files.entry(name.clone()).or_insert_with(load).clone()
}

impl Case {
    pub fn new(json: &Value, dtype: DType) -> Case {
        let tensors = tensors(json["file"].as_str().expect("a file"), dtype);
        Case { json: json.clone(), dtype, tensors }
    }

    pub fn name(&self) -> &str {
        self.json["name"].as_str().expect("a name")
    }

    pub fn kind(&self) -> &str {
        self.json["kind"].as_str().expect("a kind")
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub fn is_training(&self) -> bool {
        self.json["training"] == true
    }

    pub fn groups(&self) -> &[Value] {
        self.json["groups"].as_array().map_or(&[], Vec::as_slice)
    }

    pub fn setting(&self, name: &str) -> &Value {
        &self.json["settings"][name]
    }

    pub fn size(&self, name: &str) -> usize {
        self.setting(name).as_u64().unwrap_or_else(|| panic!("{} has no {name}", self.name())) as usize
    }

    pub fn float(&self, name: &str) -> f64 {
        number(self.setting(name)).unwrap_or_else(|| panic!("{} has no {name}", self.name()))
    }

    pub fn flag(&self, name: &str) -> bool {
        self.setting(name) == true
    }

    pub fn sizes(&self, name: &str) -> Vec<usize> {
        let list = self.setting(name).as_array().unwrap_or_else(|| panic!("{} has no {name}", self.name()));
        list.iter().map(|n| n.as_u64().expect("a size") as usize).collect()
    }

    /// A tensor of the case, from the f64 file if the f32 file leaves it out.
    pub fn array(&self, name: &str) -> Option<Arc<Array>> {
        let full = format!("{}/{name}", self.name());
        let own = self.tensors.get(&full).cloned();
        own.or_else(|| {
            let wide = tensors(self.json["file"].as_str()?, DType::F64).get(&full)?.clone();
            Some(Arc::new(if wide.dtype() == DType::F64 { wide.cast(self.dtype) } else { (*wide).clone() }))
        })
    }

    pub fn has(&self, name: &str) -> bool {
        self.json["tensors"].as_array().is_some_and(|names| names.iter().any(|n| n == name))
    }

    pub fn input(&self, name: &str) -> Tensor {
        Tensor::from_array(self.array(name).unwrap_or_else(|| panic!("{} has no {name}", self.name())))
    }

    /// The tensors under `prefix`, by the rest of their names.
    pub fn under(&self, prefix: &str) -> Vec<(String, Arc<Array>)> {
        let names = self.json["tensors"].as_array().expect("tensors").iter().filter_map(Value::as_str);
        let below = names.filter_map(|name| Some((name, name.strip_prefix(prefix)?)));
        below.map(|(name, rest)| (rest.to_string(), self.array(name).expect("a tensor of the index"))).collect()
    }

    /// Whether `found` equals the tensor called `name`.
    pub fn compare(&self, name: &str, found: &Array) -> Result<(), String> {
        let wanted = self.array(name).ok_or(format!("no golden {name}"))?;
        let tolerance = if self.dtype == DType::F64 { 1e-10 } else { 1e-5 };
        close(found, &wanted, tolerance).map_err(|message| format!("{name}: {message}"))
    }
}

pub fn number(value: &Value) -> Option<f64> {
    if value == "inf" { Some(f64::INFINITY) } else { value.as_f64() }
}

/// |a - b| <= tolerance * (largest finite |b| of the tensor), infinities equal.
fn close(found: &Array, wanted: &Array, tolerance: f64) -> Result<(), String> {
    if found.shape() != wanted.shape() || found.dtype() != wanted.dtype() {
        let (a, b): (&Shape, &Shape) = (found.shape(), wanted.shape());
        return Err(format!("{} {a}, not {} {b}", found.dtype(), wanted.dtype()));
    }
    let (a, b) = (found.to_f64(), wanted.to_f64());
    let scale = b.iter().filter(|x| x.is_finite()).fold(0.0f64, |m, x| m.max(x.abs()));
    let far = |(&a, &b): (&f64, &f64)| !(a == b || (a - b).abs() <= tolerance * scale);
    match a.iter().zip(&b).position(far) {
        Some(i) => {
            Err(format!("element {i} is {:e}, not {:e} (off by {:e} of {scale:e})", a[i], b[i], (a[i] - b[i]).abs()))
        }
        None => Ok(()),
    }
}

/// Evaluates `tensors`.
pub fn values(tensors: &[&Tensor]) -> Result<Vec<Arc<Array>>, String> {
    let device = cpu::Cpu::shared().map_err(|error| error.to_string())?;
    device.run(tensors, &[]).map_err(|error| error.to_string())
}
