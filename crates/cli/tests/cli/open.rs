//! `open`: what it says, what it serves, and what it refuses.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

use crate::support::{Folder, SHORT};
use serde_json::Value;

/// The studio of a command, until it is dropped.
struct Open {
    child: Child,
    said: BufReader<std::process::ChildStdout>,
}

impl Open {
    fn new(folder: &Folder, line: &str) -> Open {
        let mut command = folder.command(&line.split_whitespace().collect::<Vec<_>>());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Open { child, said }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The first object that it says.
    fn event(&mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line:?}"))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the studio at `url` (with its token) answers to a question.
fn ask(url: &str, target: &str) -> Value {
    let (address, token) = url.strip_prefix("http://").unwrap().split_once("/?token=").unwrap();
    let port = address.rsplit_once(':').unwrap().1;
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {target} HTTP/1.1\r\nHost: {address}\r\nCookie: glassbox-{port}={token}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {answer}"))
}

#[test]
fn runs_a_run_and_a_model_without_its_run_are_opened() {
    let folder = Folder::new();
    folder.run(&format!("{SHORT} --out runs/mine")).ok();
    let of = |line: &str| {
        let mut open = Open::new(&folder, &format!("open {line} --port 0 --json"));
        let event = open.event();
        let listed = ask(event["url"].as_str().unwrap(), "/api/runs");
        (event, listed, open)
    };
    // Without a word, the folder runs; with it, the same; then the run alone.
    for (line, id) in [("", "mine"), ("runs", "mine"), ("runs/mine", "mine")] {
        let (event, listed, _open) = of(line);
        assert_eq!((&event["event"], &event["runs"], &event["model"]), (&"open".into(), &1.into(), &false.into()));
        assert_eq!((&listed["runs"][0]["id"], &listed["runs"][0]["step"]), (&id.into(), &6.into()), "{listed}");
    }
    // The model of its last step, away from the run.
    let checkpoint = folder.join("runs/mine/checkpoints/step-000006");
    std::fs::copy(checkpoint.join("model.safetensors"), folder.join("mine.safetensors")).unwrap();
    std::fs::rename(&checkpoint, folder.join("kept")).unwrap();
    std::fs::remove_dir_all(folder.join("runs")).unwrap();
    for name in ["mine.safetensors", "kept", "kept/model.safetensors"] {
        let (event, listed, _open) = of(name);
        assert_eq!((&event["runs"], &event["model"]), (&0.into(), &true.into()), "{event}");
        let about = &listed["runs"][0];
        assert_eq!((&about["alone"], &about["recipe"], &about["step"]), (&true.into(), &"digits".into(), &6.into()));
        let url = event["url"].as_str().unwrap();
        let weights = ask(url, &format!("/api/weights?run={}&step=6", about["id"].as_str().unwrap()));
        assert_eq!(weights["weight"]["shape"], serde_json::json!([6, 1, 5, 5]), "{weights}");
    }
    // In words.
    let mut open = Open::new(&folder, "open kept --port 0");
    let place = std::fs::canonicalize(folder.join("kept")).unwrap();
    assert_eq!(open.line(), format!("a model without its run: {}", place.display()));
    let url = open.line();
    assert!(url.starts_with("open http://127.0.0.1:") && url.contains("/?token="), "{url}");
    assert_eq!(open.line(), "Ctrl-C ends it; nothing is written");
}

#[test]
fn what_cannot_be_opened_is_said() {
    let folder = Folder::new();
    std::fs::write(folder.join("notes.txt"), "no model").unwrap();
    std::fs::create_dir(folder.join("empty")).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (line, code, words) in [
        ("open".to_owned(), 2, "there is no folder runs here"),
        ("open nowhere".to_owned(), 2, "nowhere does not exist"),
        ("open notes.txt".to_owned(), 6, "no safetensors file"),
        (format!("open empty --port {port}"), 2, "choose another port with --port, or 0 for a free one"),
        ("open empty --bind 203.0.113.7 --port 0".to_owned(), 2, "cannot listen at 203.0.113.7"),
        ("open empty --threads 0".to_owned(), 2, "1..=1024"),
    ] {
        let outcome = folder.run(&line);
        assert!(outcome.code == code && outcome.err.contains(words), "{line}: {outcome:?}");
    }
    // No runs yet is no mistake: they may come.
    let mut open = Open::new(&folder, "open empty --port 0 --json");
    let event = open.event();
    assert_eq!((&event["runs"], &event["model"]), (&0.into(), &false.into()), "{event}");
}
