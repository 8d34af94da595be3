//! Ctrl-C: the step is finished, a checkpoint is written, and the run can be used.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::support::Folder;

#[test]
#[cfg(unix)]
fn the_first_signal_leaves_a_checkpoint_that_loads() {
    for signal in ["-INT", "-TERM"] {
        let folder = Folder::new();
        let arguments = ["train", "digits", "--epochs", "1000", "--out", "mine", "--json"];
        let mut child = folder.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert!(line.contains("\"event\":\"start\""), "{line}");
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let mut rest = String::new();
        lines.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
        let end: serde_json::Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
        assert_eq!((&end["event"], &end["status"]), (&"end".into(), &"interrupted".into()));
        let eval = folder.run("eval mine --json").ok().end();
        assert_eq!(eval["step"], end["step"]);
        let said = folder.run(&format!("resume mine --epochs 1 --set train.max_steps={} --json", end["step"])).ok();
        assert_eq!((&said.end()["status"], &said.end()["step"]), (&"finished".into(), &end["step"]));
    }
}
