//! Texts with a class each: a folder of `.txt` files for each class, or a table with a column of text and one of labels.

use crate::bytes::listing as names;
use crate::class_folders::{ClassFiles, Parts, TEXT, part_folders};
use crate::csv::{bad_cell, classes, label};
use crate::dataset::{OnBroken, Skipped, out_of_range};
use crate::survey::{Convention, listing};
use crate::table::{Table, TableFormat};
use crate::text::read_utf8;
use crate::{DataError, Dataset, Sample, Target};
use std::path::{Path, PathBuf};

/// Columns that are taken for the text, and for the label, if none is named.
const TEXTS: [&str; 9] =
    ["text", "sentence", "review", "message", "content", "comment", "tweet", "document", "description"];
const LABELS: [&str; 6] = ["label", "target", "class", "sentiment", "category", "y"];

/// Texts with their classes. A row is its bytes, without white space around them: `x [bytes]`, 0 to 255 each.
#[derive(Debug, Clone)]
pub struct TextRows {
    text: String,
    /// Where each row ends in `text`.
    ends: Vec<usize>,
    classes: Vec<usize>,
    names: Vec<String>,
    /// The file of each row, and its line there.
    places: Vec<(usize, Option<usize>)>,
    files: Vec<PathBuf>,
    skipped: Vec<Skipped>,
}

/// The parts of a dataset of texts.
#[derive(Debug, Clone)]
pub struct TextSplits {
    /// To learn from, or all of it.
    pub train: TextRows,
    /// To watch by.
    pub val: Option<TextRows>,
    /// To test on.
    pub test: Option<TextRows>,
}

/// Where in a table the texts stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextColumns {
    /// Columns whose cells, with a blank between, are the text; without any, it is found by its name.
    pub text: Vec<String>,
    /// The column of labels; without it, it is found by its name.
    pub label: Option<String>,
    /// Whether there is no line of names: then columns are called 0, 1, 2, ...
    pub nameless: bool,
}

impl TextSplits {
    /// The texts at `path`: a table; a folder with tables called train, val and test; or class folders. `test` is a table to test on.
    ///
    /// # Errors
    /// If it is none of these, or as for [`TextSplits::folders`] and [`TextSplits::tables`].
    pub fn open(
        path: &Path,
        test: Option<&Path>,
        columns: &TextColumns,
        on_broken: OnBroken,
    ) -> Result<TextSplits, DataError> {
        let info = path.metadata().map_err(|e| DataError::io(path, "read", e))?;
        if !info.is_dir() {
            return TextSplits::tables(path, None, test, columns, on_broken);
        }
        let (tables, classes) = (listing::table_files(path)?.len(), listing::class_dirs(path, &["txt"])?.len());
        let layout = |why: &str, help: &str| DataError::Layout {
            path: path.to_owned(),
            why: why.to_owned(),
            found: names(path),
            help: help.to_owned(),
        };
        if tables > 0 && classes > 0 {
            return Err(layout("it holds tables and folders of texts", "give the table, or put the folders elsewhere"));
        }
        if tables == 0 {
            if test.is_some() {
                return Err(layout(
                    "a table to test on goes with one to learn from, and here are folders",
                    "put the texts to test on into DIR/test/CLASS, beside DIR/train",
                ));
            }
            return TextSplits::folders(path, on_broken);
        }
        let listed = listing::list(path, Convention::Csv)?;
        let part = |name: &str| {
            let number = listed.parts.iter().position(|part| part == name);
            listed.files.iter().find(|file| number.is_some() && file.part == number).map(|file| file.path.as_path())
        };
        match (&listed.files[..], part("train"), part("val"), part("test")) {
            ([one], ..) => TextSplits::tables(&one.path, None, test, columns, on_broken),
            (_, Some(train), val, own) => TextSplits::tables(train, val, test.or(own), columns, on_broken),
            _ => Err(layout("none of its tables is called train", "call them train.csv, val.csv and test.csv")),
        }
    }

    /// `DIR/CLASS/**/*.txt`, or `DIR/{train,val,valid,test}/CLASS/**/*.txt`.
    ///
    /// # Errors
    /// If the layout is neither, a class has no text, or a text is empty or no UTF-8 and that is not to be skipped.
    pub fn folders(dir: &Path, on_broken: OnBroken) -> Result<TextSplits, DataError> {
        let Parts { train, val, test } = part_folders(dir)?;
        let train = of_folder(&train, TEXT.files(&train)?, on_broken)?;
        let part = |dir: Option<PathBuf>| {
            dir.map(|dir| of_folder(&dir, TEXT.files_like(&dir, &train.names)?, on_broken)).transpose()
        };
        let (val, test) = (part(val)?, part(test)?);
        Ok(TextSplits { train, val, test })
    }

