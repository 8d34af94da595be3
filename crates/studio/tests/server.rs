//! The server stands what a network may send it.

mod tiny;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use glassbox_studio::request::{Parsed, parse};
use serde_json::Value;
use tensor::RandomKey;
use tiny::{Running, SECRET, parted, place, studio};

const SHORT: Duration = Duration::from_secs(10);

/// Draws from a seed.
struct Dice {
    key: RandomKey,
    at: u64,
}

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice { key: RandomKey::new(seed).stream("requests"), at: 0 }
    }

    fn below(&mut self, count: usize) -> usize {
        self.at += 1;
        self.key.below(self.at, count as u64) as usize
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

const PATHS: &[&str] = &[
    "/",
    "/api/runs",
    "/api/run",
    "/api/curve",
    "/api/tensor",
    "/api/try",
    "/api/weights",
    "/../secret.txt",
    "/..%2fsecret.txt",
    "/%2e%2e/%2e%2e/secret.txt",
    "//secret.txt",
    "/runs/tiny/run.toml",
    "/style.css/../../secret.txt",
    "/\\..\\secret.txt",
    "/%",
    "/%zz",
    "/%00",
    "*",
    "http://x/",
    "",
    "/api/run/../../secret.txt",
    "/api/../../../secret.txt",
];
const VALUES: &[&str] = &[
    "run=tiny",
    "run=../secret.txt",
    "run=..",
    "run=/",
    "run=tiny%2f..%2f..%2fsecret.txt",
    "run=%00",
    "step=1",
    "step=-1",
    "step=99999999999999999999",
    "step=NaN",
    "node=loss",
    "node=%23",
    "node=%2399999999",
    "node=..",
    "row=1e9",
    "part=../test",
    "name=loss",
    "width=0",
    "width=99999999999",
    "from=inf",
    "to=nan",
    "smooth=-1",
    "most=18446744073709551615",
    "a",
    "=",
    "&&",
    "%",
];
const HEADERS: &[&str] = &[
    "Content-Length: 5",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Content-Length: 5, 5",
    "Transfer-Encoding: chunked",
    "Expect: 100-continue",
    "Connection: close",
    "Connection: keep-alive",
    "Upgrade: h2c",
    "Host: evil",
    "Origin: null",
    "Cookie: =;=;;",
    "X: \u{0}",
    "X",
    ": x",
    " folded: x",
    "Range: bytes=0-",
    "Accept-Encoding: gzip",
    "Sec-Fetch-Site: cross-site",
    "Te: trailers",
];
const METHODS: &[&str] = &["GET", "POST", "HEAD", "PUT", "OPTIONS", "get", "", "GET GET", "CONNECT", "\u{1}"];

/// Something like a request; `known` has host and cookie.
fn request(dice: &mut Dice, known: &str) -> Vec<u8> {
    let mut target = dice.one(PATHS).to_owned();
    for n in 0..dice.below(4) {
        target.push(if n == 0 { '?' } else { '&' });
        target.push_str(dice.one(VALUES));
    }
    // One in four is bad in each of its parts, so that what lies behind a part is reached too.
    let bad = |dice: &mut Dice| dice.below(4) == 0;
    let method = if bad(dice) { dice.one(METHODS) } else { dice.one(&["GET", "POST"]) };
    let version = if bad(dice) { dice.one(&["HTTP/1.0", "HTTP/9", "", "HTTP/1.1 x"]) } else { "HTTP/1.1" };
    let mut text = format!("{method} {target} {version}\r\n");
    if !bad(dice) {
        text.push_str(known);
    }
    for _ in 0..dice.below(3) {
        text.push_str(dice.one(HEADERS));
        text.push_str(if bad(dice) { dice.one(&["\n", "", "\r"]) } else { "\r\n" });
    }
    if dice.below(20) == 0 {
        text.push_str(&"A: b\r\n".repeat(dice.below(100)));
    }
    text.push_str(if bad(dice) { dice.one(&["\n", "", "\r"]) } else { "\r\n" });
    let mut bytes = text.into_bytes();
    for _ in 0..dice.below(8) {
        bytes.push(dice.below(256) as u8);
    }
    let changes = if bad(dice) { 1 + dice.below(3) } else { 0 };
    for _ in 0..changes {
        match dice.below(3) {
            0 if !bytes.is_empty() => {
                let at = dice.below(bytes.len());
                bytes[at] = dice.below(256) as u8;
            }
            1 => {
                let at = dice.below(bytes.len() + 1);
                bytes.truncate(at);
            }
            _ => {
                let at = dice.below(bytes.len() + 1);
                bytes.insert(at, dice.below(256) as u8);
            }
        }
    }
    bytes
}

fn leaks(body: &[u8]) -> bool {
    body.windows(SECRET.len()).any(|part| part == SECRET.as_bytes())
}

#[test]
fn a_hundred_thousand_malformed_requests_are_answered_or_refused() {
    let place = place("fuzz");
    let studio = studio(&place);
    let mut dice = Dice::new(1);
    let (mut asked, mut refused) = (0, 0);
    for number in 0..100_000 {
        let bytes = request(&mut dice, "Host: 127.0.0.1:1\r\n");
        match parse(&bytes) {
            Parsed::Whole(head, length) => {
                assert!(length <= bytes.len());
                let post = head.method == glassbox_studio::request::Method::Post;
                // A replay is tested elsewhere; a thousand of its questions are enough here.
                let is_cheap = head.query.get("run") != Some("tiny") || number % 50 == 0;
                if is_cheap {
                    let response = studio.answer(post, &head.query, &|| false);
                    assert_ne!(response.status, 500, "{}", String::from_utf8_lossy(&bytes));
                    assert!(!leaks(&response.body), "{}", String::from_utf8_lossy(&bytes));
                }
                asked += 1;
            }
            Parsed::Partial => {}
            Parsed::Bad(status) => {
                assert!((400..600).contains(&status));
                refused += 1;
            }
        }
    }
    assert!(asked > 5_000 && refused > 20_000, "{asked} {refused}");
}

#[test]
fn a_server_under_malformed_requests_loses_no_thread_and_no_file_and_tells_no_secret() {
    let place = place("sockets");
    let server = Running::new(studio(&place));
    let port = server.address.port();
    let known = format!("Host: 127.0.0.1:{port}\r\nCookie: glassbox-{port}={}\r\n", server.token);
    assert_eq!(server.get("/api/runs").0, 200);
    let mut dice = Dice::new(2);
    let mut statuses = std::collections::BTreeMap::new();
    for _ in 0..1500 {
        let answer = server.send(&request(&mut dice, &known), SHORT);
        let (status, _) = parted(&answer);
        *statuses.entry(status).or_insert(0) += 1;
        assert!(!leaks(&answer));
        assert_ne!(status, 500);
    }
    assert!(statuses.len() > 4, "{statuses:?}");
    assert_eq!(server.get("/api/runs").0, 200);
    // 1,500 connections have come and gone; other tests hold a hundred at most.
    let few = |(threads, sockets): (usize, usize)| threads < 150 && sockets < 300;
    for _ in 0..100 {
        if few(held()) {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert!(few(held()), "{:?}", held());
}

/// Threads that answer and sockets that are open in this process, if the system says so. Other tests beside this one have theirs, but
/// only for as long as they run.
fn held() -> (usize, usize) {
    let entries =
        |path: &str| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    let is_reader = |task: &PathBuf| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "reader");
    let is_socket = |file: &PathBuf| fs::read_link(file).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
    (
        entries("/proc/self/task").iter().filter(|task| is_reader(task)).count(),
        entries("/proc/self/fd").iter().filter(|file| is_socket(file)).count(),
    )
}

#[test]
fn fifty_readers_at_once_all_get_their_answers() {
    let place = place("readers");
    let server = Arc::new(Running::new(studio(&place)));
    let readers: Vec<_> = (0..50u64)
        .map(|number| {
            let server = Arc::clone(&server);
            thread::spawn(move || {
                for turn in 0..6 {
                    let step = 1 + (number * 7 + turn * 13) % 40;
                    let target = match turn % 3 {
                        0 => "/api/runs".to_owned(),
                        1 => "/api/curve?run=tiny&name=loss".to_owned(),
                        _ => format!("/api/tensor?run=tiny&step={step}&node=loss"),
                    };
                    let (status, body) = loop {
                        let answer = server.get(&target);
                        if answer.0 != 202 {
                            break answer;
                        }
                    };
                    assert_eq!(status, 200, "{target}: {}", String::from_utf8_lossy(&body));
                    serde_json::from_slice::<Value>(&body).unwrap();
                }
            })
        })
        .collect();
    readers.into_iter().for_each(|reader| reader.join().unwrap());
}

#[test]
fn without_the_key_at_another_host_or_from_another_page_nothing_is_told() {
    let place = place("gate");
    let server = Running::new(studio(&place));
    let port = server.address.port();
    let (host, cookie) =
        (format!("Host: 127.0.0.1:{port}\r\n"), format!("Cookie: glassbox-{port}={}\r\n", server.token));
    let send = |head: String| {
        let answer = server.send(format!("{head}Connection: close\r\n\r\n").as_bytes(), SHORT);
        (parted(&answer).0, String::from_utf8_lossy(&answer).into_owned())
    };
    let get = "GET /api/runs HTTP/1.1\r\n";
    assert_eq!(send(format!("{get}{host}{cookie}")).0, 200);
    assert_eq!(send(format!("{get}{host}")).0, 403);
    assert_eq!(send(format!("{get}{host}Cookie: glassbox-{port}=0\r\n")).0, 403);
    assert_eq!(send(format!("{get}Host: evil.example:{port}\r\n{cookie}")).0, 421);
    assert_eq!(send(format!("{get}{host}{cookie}Origin: http://evil.example\r\n")).0, 403);
    assert_eq!(send(format!("{get}{host}{cookie}Sec-Fetch-Site: cross-site\r\n")).0, 403);
    let (status, page) = send(format!("GET /?token={} HTTP/1.1\r\n{host}", server.token));
    assert!(status == 200 && page.contains("SameSite=Strict") && page.contains("HttpOnly"), "{page}");
    assert!(page.contains("Content-Security-Policy: default-src 'none'") && page.contains("<!doctype html>"), "{page}");
}

#[test]
fn a_reader_that_sends_slowly_or_stays_silent_holds_nobody_up() {
    let place = place("slow");
    let server = Running::new(studio(&place));
    let mut silent: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    silent.iter_mut().for_each(|stream| stream.write_all(b"GET / HT").unwrap());
    assert_eq!(server.get("/api/runs").0, 200);
    // Each is told so after its five seconds.
    let mut answer = Vec::new();
    silent[0].set_read_timeout(Some(SHORT)).unwrap();
    silent[0].read_to_end(&mut answer).unwrap();
    assert_eq!(parted(&answer).0, 408);
}

#[test]
fn requests_that_share_a_connection_are_answered_in_turn() {
    let place = place("kept");
    let server = Running::new(studio(&place));
    let port = server.address.port();
    let one = |path: &str, end: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: glassbox-{port}={}\r\n{end}\r\n",
            server.token
        )
    };
    let both = format!("{}{}", one("/style.css", ""), one("/api/work", "Connection: close\r\n"));
    let answer = String::from_utf8(server.send(both.as_bytes(), SHORT)).unwrap();
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2);
    assert!(answer.ends_with('}'), "{answer}");
}

#[test]
fn nothing_in_the_run_is_written() {
    let place = place("read-only");
    let listing = || {
        let mut found = Vec::new();
        let mut open = vec![place.0.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap().flatten() {
                let facts = entry.metadata().unwrap();
                if facts.is_dir() {
                    open.push(entry.path());
                }
                found.push((entry.path(), facts.len(), facts.modified().unwrap()));
            }
        }
        found.sort();
        found
    };
    let before = listing();
    let studio = studio(&place);
    for target in ["/api/runs", "/api/tensor?run=tiny&step=9&node=loss", "/api/confusion?run=tiny&step=9&part=test"] {
        assert_eq!(tiny::ask(&studio, target).0, 200);
    }
    assert_eq!(listing(), before);
}
