//! Manifests: which files a dataset is made of, with sizes, SHA-256, part and class; and what changed since one was written.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::DataError;
use crate::bytes::{read_file, write_file};

/// No manifest may be larger than this: 1 GiB, some six million files.
const MAX_MANIFEST: u64 = 1 << 30;

/// The version that is written and read.
const VERSION: u64 = 1;

/// A file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path within the dataset, with `/` between folders.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub hash: [u8; 32],
    /// The part of the dataset that it belongs to, if it has parts.
    pub part: Option<String>,
    /// Its class, if the whole file is of one.
    pub class: Option<String>,
}

/// What a dataset was made of when the manifest was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The convention that it was read by: a word of [`crate::Convention`].
    pub convention: String,
    /// Its files, sorted by path.
    pub files: Vec<Entry>,
}

/// What differs between two lists of files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Files that are new.
    pub added: Vec<String>,
    /// Files that are gone.
    pub removed: Vec<String>,
    /// Files with another content.
    pub changed: Vec<String>,
}

impl Changes {
    /// From one manifest to another.
    pub fn of(then: &Manifest, now: &Manifest) -> Changes {
        fn pair(file: &Entry) -> (&str, &[u8]) {
            (&file.path, &file.hash)
        }
        Changes::between(then.files.iter().map(pair), now.files.iter().map(pair))
    }

    /// From `then` to `now`: paths with hashes.
    pub fn between<'a>(
        then: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        now: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Changes {
        let then: BTreeMap<&str, &[u8]> = then.into_iter().collect();
        let now: BTreeMap<&str, &[u8]> = now.into_iter().collect();
        let mut changes = Changes::default();
        for (path, hash) in &then {
            match now.get(path) {
                None => changes.removed.push((*path).to_owned()),
                Some(other) if other != hash => changes.changed.push((*path).to_owned()),
                Some(_) => {}
            }
        }
        changes.added = now.keys().filter(|path| !then.contains_key(*path)).map(|path| (*path).to_owned()).collect();
        changes
    }

    /// True if nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// Each change in words, such as "cat/1.png is gone".
    pub fn words(&self) -> impl Iterator<Item = String> {
        let told = |paths: &[String], what: &'static str| -> Vec<String> {
            paths.iter().map(|path| format!("{path} {what}")).collect()
        };
        [told(&self.removed, "is gone"), told(&self.changed, "changed"), told(&self.added, "is new")]
            .into_iter()
            .flatten()
    }
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// If it cannot be read or is none.
    pub fn read(path: &Path) -> Result<Manifest, DataError> {
        let broken = |why: String| {
            DataError::broken(path, "manifest", why, "write it again: glassbox data PATH --manifest FILE")
        };
        let value: Value =
            serde_json::from_slice(&read_file(path, MAX_MANIFEST)?).map_err(|e| broken(e.to_string()))?;
        Manifest::from_json(&value).map_err(broken)
    }

    /// Writes it whole, one line a file, so that two of them can be compared by eye.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), DataError> {
        let head = json!({ "glassbox_manifest": VERSION, "convention": self.convention, "sha256": hex(&self.hash()) });
        let mut text = head.to_string();
        text.truncate(text.len() - 1);
        text.push_str(",\"files\":[\n");
        let lines: Vec<String> = self.files.iter().map(|file| file.to_json().to_string()).collect();
        text.push_str(&lines.join(",\n"));
        text.push_str("\n]}\n");
        write_file(path, text.as_bytes())
    }

    /// SHA-256 of all paths, contents, parts and classes.
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = hmac_sha256::Hash::new();
        for file in &self.files {
            hash.update(file.hash);
            for word in [Some(&file.path), file.part.as_ref(), file.class.as_ref()] {
                let word = word.map_or("", String::as_str);
                hash.update((word.len() as u64).to_le_bytes());
                hash.update(word);
            }
        }
        hash.finalize()
    }

    fn from_json(value: &Value) -> Result<Manifest, String> {
        let version = value.get("glassbox_manifest").ok_or("it is not a manifest of glassbox data")?;
        if *version != VERSION {
            return Err(format!("it is of version {version}, and this program reads version {VERSION}"));
        }
        let convention = value["convention"].as_str().ok_or("it names no convention")?.to_owned();
        let files = value["files"].as_array().ok_or("it lists no files")?;
        let files = files
            .iter()
            .enumerate()
            .map(|(i, file)| Entry::from_json(file).ok_or(format!("file {i} of it cannot be read")));
        let manifest = Manifest { convention, files: files.collect::<Result<_, _>>()? };
        match value["sha256"].as_str() {
            Some(text) if text == hex(&manifest.hash()) => Ok(manifest),
            _ => Err("its files are not those that its sha256 was taken of".to_owned()),
        }
    }
}

impl Entry {
    /// As a manifest and `data.json` hold it.
    pub fn to_json(&self) -> Value {
        let mut object = json!({ "path": self.path, "bytes": self.bytes, "sha256": hex(&self.hash) });
        for (name, word) in [("part", &self.part), ("class", &self.class)] {
            if let Some(word) = word {
                object[name] = word.as_str().into();
            }
        }
        object
    }

    fn from_json(value: &Value) -> Option<Entry> {
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Entry {
            path: text("path")?,
            bytes: value["bytes"].as_u64()?,
            hash: unhex(value["sha256"].as_str()?)?,
            part: text("part"),
            class: text("class"),
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = 16 * digit(pair[0])? + digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, byte: u8) -> Entry {
        Entry { path: path.to_owned(), bytes: 3, hash: [byte; 32], part: Some("train".to_owned()), class: None }
    }

    fn written(manifest: &Manifest) -> Vec<u8> {
        let path = std::env::temp_dir().join(format!("glassbox-manifest-{}", std::process::id()));
        manifest.write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(Manifest::read(&path).unwrap(), *manifest);
        std::fs::remove_file(&path).unwrap();
        bytes
    }

    #[test]
    fn a_manifest_survives_its_file_and_no_damage_panics_or_passes() {
        let manifest = Manifest { convention: "folders".to_owned(), files: vec![entry("a/1.png", 1), entry("b\"", 2)] };
        let bytes = written(&manifest);
        let parse = |bytes: &[u8]| serde_json::from_slice(bytes).ok().and_then(|v| Manifest::from_json(&v).ok());
        crate::fuzz::truncations(&bytes[..bytes.len() - 1], |cut| assert!(parse(cut).is_none()));
        // What still passes says the same of every file but its size, which no hash covers: the content's hash does.
        crate::fuzz::flips(&bytes, 5000, |damaged| {
            let same =
                |m: &Manifest| m.files.iter().zip(&manifest.files).all(|(a, b)| (&a.path, a.hash) == (&b.path, b.hash));
            assert!(parse(damaged).is_none_or(|m| same(&m)));
        });
        assert_eq!(String::from_utf8(bytes).unwrap().lines().count(), 4);
    }

    #[test]
    fn changes_name_what_is_new_gone_and_other() {
        let (then, now) = ([("a", &[1u8][..]), ("b", &[2])], [("b", &[3u8][..]), ("c", &[4])]);
        let changes = Changes::between(then, now);
        assert_eq!(changes.words().collect::<Vec<_>>(), ["a is gone", "b changed", "c is new"]);
        assert!(Changes::between(then, then).is_empty());
    }
}