    /// Tables, packed with gzip or not, with the same columns; a name that ends with `.tsv` means tabulators. Classes are those of all
    /// parts, in the order of [`crate::TargetKind::Class`].
    ///
    /// # Errors
    /// As for `Table::read`; if it is not clear which column is what, or a cell is empty and that is not to be skipped.
    pub fn tables(
        train: &Path,
        val: Option<&Path>,
        test: Option<&Path>,
        columns: &TextColumns,
        on_broken: OnBroken,
    ) -> Result<TextSplits, DataError> {
        let read = |path: &Path| {
            let name = path.to_string_lossy().to_ascii_lowercase();
            let delimiter = if name.trim_end_matches(".gz").ends_with(".tsv") { b'\t' } else { b',' };
            let table = Table::read(path, &TableFormat { delimiter, header: !columns.nameless, on_broken })?;
            let columns = Columns::of(&table, columns)?;
            Ok((table, columns))
        };
        let tables = [Some(train), val, test].map(|path| path.map(read).transpose());
        let [train, val, test] = tables;
        let tables = [train?, val?, test?];
        let mut labels = Vec::new();
        for (table, columns) in tables.iter().flatten() {
            // (A label that is missing is told when its row is read.)
            labels.extend((0..table.len()).filter_map(|row| label(table, row, columns.label).ok()));
        }
        let (names, numbers) = classes(&labels);
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        let rows = |part: &Option<(Table, Columns)>| {
            part.as_ref()
                .map(|(table, columns)| of_table(table, columns, &names, |label| numbers[label], on_broken))
                .transpose()
        };
        let [train, val, test] = &tables;
        match rows(train)? {
            Some(train) => Ok(TextSplits { train, val: rows(val)?, test: rows(test)? }),
            None => Err(DataError::argument("table", "there is none to learn from", "give one")),
        }
    }
}

/// Numbers of columns.
struct Columns {
    text: Vec<usize>,
    label: usize,
}

impl Columns {
    fn of(table: &Table, asked: &TextColumns) -> Result<Columns, DataError> {
        let named = |names: &[&str], but: Option<usize>| -> Vec<usize> {
            let is_named = |at: &usize| names.contains(&table.columns()[*at].to_ascii_lowercase().as_str());
            (0..table.columns().len()).filter(|at| Some(*at) != but).filter(is_named).collect()
        };
        let label = match &asked.label {
            Some(name) => table.column(name)?,
            None => match named(&LABELS, None)[..] {
                [one] => one,
                ref several => return Err(unclear(table, "labels", "data.target", several, asked.nameless)),
            },
        };
        if !asked.text.is_empty() {
            let text = asked.text.iter().map(|name| table.column(name)).collect::<Result<_, _>>()?;
            return Ok(Columns { text, label });
        }
        match named(&TEXTS, Some(label))[..] {
            [one] => Ok(Columns { text: vec![one], label }),
            [] if table.columns().len() == 2 => Ok(Columns { text: vec![1 - label], label }),
            ref several => Err(unclear(table, "text", "data.text", several, asked.nameless)),
        }
    }
}

/// Which column is what must be asked.
fn unclear(table: &Table, what: &str, setting: &str, several: &[usize], nameless: bool) -> DataError {
    const SHOWN: usize = 12;
    let named = |columns: &mut dyn Iterator<Item = usize>| -> Vec<String> {
        columns.map(|at| table.columns()[at].chars().take(40).collect()).collect()
    };
    let why = match several {
        [] => format!("no column is named as one of {what} is"),
        several => format!("which column holds the {what}: {}?", named(&mut several.iter().copied()).join(" or ")),
    };
    let columns = named(&mut (0..table.columns().len().min(SHOWN)));
    let header = if nameless {
        ""
    } else {
        "; if the first line is a row and no names, --set data.header=false, and columns are called 0, 1, 2"
    };
    let help = format!("say it with --set {setting}=COLUMN, of {}{header}", columns.join(", "));
    DataError::broken(table.path(), "CSV", why, help)
}

