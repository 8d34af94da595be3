//! JSON of any size: the objects in the lists of one great object, one after the other, without all of it in memory.

use std::io::{BufRead, BufReader, Read};

use serde_json::Value;

/// No element of a list may be larger than this: 64 MiB.
const MOST_BYTES: usize = 64 << 20;
/// Nor nested deeper.
const MOST_DEEP: usize = 120;

/// Calls `hear` with the name of its list and the value of each object in a list `{"name": [..]}` of the text; `lists` hears of
/// each list. Between them it looks at brackets, quotes and commas alone.
///
/// # Errors
/// If the text is cut off or no such JSON; where and why.
pub(super) fn elements(
    from: impl Read,
    mut lists: impl FnMut(&str),
    mut hear: impl FnMut(&str, Value),
) -> Result<(), String> {
    let mut reader = BufReader::with_capacity(1 << 18, from);
    let mut scan = Scan::default();
    let mut passed = 0u64;
    loop {
        let chunk = reader.fill_buf().map_err(|error| error.to_string())?;
        if chunk.is_empty() {
            return if scan.ended { Ok(()) } else { Err(format!("it ends within a value, after {passed} bytes")) };
        }
        for (at, &byte) in chunk.iter().enumerate() {
            let found = scan.next(byte).map_err(|why| format!("{why} (byte {})", passed + at as u64 + 1))?;
            match found {
                Some(Found::List) => lists(&scan.list),
                Some(Found::Element(value)) => hear(&scan.list, value),
                None => {}
            }
        }
        let count = chunk.len();
        passed += count as u64;
        reader.consume(count);
    }
}

enum Found {
    List,
    Element(Value),
}

/// Where in the text we are.
#[derive(Default)]
struct Scan {
    /// The brackets that are open.
    open: Vec<u8>,
    in_string: bool,
    escaped: bool,
    /// The last string directly in the great object: the name of what follows.
    name: Vec<u8>,
    /// The list that we are in.
    list: String,
    in_list: bool,
    /// The bytes of the element that we are in.
    element: Vec<u8>,
    ended: bool,
}

impl Scan {
    fn next(&mut self, byte: u8) -> Result<Option<Found>, String> {
        let within = self.in_list && self.open.len() > 2;
        if within {
            self.element.push(byte);
            if self.element.len() > MOST_BYTES {
                return Err(format!("an element of {} is larger than {MOST_BYTES} bytes", self.list));
            }
        }
        if self.in_string {
            self.string(byte);
            return Ok(None);
        }
        match byte {
            b'"' if !self.open.is_empty() => {
                self.in_string = true;
                if self.open.len() == 1 {
                    self.name.clear();
                }
                Ok(None)
            }
            b'{' | b'[' => self.opened(byte),
            b'}' | b']' => self.closed(byte),
            b' ' | b'\t' | b'\r' | b'\n' => Ok(None),
            b',' if !self.open.is_empty() => Ok(None),
            // Numbers and words in a list are passed over.
            _ if self.in_list && self.open.len() == 2 && (byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) => {
                Ok(None)
            }
            _ if self.open.is_empty() || self.in_list && self.open.len() == 2 => {
                Err(format!("{:?} stands where a bracket was expected", char::from(byte)))
            }
            _ => Ok(None),
        }
    }

    fn string(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
        if self.open.len() == 1 && self.in_string && self.name.len() < 64 {
            self.name.push(byte);
        }
    }

    fn opened(&mut self, bracket: u8) -> Result<Option<Found>, String> {
        if self.ended || self.open.is_empty() && bracket != b'{' {
            return Err("it is not one JSON object".to_owned());
        }
        if self.open.len() == MOST_DEEP {
            return Err(format!("it is nested deeper than {MOST_DEEP} times"));
        }
        self.open.push(bracket);
        match self.open[..] {
            [_, b'['] => {
                self.in_list = true;
                self.list = String::from_utf8_lossy(&self.name).into_owned();
                return Ok(Some(Found::List));
            }
            [_, _, bracket] if self.in_list => self.element = vec![bracket],
            _ => {}
        }
        Ok(None)
    }

    fn closed(&mut self, bracket: u8) -> Result<Option<Found>, String> {
        let opened = if bracket == b'}' { b'{' } else { b'[' };
        if self.open.pop() != Some(opened) {
            return Err(format!("{:?} closes nothing", char::from(bracket)));
        }
        match self.open.len() {
            0 => self.ended = true,
            1 => self.in_list = false,
            2 if self.in_list => {
                let value = serde_json::from_slice(&self.element).map_err(|error| error.to_string())?;
                return Ok(Some(Found::Element(value)));
            }
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<String>, String> {
        let found = std::cell::RefCell::new(Vec::new());
        elements(
            text,
            |list| found.borrow_mut().push(list.to_owned()),
            |list, value| found.borrow_mut().push(format!("{list}: {value}")),
        )?;
        Ok(found.into_inner())
    }

    const TEXT: &str = r#" {"info": {"a": [{"b": "]}"}]}, "n": 3.5e1, "t": "[{",
        "images": [{"id": 1, "f": "a\"]}"}, {"id": 2, "x": [[1, 2], {"y": null}]}], "none": [1, -2.5e3, "a]", true],
        "more": [[1], {}]}
        "#;

    #[test]
    fn the_objects_of_the_lists_come_one_by_one() {
        let found = read(TEXT.as_bytes()).unwrap();
        let wanted = [
            "images",
            r#"images: {"f":"a\"]}","id":1}"#,
            r#"images: {"id":2,"x":[[1,2],{"y":null}]}"#,
            "none",
            "more",
            "more: [1]",
            "more: {}",
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn what_is_cut_off_or_no_such_json_is_said() {
        let whole = TEXT.trim();
        crate::fuzz::truncations(whole.as_bytes(), |cut| assert!(read(cut).is_err()));
        crate::fuzz::flips(whole.as_bytes(), 5000, |damaged| drop(read(damaged)));
        for (text, why) in [
            ("[1]", "not one JSON object"),
            ("{} {}", "not one JSON object"),
            ("{\"a\": [{\"b\": }]}", "expected value"),
            ("{\"a\": [{}; {}]}", "';' stands where"),
            ("{\"a\": [}]", "'}' closes nothing"),
            ("x", "'x' stands where a bracket"),
        ] {
            let said = read(text.as_bytes()).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
        let deep = format!("{{\"a\": {}", "[".repeat(200));
        assert!(read(deep.as_bytes()).unwrap_err().contains("nested deeper"));
    }
}
