//! As much of XML as annotations are written in: elements and text. No document types, so no entities that grow.

/// Elements within elements are read so deep.
const MAX_DEPTH: usize = 32;

/// An element: its name, the text in it, and its children.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Element {
    pub name: String,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// The first child of this name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of this name, without the blanks around it.
    pub fn word(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }
}

/// The outermost element of a document.
pub(crate) fn parse(text: &str) -> Result<Element, String> {
    let mut open: Vec<Element> = vec![Element::default()];
    let mut rest = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    while let Some(start) = rest.find('<') {
        let (before, tag) = rest.split_at(start);
        if let Some(element) = open.last_mut() {
            element.text.push_str(&unescaped(before)?);
        }
        if let Some(comment) = tag.strip_prefix("<!--") {
            rest = after(comment, "-->")?;
        } else if let Some(cdata) = tag.strip_prefix("<![CDATA[") {
            let end = cdata.find("]]>").ok_or("a CDATA section does not end")?;
            if let Some(element) = open.last_mut() {
                element.text.push_str(&cdata[..end]);
            }
            rest = &cdata[end + 3..];
        } else if tag.starts_with("<!") {
            return Err("it has a document type, which is not read".to_owned());
        } else if let Some(instruction) = tag.strip_prefix("<?") {
            rest = after(instruction, "?>")?;
        } else {
            let (inside, behind) = tag[1..].split_once('>').ok_or("a tag does not end")?;
            rest = behind;
            if let Some(name) = inside.strip_prefix('/') {
                close(&mut open, name.trim())?;
            } else {
                let (inside, empty) = inside.strip_suffix('/').map_or((inside, false), |inside| (inside, true));
                let name = inside.split_whitespace().next().ok_or("a tag has no name")?.to_owned();
                if open.len() > MAX_DEPTH {
                    return Err(format!("elements lie in each other more than {MAX_DEPTH} deep"));
                }
                open.push(Element { name: name.clone(), ..Element::default() });
                if empty {
                    close(&mut open, &name)?;
                }
            }
        }
    }
    match (open.len(), open.pop().and_then(|mut root| root.children.pop())) {
        (1, Some(element)) => Ok(element),
        (1, None) => Err("it holds no element".to_owned()),
        _ => Err("an element does not end".to_owned()),
    }
}

fn close(open: &mut Vec<Element>, name: &str) -> Result<(), String> {
    let element = open.pop().unwrap_or_default();
    match open.last_mut() {
        Some(parent) if element.name == name => {
            parent.children.push(element);
            Ok(())
        }
        _ => Err(format!("</{name}> ends no element, <{}> is open", element.name)),
    }
}

fn after<'a>(text: &'a str, mark: &str) -> Result<&'a str, String> {
    text.split_once(mark).map(|(_, rest)| rest).ok_or(format!("{mark} is missing"))
}

/// The text with the five named and all numbered characters in place.
fn unescaped(text: &str) -> Result<String, String> {
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(';').ok_or("an & has no ;")?;
        let number = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        let letter = match name {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            _ => match name.strip_prefix("#x") {
                Some(digits) => number(digits, 16),
                None => name.strip_prefix('#').and_then(|digits| number(digits, 10)),
            },
        };
        plain.push(letter.ok_or(format!("&{name}; is not known"))?);
        plain.push_str(rest);
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "<?xml version=\"1.0\"?><!-- c --><a x='1'><b>1 &lt; &#50;</b><c/><b><![CDATA[<d>]]></b></a>\n";

    #[test]
    fn elements_and_text_are_read() {
        let a = parse(TEXT).unwrap();
        let texts: Vec<(&str, &str)> = a.children.iter().map(|c| (c.name.as_str(), c.text.as_str())).collect();
        assert_eq!((a.name.as_str(), texts), ("a", vec![("b", "1 < 2"), ("c", ""), ("b", "<d>")]));
    }

    #[test]
    fn what_is_not_well_formed_or_could_grow_is_refused() {
        for (text, why) in [
            ("<a><b></a>", "</a> ends no element, <b> is open"),
            ("<a>", "an element does not end"),
            ("", "it holds no element"),
            ("</a>", "</a> ends no element"),
            ("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>", "document type"),
            ("<a>&b;</a>", "&b; is not known"),
        ] {
            assert!(parse(text).unwrap_err().contains(why), "{text}: {:?}", parse(text));
        }
        assert!(parse(&"<a>".repeat(100_000)).unwrap_err().contains("deep"));
    }

    #[test]
    fn damaged_documents_never_panic() {
        let read = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(|text| parse(text).ok());
        crate::fuzz::truncations(TEXT.trim_end().as_bytes(), |cut| assert!(read(cut).is_none()));
        crate::fuzz::flips(TEXT.as_bytes(), 5000, |damaged| drop(read(damaged)));
    }
}