fn of_table(
    table: &Table,
    columns: &Columns,
    names: &[String],
    class: impl Fn(&str) -> usize,
    on_broken: OnBroken,
) -> Result<TextRows, DataError> {
    let mut rows = TextRows::empty(names, vec![table.path().to_owned()]);
    rows.skipped.extend_from_slice(table.skipped());
    for row in 0..table.len() {
        let cells: Vec<&str> = columns.text.iter().map(|&column| table.cell(row, column)).collect();
        let text = match cells.join(" ").trim() {
            "" => Err(bad_cell(table, row, columns.text[0], "there is no text".to_owned())),
            text => Ok(text.to_owned()),
        };
        match text.and_then(|text| Ok((text, label(table, row, columns.label)?))) {
            Ok((text, label)) => rows.push(&text, class(label), (0, Some(table.line(row)))),
            Err(error) if on_broken == OnBroken::Fail => return Err(error),
            Err(error) => {
                let (path, line) = (table.path().to_owned(), Some(table.line(row)));
                rows.skipped.push(Skipped { path, line, why: error.to_string() });
            }
        }
    }
    rows.skipped.sort_by_key(|skipped| skipped.line);
    if rows.is_empty() {
        let first = rows.skipped.first().map_or("check that this is the right file".to_owned(), |skipped| {
            format!("the first problem: {}", skipped.why)
        });
        let why = format!("no row is left of {}", rows.skipped.len());
        return Err(DataError::broken(table.path(), "CSV", why, first));
    }
    Ok(rows)
}

fn of_folder(dir: &Path, files: ClassFiles, on_broken: OnBroken) -> Result<TextRows, DataError> {
    let mut rows = TextRows::empty(&files.names, Vec::new());
    for file in &files.found {
        match read_row(&file.path) {
            Ok(text) => {
                rows.files.push(file.path.clone());
                rows.push(&text, file.class, (rows.files.len() - 1, None));
            }
            Err(error) if on_broken == OnBroken::Fail => return Err(error),
            Err(error) => {
                rows.skipped.push(Skipped { path: file.path.clone(), line: None, why: error.to_string() });
            }
        }
    }
    TEXT.none_broken(dir, &files, rows.classes.iter().copied())?;
    Ok(rows)
}

/// The text of a file, without the white space around it.
pub(crate) fn read_row(path: &Path) -> Result<String, DataError> {
    // A pipe would be waited for without end.
    if path.metadata().is_ok_and(|data| !data.is_file()) {
        return Err(DataError::broken(path, "text", "it is no regular file", "remove it"));
    }
    match read_utf8(path)?.trim() {
        "" => Err(DataError::broken(path, "text", "it is empty", "remove it, or have broken files skipped")),
        text => Ok(text.to_owned()),
    }
}

impl TextRows {
    fn empty(names: &[String], files: Vec<PathBuf>) -> TextRows {
        TextRows {
            text: String::new(),
            ends: Vec::new(),
            classes: Vec::new(),
            names: names.to_vec(),
            places: Vec::new(),
            files,
            skipped: Vec::new(),
        }
    }

    fn push(&mut self, text: &str, class: usize, place: (usize, Option<usize>)) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
        self.classes.push(class);
        self.places.push(place);
    }

    /// The files that were read, each with the class of all that is in it, if it is of one.
    pub fn files(&self) -> impl Iterator<Item = (&Path, Option<usize>)> {
        // A file of a folder is a row; a table is one file.
        let class = |file: usize| self.places.get(file).and_then(|place| place.1.is_none().then(|| self.classes[file]));
        self.files.iter().enumerate().map(move |(file, path)| (path.as_path(), class(file)))
    }

    fn row(&self, row: usize) -> Result<&str, DataError> {
        self.words(row).ok_or_else(|| out_of_range(row, self.len()))
    }
}

impl Dataset for TextRows {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, row: usize) -> Result<Sample, DataError> {
        let x: Vec<f32> = self.row(row)?.bytes().map(f32::from).collect();
        Ok(Sample { shape: vec![x.len()], x, target: self.target(row)? })
    }

    fn class_names(&self) -> &[String] {
        &self.names
    }

    fn id(&self, row: usize) -> String {
        match self.places.get(row) {
            Some((file, Some(line))) => format!("{}:{line}", self.files[*file].display()),
            Some((file, None)) => self.files[*file].display().to_string(),
            None => format!("row {row}"),
        }
    }

    fn content_hash(&self, row: usize) -> Result<[u8; 32], DataError> {
        self.row(row).map(|text| hmac_sha256::Hash::hash(text.as_bytes()))
    }

    fn target(&self, row: usize) -> Result<Target, DataError> {
        self.row(row).map(|_| Target::Class(self.classes[row]))
    }

    fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    fn words(&self, row: usize) -> Option<&str> {
        let end = *self.ends.get(row)?;
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[start..end])
    }
}

#[cfg(test)]
mod tests;
