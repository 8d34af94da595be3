use super::*;
use flate2::{Compression, write::GzEncoder};
use std::io::Write;

/// A folder that disappears with its owner.
struct Temp(PathBuf);

impl Temp {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("glassbox-texts-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Temp(dir)
    }

    fn file(self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self
    }

    fn shown(&self, error: DataError) -> String {
        error.to_string().replace(&self.0.display().to_string(), "DIR")
    }

    fn folders(&self, on_broken: OnBroken) -> Result<TextSplits, String> {
        TextSplits::folders(&self.0, on_broken).map_err(|error| self.shown(error))
    }

    fn table(&self, columns: &TextColumns, on_broken: OnBroken) -> Result<TextRows, String> {
        let splits = TextSplits::tables(&self.0.join("t.csv"), None, None, columns, on_broken);
        splits.map(|splits| splits.train).map_err(|error| self.shown(error))
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn all(rows: &TextRows) -> Vec<(&str, usize)> {
    (0..rows.len()).map(|row| (rows.words(row).unwrap(), rows.classes[row])).collect()
}

#[test]
fn folders_are_classes_and_parts_are_respected() {
    let dir = Temp::new("folders")
        .file("train/good/2.txt", " fine\n")
        .file("train/good/1.txt", "\u{feff}nice")
        .file("train/bad/a/1.txt", "dull …")
        .file("test/bad/1.txt", "dull …")
        .file("train/good/notes.md", "not read");
    let TextSplits { train, val, test } = dir.folders(OnBroken::Fail).unwrap();
    assert_eq!(train.class_names(), ["bad", "good"]);
    assert_eq!(all(&train), [("dull …", 0), ("nice", 1), ("fine", 1)]);
    let test = test.unwrap();
    assert_eq!((val.is_none(), all(&test), test.class_names()), (true, vec![("dull …", 0)], train.class_names()));
    assert_eq!(train.content_hash(0).unwrap(), test.content_hash(0).unwrap());
    let sample = train.get(1).unwrap();
    let bytes = b"nice".map(f32::from).to_vec();
    assert_eq!(sample, Sample { x: bytes, shape: vec![4], target: Target::Class(1) });
    assert!(train.id(2).ends_with("good/2.txt") && train.get(3).is_err());
    assert_eq!(train.files().map(|(_, class)| class).collect::<Vec<_>>(), [Some(0), Some(1), Some(1)]);
}

#[test]
fn a_file_that_is_no_text_is_named_or_skipped() {
    let dir =
        Temp::new("broken").file("a/1.txt", "x").file("b/1.txt", b"ab\xff").file("b/2.txt", " \n").file("b/3.txt", "y");
    let error = dir.folders(OnBroken::Fail).unwrap_err();
    assert!(error.starts_with("broken text file DIR/b/1.txt: byte 2 is no UTF-8"), "{error}");
    let rows = dir.folders(OnBroken::Skip).unwrap().train;
    assert_eq!((all(&rows), rows.skipped().len()), (vec![("x", 0), ("y", 1)], 2));
    assert!(rows.skipped()[1].why.contains("it is empty"));
    let error = Temp::new("none").file("a/1.txt", "x").file("b/1.png", "y").folders(OnBroken::Skip).unwrap_err();
    assert!(
        error.contains("the class b holds no text\n  found: a (1 texts), b (0 texts)\n  help: add .txt"),
        "{error}"
    );
}

#[test]
fn columns_are_found_by_their_names_and_fields_may_hold_lines() {
    let dir = Temp::new("named").file("t.csv", "id,Sentiment,Review\n7,pos,\"one, \"\"two\"\"\nthree\"\n8,neg,four\n");
    let rows = dir.table(&TextColumns::default(), OnBroken::Fail).unwrap();
    assert_eq!(all(&rows), [("one, \"two\"\nthree", 1), ("four", 0)]);
    assert!(rows.id(1).ends_with("t.csv:4"), "{}", rows.id(1));
    assert_eq!(rows.files().map(|(_, class)| class).collect::<Vec<_>>(), [None]);
    // Of two columns the one that is no label is the text.
    let dir = Temp::new("two").file("t.csv", "a,label\nx,1\ny,0\n");
    assert_eq!(all(&dir.table(&TextColumns::default(), OnBroken::Fail).unwrap()), [("x", 1), ("y", 0)]);
}

#[test]
fn columns_without_names_are_numbered_and_joined_and_tables_may_be_packed() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(b"3,Title,Body\n10,,Rest\n").unwrap();
    let dir = Temp::new("packed").file("t.csv.gz", packed.finish().unwrap()).file("u.csv", "9,a,b\n");
    let columns = TextColumns { text: vec!["1".into(), "2".into()], label: Some("0".into()), nameless: true };
    let (train, test) = (dir.0.join("t.csv.gz"), dir.0.join("u.csv"));
    let TextSplits { train, test, .. } =
        TextSplits::tables(&train, None, Some(&test), &columns, OnBroken::Fail).unwrap();
    // Classes are of both parts, as numbers.
    assert_eq!(train.class_names(), ["3", "9", "10"]);
    assert_eq!((all(&train), all(&test.unwrap())), (vec![("Title Body", 0), ("Rest", 2)], vec![("a b", 1)]));
}

#[test]
fn what_is_not_clear_is_asked_with_the_columns_that_there_are() {
    let error = |text: &str, columns: &TextColumns| {
        Temp::new("unclear").file("t.csv", text).table(columns, OnBroken::Fail).unwrap_err()
    };
    let unclear = error("text,review,label\na,b,1\n", &TextColumns::default());
    assert!(unclear.contains("which column holds the text: text or review?"), "{unclear}");
    assert!(unclear.contains("--set data.text=COLUMN, of text, review, label; if the first line"), "{unclear}");
    let unclear = error("text,label,class\na,b,1\n", &TextColumns::default());
    assert!(unclear.contains("which column holds the labels: label or class?"), "{unclear}");
    let unclear = error("3,Wall Street,Bears\n", &TextColumns::default());
    assert!(unclear.contains("no column is named as one of labels is") && unclear.contains("data.header=false"));
    let wrong = TextColumns { text: vec!["words".to_owned()], ..TextColumns::default() };
    assert!(error("text,label\na,b\n", &wrong).contains("there is no column 'words'"));
}

#[test]
fn a_row_without_text_or_label_is_named_or_skipped() {
    let dir = Temp::new("rows").file("t.csv", "text,label\n\"a\nb\",1\n ,0\nc,\nd,0\n");
    let error = dir.table(&TextColumns::default(), OnBroken::Fail).unwrap_err();
    assert!(error.starts_with("DIR/t.csv:4: column 'text': there is no text"), "{error}");
    let rows = dir.table(&TextColumns::default(), OnBroken::Skip).unwrap();
    assert_eq!(all(&rows), [("a\nb", 1), ("d", 0)]);
    assert_eq!(rows.skipped().iter().map(|skipped| skipped.line).collect::<Vec<_>>(), [Some(4), Some(5)]);
}
