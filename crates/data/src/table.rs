//! Tables of text cells: CSV as of RFC 4180 (quotes, doubled quotes, line breaks in quotes), packed with gzip or not. Lines end
//! with LF, CR LF, or, as old programs wrote them, CR alone.

use crate::DataError;
use crate::bytes::{gunzip, read_file};
use crate::dataset::{OnBroken, Skipped};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// No table may be larger than this, unpacked: 1 GiB.
const MAX_TEXT: u64 = 1 << 30;

/// How the text of a table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableFormat {
    /// Between cells: `b','`, `b';'`, `b'\t'`, ...
    pub delimiter: u8,
    /// The first row holds the names of the columns. Otherwise they are called 0, 1, 2, ...
    pub header: bool,
    /// What to do with a row of more or fewer cells than there are columns.
    pub on_broken: OnBroken,
}

impl Default for TableFormat {
    /// Commas, a header, an error on broken rows.
    fn default() -> Self {
        TableFormat { delimiter: b',', header: true, on_broken: OnBroken::Fail }
    }
}

/// A table of text cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    path: PathBuf,
    columns: Vec<String>,
    /// Line of each row, from 1.
    lines: Vec<usize>,
    /// All cells, row after row.
    text: String,
    /// Where each cell ends in `text`.
    ends: Vec<usize>,
    skipped: Vec<Skipped>,
}

impl Table {
    /// Reads a table; gzip is recognised by its first bytes.
    ///
    /// # Errors
    /// If the file cannot be read, is not UTF-8, has a quote that does not close, no columns, two of the same name, or
    /// a row of another length that is not to be skipped.
    pub fn read(path: &Path, format: &TableFormat) -> Result<Self, DataError> {
        Table::parse(read_file(path, MAX_TEXT)?, path, format)
    }

    /// As `read`, from bytes; `path` is only for messages.
    ///
    /// # Errors
    /// As for `read`.
    pub fn parse(bytes: Vec<u8>, path: &Path, format: &TableFormat) -> Result<Self, DataError> {
        let bytes = gunzip(bytes, path, MAX_TEXT)?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let line = 1 + e.as_bytes()[..e.utf8_error().valid_up_to()].iter().filter(|&&b| b == b'\n').count();
            DataError::broken(path, "CSV", format!("line {line} is not UTF-8"), "save it again as UTF-8")
        })?;
        let rest = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
        let mut reader = Reader { rest, line: 1, delimiter: format.delimiter, line_end: line_end(rest) };
        let mut table = Table {
            path: path.to_owned(),
            columns: vec![],
            lines: vec![],
            text: String::new(),
            ends: vec![],
            skipped: vec![],
        };
        let mut cells: Vec<String> = Vec::new();
        while let Some(line) = reader.row(&mut cells).map_err(|(line, why)| {
            DataError::broken(path, "CSV", format!("line {line}: {why}"), "write \"\" for a quote within quotes")
        })? {
            if table.columns.is_empty() {
                table.columns = match format.header {
                    true => cells.iter().map(|name| name.trim().to_owned()).collect(),
                    false => (0..cells.len()).map(|i| i.to_string()).collect(),
                };
                table.names_differ()?;
                if format.header {
                    continue;
                }
            }
            table.push(line, &cells, format.on_broken)?;
        }
        if table.columns.is_empty() {
            return Err(DataError::broken(path, "CSV", "it holds no row", "check that this is the right file"));
        }
        Ok(table)
    }

    /// Names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The column of this name.
    ///
    /// # Errors
    /// If there is none; the error lists those that there are.
    pub fn column(&self, name: &str) -> Result<usize, DataError> {
        self.columns.iter().position(|column| column == name).ok_or_else(|| {
            const SHOWN: usize = 30;
            let more = if self.columns.len() > SHOWN { ", ..." } else { "" };
            let shown: Vec<&str> = self.columns.iter().take(SHOWN).map(String::as_str).collect();
            DataError::broken(
                &self.path,
                "CSV",
                format!("there is no column '{name}'"),
                format!("the columns are {}{more}; if that is one long name, set another delimiter", shown.join(", ")),
            )
        })
    }

    /// Number of rows, without the header.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// True if there are no rows.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The text of a cell, without the blanks around it; panics outside the table.
    pub fn cell(&self, row: usize, column: usize) -> &str {
        let index = row * self.columns.len() + column;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.text[start..self.ends[index]].trim()
    }

    /// Whether nothing stands in a cell, or a word that says so: na, nan, null, `?`; panics outside the table.
    pub fn is_gap(&self, row: usize, column: usize) -> bool {
        is_gap(self.cell(row, column))
    }

    /// Line of the file where a row starts, from 1; panics outside the table.
    pub fn line(&self, row: usize) -> usize {
        self.lines[row]
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Rows that were left out, because they had more or fewer cells than there are columns.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    fn names_differ(&self) -> Result<(), DataError> {
        let mut seen = HashSet::new();
        match self.columns.iter().find(|name| !seen.insert(name.as_str())) {
            None => Ok(()),
            Some(name) => Err(DataError::broken(
                &self.path,
                "CSV",
                format!("two columns are called '{name}'"),
                "give every column its own name, or read the file as one without a header",
            )),
        }
    }

    fn push(&mut self, line: usize, cells: &[String], on_broken: OnBroken) -> Result<(), DataError> {
        if cells.len() == self.columns.len() {
            for cell in cells {
                self.text.push_str(cell);
                self.ends.push(self.text.len());
            }
            self.lines.push(line);
            return Ok(());
        }
        let why = format!("line {line}: expected {} cells, found {}", self.columns.len(), cells.len());
        match on_broken {
            OnBroken::Fail => Err(DataError::broken(
                &self.path,
                "CSV",
                why,
                "correct the line, put cells that contain the delimiter into quotes, or have broken rows skipped",
            )),
            OnBroken::Skip => {
                self.skipped.push(Skipped { path: self.path.clone(), line: Some(line), why });
                Ok(())
            }
        }
    }
}

