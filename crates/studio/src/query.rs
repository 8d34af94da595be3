//! What was asked: a path, named values, and for an input of one's own its bytes.

use std::str::FromStr;
use std::sync::Arc;

use hmac_sha256::Hash;

use crate::error::{Error, Result};

/// A question to the studio.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    path: String,
    pairs: Vec<(String, String)>,
    body: Arc<Vec<u8>>,
}

impl Query {
    /// Of the target of a request, `/path?name=value&..`; `None` if it is not one: other characters than it may have, half an
    /// escape, no UTF-8.
    pub fn parse(target: &str, body: Vec<u8>) -> Option<Query> {
        let target = target.split_once('#').map_or(target, |(target, _)| target);
        let (path, rest) = target.split_once('?').unwrap_or((target, ""));
        if !path.starts_with('/') {
            return None;
        }
        let pairs = rest
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((decoded(name, true)?, decoded(value, true)?))
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Query { path: decoded(path, false)?, pairs, body: Arc::new(body) })
    }

    /// The same with a body.
    pub(crate) fn with_body(self, body: Vec<u8>) -> Query {
        Query { body: Arc::new(body), ..self }
    }

    /// The path, from `/`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was sent with it.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// A value, if it is there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// A value.
    ///
    /// # Errors
    /// If it is not there.
    pub fn text(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| Error::Asked(format!("{} needs a value for {name}", self.path)))
    }

    /// A number.
    ///
    /// # Errors
    /// If it is not there, or none.
    pub fn number<T: FromStr>(&self, name: &str) -> Result<T> {
        let text = self.text(name)?;
        text.parse().map_err(|_| Error::Asked(format!("{name}={text} is not a number that can be used here")))
    }

    /// A number, or another one if it is not there.
    ///
    /// # Errors
    /// If it is no number.
    pub fn number_or<T: FromStr>(&self, name: &str, other: T) -> Result<T> {
        if self.get(name).is_none() { Ok(other) } else { self.number(name) }
    }

    /// What tells this question from others: the order of its values does not.
    pub(crate) fn key(&self) -> String {
        let mut pairs: Vec<&(String, String)> = self.pairs.iter().collect();
        pairs.sort();
        let body = if self.body.is_empty() { [0; 32] } else { Hash::hash(self.body.as_slice()) };
        format!("{}{pairs:?}{body:?}", self.path)
    }
}

/// Without `%xx` and, in values, `+` for a blank.
fn decoded(text: &str, plus: bool) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let digits = bytes.get(at + 1..at + 3)?;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                out.push((digit(digits[0])? * 16 + digit(digits[1])?) as u8);
                at += 2;
            }
            b'+' if plus => out.push(b' '),
            byte => out.push(byte),
        }
        at += 1;
    }
    if out.contains(&0) {
        return None;
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(target: &str) -> Query {
        Query::parse(target, Vec::new()).unwrap()
    }

    #[test]
    fn escapes_are_undone_once() {
        let asked = query("/api/%74ensor?node=conv1%2Fweight&run=a+b%2Bc&bare&x=%2525#part");
        assert_eq!(asked.path(), "/api/tensor");
        assert_eq!(
            [asked.get("node"), asked.get("run"), asked.get("bare"), asked.get("x"), asked.get("none")],
            [Some("conv1/weight"), Some("a b+c"), Some(""), Some("%25"), None]
        );
        assert_eq!(asked.number::<u64>("x").unwrap_err().status(), 400);
    }

    #[test]
    fn what_is_no_target_is_none() {
        for target in ["", "api", "http://x/", "/%", "/%4", "/%zz", "/a?b=%ff", "/%00", "*"] {
            assert_eq!(Query::parse(target, Vec::new()), None, "{target}");
        }
    }

    #[test]
    fn the_order_of_values_is_no_other_question() {
        assert_eq!(query("/a?x=1&y=2").key(), query("/a?y=2&x=1").key());
        assert_ne!(query("/a?x=1&y=2").key(), query("/a?x=1&y=3").key());
        assert_ne!(query("/a").key(), query("/a").with_body(vec![1]).key());
    }
}
