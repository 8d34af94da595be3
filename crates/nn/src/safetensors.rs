//! The safetensors format: an 8-byte length, a JSON header, and the elements, little-endian and gapless.
//!
//! <https://github.com/huggingface/safetensors>. Reading checks everything before it believes anything.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tensor::{Array, DType, Shape, Values};

use crate::error::{Error, Result};
use crate::state::State;

/// Text beside the tensors, by key.
pub type Metadata = BTreeMap<String, String>;

/// What a file holds.
#[derive(Debug, Clone, Default)]
pub struct Safetensors {
    /// The tensors by name.
    pub tensors: State,
    /// The text beside them.
    pub metadata: Metadata,
}

/// The largest header the format allows.
const MAX_HEADER: u64 = 100_000_000;
const METADATA: &str = "__metadata__";

/// Writes `tensors` and `metadata` to `path`: the same values give the same bytes. The file appears whole or not at all.
pub fn save(path: impl AsRef<Path>, tensors: &State, metadata: &Metadata) -> Result<()> {
    let path = path.as_ref();
    let bytes =
        to_bytes(tensors, metadata).map_err(|message| Error::Format { from: path.display().to_string(), message })?;
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&partial)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&partial, path)
    };
    write().map_err(|source| {
        // Whether or not the remainder can be removed, the first error is what matters.
        let _ = fs::remove_file(&partial);
        Error::Io { path: path.into(), action: "write", source }
    })
}

/// Reads the file at `path`.
pub fn load(path: impl AsRef<Path>) -> Result<Safetensors> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|source| Error::Io { path: path.into(), action: "read", source })?;
    from_bytes(&bytes).map_err(|message| Error::Format { from: path.display().to_string(), message })
}

/// The bytes of a file of `tensors` and `metadata`, or why there is none.
pub fn to_bytes(tensors: &State, metadata: &Metadata) -> Result<Vec<u8>, String> {
    let mut header = Map::new();
    if !metadata.is_empty() {
        header.insert(METADATA.into(), json!(metadata));
    }
    let mut end = 0usize;
    if tensors.contains_key(METADATA) {
        return Err(format!("no tensor can be called {METADATA}"));
    }
    // The widest elements first, so that all lie aligned.
    let mut ordered: Vec<_> = tensors.iter().collect();
    ordered.sort_by_key(|(name, array)| (std::cmp::Reverse(array.dtype().size()), *name));
    for (name, array) in &ordered {
        let start = end;
        end += array.shape().count() * array.dtype().size();
        let dims: &[usize] = array.shape();
        let entry = json!({"dtype": code(array.dtype()), "shape": dims, "data_offsets": [start, end]});
        header.insert(name.to_string(), entry);
    }
    let mut text = Value::Object(header).to_string();
    // Spaces align the elements to 8 bytes.
    text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(8) - text.len()));
    if text.len() as u64 > MAX_HEADER {
        return Err(format!("a header of {} bytes, more than the format allows", text.len()));
    }
    let mut bytes = Vec::with_capacity(8 + text.len() + end);
    bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    ordered.iter().for_each(|(_, array)| append(array.values(), &mut bytes));
    Ok(bytes)
}

/// What the bytes of a file hold, or what is wrong with them.
pub fn from_bytes(bytes: &[u8]) -> Result<Safetensors, String> {
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or("shorter than 8 bytes: no safetensors file")?;
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER || length > rest.len() as u64 {
        return Err(format!("a header of {length} bytes in a file of {}: torn, or no safetensors file", bytes.len()));
    }
    let (header, data) = rest.split_at(length as usize);
    let text = std::str::from_utf8(header).map_err(|_| "the header is not UTF-8".to_string())?;
    let header: Value = serde_json::from_str(text).map_err(|error| format!("the header is not JSON: {error}"))?;
    let Value::Object(header) = header else { return Err("the header is not a JSON object".into()) };
    if top_level_keys(text) != header.len() {
        return Err("the header holds a name twice".into());
    }
    let mut file = Safetensors::default();
    let mut spans = Vec::with_capacity(header.len());
    for (name, entry) in &header {
        if name == METADATA {
            file.metadata = metadata(entry)?;
            continue;
        }
        let (array, span) = tensor(entry, data).map_err(|message| format!("{name}: {message}"))?;
        spans.push((span, name));
        file.tensors.insert(name.clone(), Arc::new(array));
    }
    spans.sort();
    let mut end = 0;
    for ((start, stop), name) in spans {
        if start != end {
            let fault = if start < end { "overlaps the tensor before it" } else { "leaves a gap before it" };
            return Err(format!("{name} {fault}: it starts at {start}, not {end}"));
        }
        end = stop;
    }
    if end != data.len() {
        return Err(format!("{} bytes of elements, where the tensors fill {end}", data.len()));
    }
    Ok(file)
}