pub(crate) fn is_gap(cell: &str) -> bool {
    cell.is_empty() || ["na", "nan", "null", "?"].iter().any(|word| cell.eq_ignore_ascii_case(word))
}

/// What ends the lines of a text: LF (before which a CR is left out), or CR if the first line ends with one alone.
fn line_end(text: &str) -> u8 {
    let (mut quoted, bytes) = (false, text.as_bytes());
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'\r' if !quoted && bytes.get(at + 1) != Some(&b'\n') => return b'\r',
            b'\n' if !quoted => break,
            _ => {}
        }
    }
    b'\n'
}

/// What is left of the text.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
    delimiter: u8,
    line_end: u8,
}

impl Reader<'_> {
    /// Reads the next row that is not blank into `cells`, and returns its line; `None` at the end.
    fn row(&mut self, cells: &mut Vec<String>) -> Result<Option<usize>, (usize, &'static str)> {
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            cells.clear();
            let line = self.line;
            while self.cell(cells)? {}
            if cells.len() > 1 || !cells[0].trim().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    /// Reads a cell; true if another one follows in its row.
    fn cell(&mut self, cells: &mut Vec<String>) -> Result<bool, (usize, &'static str)> {
        let start = self.line;
        let mut cell = String::new();
        let quoted = self.rest.starts_with('"');
        if let Some(mut rest) = self.rest.strip_prefix('"') {
            loop {
                let (part, after) = rest.split_once('"').ok_or((start, "a quote does not close"))?;
                cell.push_str(part);
                match after.strip_prefix('"') {
                    Some(more) => {
                        cell.push('"');
                        rest = more;
                    }
                    None => {
                        self.rest = after;
                        break;
                    }
                }
            }
            self.line += cell.matches(char::from(self.line_end)).count();
        }
        let (bytes, delimiter, line_end) = (self.rest.as_bytes(), self.delimiter, self.line_end);
        let end = bytes.iter().position(|&b| b == delimiter || b == line_end).unwrap_or(bytes.len());
        let plain = self.rest.get(..end).ok_or((start, "the delimiter is no single character"))?;
        let plain = plain.strip_suffix('\r').unwrap_or(plain);
        if !quoted {
            cell.push_str(plain);
        } else if !plain.trim().is_empty() {
            return Err((start, "text follows a closing quote"));
        }
        cells.push(cell);
        let more = bytes.get(end) == Some(&delimiter);
        self.line += usize::from(bytes.get(end) == Some(&line_end));
        self.rest = self.rest.get(end + 1..).unwrap_or("");
        Ok(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn table(text: &str) -> Result<Table, String> {
        Table::parse(text.as_bytes().to_vec(), Path::new("t.csv"), &TableFormat::default()).map_err(|e| e.to_string())
    }

    fn row(table: &Table, row: usize) -> Vec<&str> {
        (0..table.columns().len()).map(|column| table.cell(row, column)).collect()
    }

    #[test]
    fn quotes_line_ends_blanks_and_the_byte_order_mark_are_understood() {
        let table = table("\u{FEFF}a, b ,c\r\n1,\"x, \"\"y\"\"\nz\",3\r\n\r\n  4 ,\"\",\n5,6,7").unwrap();
        assert_eq!(table.columns(), ["a", "b", "c"]);
        assert_eq!(row(&table, 0), ["1", "x, \"y\"\nz", "3"]);
        assert_eq!(row(&table, 1), ["4", "", ""]);
        assert_eq!(row(&table, 2), ["5", "6", "7"]);
        assert_eq!((0..3).map(|r| table.line(r)).collect::<Vec<_>>(), [2, 5, 6]);
    }

    #[test]
    fn lines_may_end_with_cr_alone() {
        let table = table("\u{FEFF}a,\"b\nc\"\r1,2\r\r\"x\ry\",4\r5,6").unwrap();
        assert_eq!((table.columns(), table.len()), (&["a".to_owned(), "b\nc".to_owned()][..], 3));
        assert_eq!(
            (row(&table, 0), row(&table, 1), row(&table, 2)),
            (vec!["1", "2"], vec!["x\ry", "4"], vec!["5", "6"])
        );
        assert_eq!((0..3).map(|r| table.line(r)).collect::<Vec<_>>(), [2, 4, 6]);
        // A CR within the lines of another file ends nothing.
        let table = self::table("a,b\n1\r,2\n").unwrap();
        assert_eq!(row(&table, 0), ["1", "2"]);
    }

    #[test]
    fn a_row_of_another_length_is_an_error_with_its_line_or_skipped() {
        let text = "a,b\n1,2\n3\n4,5\n";
        assert!(table(text).unwrap_err().starts_with("broken CSV file t.csv: line 3: expected 2 cells, found 1"));
        let format = TableFormat { on_broken: OnBroken::Skip, ..TableFormat::default() };
        let table = Table::parse(text.as_bytes().to_vec(), Path::new("t.csv"), &format).unwrap();
        assert_eq!((table.len(), table.skipped()[0].line), (2, Some(3)));
    }

    #[test]
    fn text_that_is_no_table_is_an_error_with_its_line() {
        assert!(table("a,b\n1,\"2\n3").unwrap_err().contains("t.csv: line 2: a quote does not close"));
        assert!(table("a,b\n1,\"2\"x\n").unwrap_err().contains("line 2: text follows a closing quote"));
        assert!(table("a,a\n1,2\n").unwrap_err().contains("two columns are called 'a'"));
        assert!(table("\n \n").unwrap_err().contains("it holds no row"));
        let bytes = b"a,b\n1,\xFF\n".to_vec();
        let error = Table::parse(bytes, Path::new("t.csv"), &TableFormat::default()).unwrap_err().to_string();
        assert!(error.contains("line 2 is not UTF-8"), "{error}");
    }

    #[test]
    fn without_a_header_columns_are_numbered_and_other_delimiters_work() {
        let format = TableFormat { delimiter: b'\t', header: false, ..TableFormat::default() };
        let table = Table::parse(b"1\t2\n3\t4\n".to_vec(), Path::new("t.tsv"), &format).unwrap();
        assert_eq!((table.columns(), table.len()), (&["0".to_owned(), "1".to_owned()][..], 2));
        assert_eq!(table.column("1").unwrap(), 1);
        let error = table.column("y").unwrap_err().to_string();
        assert!(error.contains("no column 'y'\n  help: the columns are 0, 1"), "{error}");
    }

    #[test]
    fn all_members_of_a_gzip_stream_are_read_and_what_is_no_member_is_an_error() {
        let packed = |text: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let read = |bytes: Vec<u8>| Table::parse(bytes, Path::new("t.csv.gz"), &TableFormat::default());
        let whole = [packed(b"a,b\n1,2\n"), packed(b"3,4\n")].concat();
        assert_eq!(read(whole).unwrap().len(), 2);
        let error = read([packed(b"a,b\n1,2\n"), b"rest".to_vec()].concat()).unwrap_err().to_string();
        assert!(error.starts_with("broken gzip file t.csv.gz: unpacking stopped after 8 bytes"), "{error}");
    }

    #[test]
    fn damaged_tables_never_panic() {
        let text = "a,b,c\n1,\"x \"\"y\"\"\n\",3\n4.5,é,6\r\n".as_bytes();
        for format in [
            TableFormat::default(),
            TableFormat { header: false, on_broken: OnBroken::Skip, delimiter: b';' },
            TableFormat { delimiter: 0xA9, ..TableFormat::default() },
        ] {
            let parse = |bytes: &[u8]| drop(Table::parse(bytes.to_vec(), Path::new("t.csv"), &format));
            crate::fuzz::truncations(text, parse);
            crate::fuzz::flips(text, 5000, parse);
        }
    }
}
