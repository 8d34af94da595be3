//! A browser that a test looks through: headless Chromium, told what to do over a pair of pipes (its DevTools protocol; messages
//! are JSON that ends with a zero byte). Clicks and keys are those of a person: they go to whatever lies at that place.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// How long anything may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Chromium, if it is installed: said if not.
pub fn installed() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let path = std::env::var_os("PATH")?;
    let found =
        std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|it| it.is_file());
    if found.is_none() {
        println!("skipped: there is no Chromium here (looked for {} on the PATH)", names.join(", "));
    }
    found
}

/// A browser with one page.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    last: u64,
    /// What went wrong on the page, as its console says.
    complaints: Vec<String>,
    profile: PathBuf,
    pub width: u32,
    pub height: u32,
    /// How long is waited for what should come true.
    pub patience: Duration,
}

impl Browser {
    /// Starts it, with an empty page of a size.
    pub fn start(program: &Path, folder: &Path, width: u32, height: u32) -> Browser {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let profile = folder.join(format!("profile-{}-{number}", std::process::id()));
        let mut child = Command::new("sh")
            // The browser reads from 3 and writes to 4.
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null"])
            .arg(program)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"])
            .args(["--no-first-run", "--disable-extensions", "--disable-sync", "--disable-background-networking"])
            .args(["--disable-component-update", "--force-color-profile=srgb", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("--window-size={width},{height}"))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (send, from) = channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(output);
            let mut message = Vec::new();
            while reader.read_until(0, &mut message).is_ok_and(|count| count > 0) {
                message.pop();
                if send.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let complaints = Vec::new();
        let mut this =
            Browser { child, to, from, session: None, last: 0, complaints, profile, width, height, patience: PATIENCE };
        let target = this.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let attached = this.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        this.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            this.call(&format!("{domain}.enable"), json!({}));
        }
        this.resize(width, height);
        this
    }

    /// The size of the window; up to 600 it is a phone.
    pub fn resize(&mut self, width: u32, height: u32) {
        (self.width, self.height) = (width, height);
        let phone = width <= 600;
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone }),
        );
    }

    /// Light or dark, as the system would say.
    pub fn dark(&mut self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = [json!({ "name": "prefers-color-scheme", "value": value })];
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Goes to an address.
    pub fn open(&mut self, url: &str) {
        let gone = self.call("Page.navigate", json!({ "url": url }));
        assert!(gone["errorText"].is_null(), "{url}: {gone}");
        self.wait("document.readyState === 'complete'");
    }

    /// The value of an expression; a promise is waited for.
    pub fn value(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}\n{answer:#}");
        answer["result"]["value"].clone()
    }

    /// The text of what a selector finds.
    pub fn text(&mut self, selector: &str) -> String {
        let found = self.value(&format!("document.querySelector({}) ?.innerText", json!(selector)));
        found.as_str().unwrap_or_else(|| panic!("there is no {selector} on the page")).to_owned()
    }

    /// Waits until an expression holds.
    pub fn wait(&mut self, expression: &str) {
        let began = Instant::now();
        loop {
            let holds = self.value(&format!("!!({expression})"));
            if holds == true {
                return;
            }
            if began.elapsed() > self.patience {
                self.shot("waited-in-vain");
                let page = self.value("document.body.innerText");
                panic!("never came true: {expression}\n{:?}\non the page:\n{page}", self.complaints);
            }
            thread::sleep(Duration::from_millis(30));
        }
    }

    /// Presses the mouse at a place.
    pub fn click_at(&mut self, x: f64, y: f64, times: u32) {
        for count in 1..=times {
            for kind in ["mousePressed", "mouseReleased"] {
                let button = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": count });
                self.call("Input.dispatchMouseEvent", button);
            }
        }
    }

    /// Draws a line with the mouse held down.
    pub fn draw(&mut self, points: &[(f64, f64)]) {
        for (at, &(x, y)) in points.iter().enumerate() {
            let kind = if at == 0 { "mousePressed" } else { "mouseMoved" };
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": u32::from(at == 0) });
            self.call("Input.dispatchMouseEvent", event);
        }
        let (x, y) = points[points.len() - 1];
        let event = json!({ "type": "mouseReleased", "x": x, "y": y, "button": "left", "clickCount": 1 });
        self.call("Input.dispatchMouseEvent", event);
    }

    /// Left, top, width and height of what a selector finds.
    pub fn place(&mut self, selector: &str) -> [f64; 4] {
        let found = self.value(&format!(
            "(() => {{ const box = document.querySelector({}).getBoundingClientRect(); \
             return [box.left, box.top, box.width, box.height]; }})()",
            json!(selector)
        ));
        [0, 1, 2, 3].map(|at| found[at].as_f64().unwrap())
    }

    /// Presses the mouse in the middle of what a selector finds, once it is there and nothing lies over it.
    pub fn click(&mut self, selector: &str) {
        let place = format!(
            "(() => {{ const it = document.querySelector({}); if (!it) return null; it.scrollIntoView({{ block: 'nearest' }}); \
             const {{ left, top, width, height }} = it.getBoundingClientRect(); const at = [left + width / 2, top + height / 2]; \
             const hit = document.elementFromPoint(...at); \
             return it.contains(hit) || hit?.contains(it) || it.labels?.[0]?.contains(hit) ? at : null; }})()",
            json!(selector)
        );
        self.wait(&place);
        let at = self.value(&place);
        self.click_at(at[0].as_f64().unwrap(), at[1].as_f64().unwrap(), 1);
    }

    /// Presses a key: a letter, or `Enter`, `ArrowDown`.
    pub fn key(&mut self, key: &str) {
        let text = match key {
            "Enter" => "\r",
            letter if letter.chars().count() == 1 => letter,
            _ => "",
        };
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => 0,
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code });
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Writes a text into a field, as if typed over what was there.
    pub fn write(&mut self, selector: &str, text: &str) {
        self.value(&format!(
            "(() => {{ const it = document.querySelector({}); it.focus(); it.value = {}; \
             it.dispatchEvent(new Event('input', {{ bubbles: true }})); it.dispatchEvent(new Event('change', {{ bubbles: true }})); }})()",
            json!(selector),
            json!(text)
        ));
    }

    /// Writes a picture of the window, when it stands still, into the folder of the tests.
    pub fn shot(&mut self, name: &str) {
        self.value(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 60))))",
        );
        let picture = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("studio");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("{name}.png")), from_base64(picture["data"].as_str().unwrap())).unwrap();
    }

    /// What the page's console complained of until now; empty after it was asked.
    pub fn complaints(&mut self) -> Vec<String> {
        while let Ok(message) = self.from.try_recv() {
            self.hear(&message);
        }
        std::mem::take(&mut self.complaints)
    }

    /// The answer to a command.
    fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).unwrap();
        let began = Instant::now();
        loop {
            let message = match self.from.recv_timeout(PATIENCE.saturating_sub(began.elapsed())) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => panic!("the browser does not answer {method}"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the browser ended at {method}: {:?}", self.child.try_wait())
                }
            };
            if message["id"] == self.last {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.hear(&message);
        }
    }

    /// Keeps what is wrong.
    fn hear(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.complaints.push(params["exceptionDetails"].to_string()),
            Some("Runtime.consoleAPICalled")
                if matches!(params["type"].as_str(), Some("error" | "warning" | "assert")) =>
            {
                self.complaints.push(params["args"].to_string());
            }
            Some("Log.entryAdded") if matches!(params["entry"]["level"].as_str(), Some("error" | "warning")) => {
                self.complaints.push(params["entry"].to_string());
            }
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

fn from_base64(text: &str) -> Vec<u8> {
    let value = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let letters: Vec<u8> = text.bytes().filter(|&letter| letter != b'=').map(value).collect();
    let mut bytes = Vec::with_capacity(letters.len() * 3 / 4);
    for part in letters.chunks(4) {
        let word = part.iter().fold(0u32, |word, &six| word << 6 | u32::from(six)) << (6 * (4 - part.len()));
        bytes.extend((1..part.len()).map(|byte| (word >> (24 - 8 * byte)) as u8));
    }
    bytes
}
