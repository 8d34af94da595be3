//! A folder of tiny runs to look at, and a client that says exactly what it is told.

#![allow(dead_code)]

#[path = "../../../zoo/tests/few/mod.rs"]
mod few;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use cpu::Cpu;
use few::few_digits;
use glassbox_studio::server::Stop;
use glassbox_studio::{Limits, Query, Server, Studio};
use serde_json::Value;
use train::{Source, fit};

/// A folder that is removed at the end.
pub struct Place(pub PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A folder with `runs/tiny` (a LeNet with dropout and averages, 40 steps on 60 digits), and a file that no answer may hold.
pub fn place(name: &str) -> Place {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let place = std::env::temp_dir().join(format!("glassbox-studio-{name}-{number}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&place);
    let data = place.join("data");
    few_digits(&data, 60);
    fs::write(place.join("secret.txt"), SECRET).unwrap();
    fs::create_dir_all(place.join("runs")).unwrap();
    let recipe = zoo::find("digits").unwrap();
    let mut settings = (recipe.settings)();
    for (name, value) in [
        ("train.epochs", "8"),
        ("train.batch", "8"),
        ("train.average", "0.9"),
        ("model.dropout", "0.1"),
        ("ledger.hash_every", "3"),
        ("checkpoint.every", "13"),
        ("checkpoint.keep", "2"),
    ] {
        settings.set(name, value, Source::Flag("test".to_owned())).unwrap();
    }
    let mut job = recipe.job(settings, Some(&data)).unwrap();
    let run = place.join("runs").join("tiny");
    fit(&Cpu::new(1).unwrap(), &mut job, Some(&run), "test", &AtomicBool::new(false), &mut |_| ()).unwrap();
    Place(place)
}

/// What stands in a file beside the runs.
pub const SECRET: &str = "not for the page";

/// A studio over the runs of a place.
pub fn studio(place: &Place) -> Arc<Studio> {
    Arc::new(Studio::new(&place.0.join("runs"), Limits::default()).unwrap())
}

/// The JSON that a studio answers, and the status.
pub fn ask(studio: &Studio, target: &str) -> (u16, Value) {
    said(studio, false, target, Vec::new())
}

/// What a studio makes of an input that is sent to it.
pub fn post(studio: &Studio, target: &str, body: Vec<u8>) -> (u16, Value) {
    said(studio, true, target, body)
}

/// A slow machine is asked again, as the page does.
fn said(studio: &Studio, post: bool, target: &str, body: Vec<u8>) -> (u16, Value) {
    let query = Query::parse(target, body).unwrap();
    loop {
        let response = studio.answer(post, &query, &|| false);
        if response.status != 202 {
            return (response.status, serde_json::from_slice(&response.body).unwrap_or(Value::Null));
        }
    }
}

/// A server that runs until it is dropped.
pub struct Running {
    pub address: SocketAddr,
    pub token: String,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn new(studio: Arc<Studio>) -> Running {
        let server = Server::bind("127.0.0.1:0", studio).unwrap();
        let token = server.url().rsplit_once('=').unwrap().1.to_owned();
        let (address, stop) = (server.address(), server.stop());
        Running { address, token, stop, thread: Some(std::thread::spawn(|| server.run())) }
    }

    /// Sends bytes as they are and no more, and gives all that comes back until the other side closes or is silent.
    pub fn send(&self, bytes: &[u8], wait: Duration) -> Vec<u8> {
        self.exchange(bytes, wait, true)
    }

    /// `end`: says that no more will come. To the server that is a reader who left.
    fn exchange(&self, bytes: &[u8], wait: Duration, end: bool) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(wait)).unwrap();
        // The other side may refuse before it has read all.
        let _ = stream.write_all(bytes);
        if end {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// A well-formed GET with the cookie: status and body.
    pub fn get(&self, target: &str) -> (u16, Vec<u8>) {
        let port = self.address.port();
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\nCookie: glassbox-{port}={}\r\nConnection: close\r\n\r\n",
            self.address, self.token
        );
        parted(&self.exchange(request.as_bytes(), Duration::from_secs(60), false))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Status and body of an answer; status 0 if it is none.
pub fn parted(answer: &[u8]) -> (u16, Vec<u8>) {
    let head = answer.windows(4).position(|part| part == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let text = String::from_utf8_lossy(&answer[..head]);
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or(0);
    (status, answer[head..].to_vec())
}
