//! Responses, and the headers that every one of them has.

use std::io::{self, Write};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::error::Error;

/// Only what the binary brings along may run or be shown; nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Media type.
    pub kind: &'static str,
    /// What is sent.
    pub body: Arc<Vec<u8>>,
    /// A cookie to set.
    pub cookie: Option<String>,
}

impl Response {
    /// A JSON answer.
    pub fn json(status: u16, value: &Value) -> Response {
        Response::new(status, "application/json", value.to_string().into_bytes())
    }

    /// Bytes of some type.
    pub fn new(status: u16, kind: &'static str, body: Vec<u8>) -> Response {
        Response { status, kind, body: Arc::new(body), cookie: None }
    }

    /// What is said where there is no answer.
    pub fn error(error: &Error) -> Response {
        Response::json(error.status(), &json!({ "error": error.text() }))
    }

    /// A refusal before anything was asked.
    pub fn refusal(status: u16, why: &str) -> Response {
        Response::new(status, "text/plain; charset=utf-8", format!("{why}\n").into_bytes())
    }

    /// Writes it; `keep` says whether more may follow, `body` whether the body is wanted.
    pub fn write(&self, out: &mut impl Write, keep: bool, body: bool) -> io::Result<()> {
        let mut head = format!(
            "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nContent-Security-Policy: {POLICY}\r\n\
             X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n\
             Cross-Origin-Resource-Policy: same-origin\r\nCross-Origin-Opener-Policy: same-origin\r\n\
             Cache-Control: no-store\r\nConnection: {}\r\n",
            self.status,
            reason(self.status),
            self.kind,
            self.body.len(),
            if keep { "keep-alive" } else { "close" },
        );
        if let Some(cookie) = &self.cookie {
            head.push_str(&format!("Set-Cookie: {cookie}\r\n"));
        }
        if self.status == 405 {
            head.push_str("Allow: GET, HEAD, POST\r\n");
        }
        head.push_str("\r\n");
        out.write_all(head.as_bytes())?;
        if body {
            out.write_all(&self.body)?;
        }
        out.flush()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Other",
    }
}