fn metadata(entry: &Value) -> Result<Metadata, String> {
    let object = entry.as_object().ok_or("__metadata__ is not an object")?;
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_string()));
    object.iter().map(text).collect::<Option<_>>().ok_or("__metadata__ holds something else than text".into())
}

fn tensor(entry: &Value, data: &[u8]) -> Result<(Array, (usize, usize)), String> {
    let numbers = |key: &str| -> Result<Vec<usize>, String> {
        let list = entry.get(key).and_then(Value::as_array).ok_or(format!("no {key}"))?;
        let number = |n: &Value| n.as_u64().and_then(|n| usize::try_from(n).ok());
        list.iter().map(number).collect::<Option<_>>().ok_or(format!("{key} holds something else than sizes"))
    };
    let name = entry.get("dtype").and_then(Value::as_str).ok_or("no dtype")?;
    let dtype =
        DType::ALL.into_iter().find(|&dtype| code(dtype) == name).ok_or(format!("dtype {name} is not known"))?;
    let dims = numbers("shape")?;
    let shape = Shape::new(&dims).ok_or(format!("shape {dims:?} has too many dimensions or elements"))?;
    let &[start, end] = numbers("data_offsets")?.as_slice() else { return Err("data_offsets are not two".into()) };
    let bytes = data.get(start..end).ok_or(format!("bytes {start}..{end} of {}", data.len()))?;
    if shape.count().checked_mul(dtype.size()) != Some(bytes.len()) {
        return Err(format!("{dtype} {shape} in {} bytes", bytes.len()));
    }
    Ok((Array::new(shape, elements(dtype, bytes)?), (start, end)))
}

/// How many keys the outermost object of valid JSON has, repeated ones counted.
fn top_level_keys(json: &str) -> usize {
    let (mut depth, mut keys, mut in_string, mut escaped) = (0, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b':' if depth == 1 => keys += 1,
            _ => {}
        }
    }
    keys
}

fn code(dtype: DType) -> &'static str {
    match dtype {
        DType::F16 => "F16",
        DType::BF16 => "BF16",
        DType::F32 => "F32",
        DType::F64 => "F64",
        DType::I32 => "I32",
        DType::I64 => "I64",
        DType::U8 => "U8",
        DType::Bool => "BOOL",
    }
}

fn append(values: &Values, to: &mut Vec<u8>) {
    match values {
        Values::F16(v) | Values::BF16(v) => to.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Values::F32(v) => to.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Values::F64(v) => to.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Values::I32(v) => to.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Values::I64(v) => to.extend(v.iter().flat_map(|x| x.to_le_bytes())),
        Values::U8(v) => to.extend_from_slice(v),
        Values::Bool(v) => to.extend(v.iter().map(|&x| u8::from(x))),
    }
}

fn elements(dtype: DType, bytes: &[u8]) -> Result<Values, String> {
    fn each<const N: usize, T>(bytes: &[u8], from: fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks::<N>().0.iter().map(|&chunk| from(chunk)).collect()
    }
    Ok(match dtype {
        DType::F16 => Values::F16(each(bytes, u16::from_le_bytes)),
        DType::BF16 => Values::BF16(each(bytes, u16::from_le_bytes)),
        DType::F32 => Values::F32(each(bytes, f32::from_le_bytes)),
        DType::F64 => Values::F64(each(bytes, f64::from_le_bytes)),
        DType::I32 => Values::I32(each(bytes, i32::from_le_bytes)),
        DType::I64 => Values::I64(each(bytes, i64::from_le_bytes)),
        DType::U8 => Values::U8(bytes.to_vec()),
        DType::Bool => match bytes.iter().position(|&b| b > 1) {
            Some(at) => return Err(format!("element {at} is {}, no truth value", bytes[at])),
            None => Values::Bool(bytes.iter().map(|&b| b == 1).collect()),
        },
    })
}
