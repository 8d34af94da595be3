//! Requests of HTTP/1.1, read within bounds: of size, of headers, of time.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use crate::query::Query;

/// Bytes of request line and headers, at most.
pub const MOST_HEAD: usize = 16 << 10;
/// Headers, at most.
const MOST_HEADERS: usize = 64;
/// Bytes of a body, at most: a picture that someone drops on the page.
pub const MOST_BODY: usize = 8 << 20;

/// What may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Ask.
    Get,
    /// Ask, and leave the answer's body out.
    Head,
    /// Ask about an input that comes along.
    Post,
}

/// Request line and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What to do.
    pub method: Method,
    /// Path and values.
    pub query: Query,
    /// `Host`.
    pub host: String,
    /// `Origin`, if the browser says one.
    pub origin: Option<String>,
    /// `Sec-Fetch-Site`, if the browser says it.
    pub site: Option<String>,
    /// All of `Cookie`.
    pub cookies: String,
    /// Bytes of the body.
    pub body: usize,
    /// Whether the connection stays open.
    pub keep: bool,
}

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A whole head, and its length.
    Whole(Box<Head>, usize),
    /// The beginning of one.
    Partial,
    /// None that is answered here: the status that says why.
    Bad(u16),
}

/// Reads the head at the beginning of `bytes`.
pub fn parse(bytes: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < MOST_HEAD => return Parsed::Partial,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => return Parsed::Bad(431),
        Err(httparse::Error::Version) => return Parsed::Bad(505),
        Err(_) => return Parsed::Bad(400),
    };
    if length > MOST_HEAD {
        return Parsed::Bad(431);
    }
    match head(&request) {
        Ok(head) => Parsed::Whole(Box::new(head), length),
        Err(status) => Parsed::Bad(status),
    }
}

fn head(request: &httparse::Request) -> Result<Head, u16> {
    let method = match request.method {
        Some("GET") => Method::Get,
        Some("HEAD") => Method::Head,
        Some("POST") => Method::Post,
        _ => return Err(405),
    };
    let query = request.path.and_then(|target| Query::parse(target, Vec::new())).ok_or(400u16)?;
    let [mut host, mut origin, mut site, mut length, mut connection] = [const { None::<&str> }; 5];
    let mut cookies = String::new();
    for header in request.headers.iter() {
        let place = match header.name.to_ascii_lowercase().as_str() {
            "host" => &mut host,
            "origin" => &mut origin,
            "sec-fetch-site" => &mut site,
            "content-length" => &mut length,
            "connection" => &mut connection,
            // Bodies come with their length: nothing here needs pieces, and two ways to say it are how requests are smuggled.
            "transfer-encoding" => return Err(501),
            "expect" => return Err(417),
            "cookie" => {
                cookies.push_str(std::str::from_utf8(header.value).map_err(|_| 400u16)?);
                cookies.push(';');
                continue;
            }
            _ => continue,
        };
        if place.is_some() {
            return Err(400);
        }
        *place = Some(std::str::from_utf8(header.value).map_err(|_| 400u16)?.trim());
    }
    let body = match length {
        None => 0,
        Some(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse::<usize>().ok().filter(|&bytes| bytes <= MOST_BODY).ok_or(413u16)?
        }
        Some(_) => return Err(400),
    };
    if body > 0 && method != Method::Post {
        return Err(400);
    }
    let close =
        connection.is_some_and(|words| words.to_ascii_lowercase().split(',').any(|word| word.trim() == "close"));
    Ok(Head {
        method,
        query,
        host: host.ok_or(400u16)?.to_owned(),
        origin: origin.map(str::to_owned),
        site: site.map(str::to_owned),
        cookies,
        body,
        keep: request.version == Some(1) && !close,
    })
}

/// A stream whose reads can be given a time limit.
pub trait Timed: Read {
    /// No read after this waits longer.
    fn limit(&mut self, time: Duration) -> io::Result<()>;
}

impl Timed for std::net::TcpStream {
    fn limit(&mut self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))
    }
}

/// What came of waiting for a request.
#[derive(Debug)]
pub enum Next {
    /// A request; its head, and the question with its body.
    Request(Box<Head>),
    /// The other side is done, or silent for too long between requests.
    End,
    /// Something to refuse with this status.
    Bad(u16),
}

/// A connection's side that is read.
pub struct Reader<S> {
    stream: S,
    /// What was read and belongs to no request yet.
    bytes: Vec<u8>,
}

impl<S: Timed> Reader<S> {
    /// Of a stream.
    pub fn new(stream: S) -> Reader<S> {
        Reader { stream, bytes: Vec::new() }
    }

    /// The next head: `idle` is how long it may take to begin, `whole` how long from there to its end.
    pub fn head(&mut self, idle: Duration, whole: Duration) -> Next {
        let mut until = Instant::now() + if self.bytes.is_empty() { idle } else { whole };
        let mut begun = !self.bytes.is_empty();
        loop {
            match parse(&self.bytes) {
                Parsed::Whole(head, length) => {
                    self.bytes.drain(..length);
                    return Next::Request(head);
                }
                Parsed::Bad(status) => return Next::Bad(status),
                Parsed::Partial => {}
            }
            match self.more(until) {
                Ok(0) => return if begun { Next::Bad(400) } else { Next::End },
                Ok(_) if !begun => (begun, until) = (true, Instant::now() + whole),
                Ok(_) => {}
                Err(_) => return if begun { Next::Bad(408) } else { Next::End },
            }
        }
    }

    /// The body of `length` bytes behind a head; the status of a refusal if it does not come.
    pub fn body(&mut self, length: usize, whole: Duration) -> Result<Vec<u8>, u16> {
        let until = Instant::now() + whole;
        while self.bytes.len() < length {
            match self.more(until) {
                Ok(0) => return Err(400),
                Ok(_) => {}
                Err(_) => return Err(408),
            }
        }
        let rest = self.bytes.split_off(length);
        Ok(std::mem::replace(&mut self.bytes, rest))
    }

    fn more(&mut self, until: Instant) -> io::Result<usize> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.limit(left)?;
        let mut piece = [0; 8 << 10];
        let count = self.stream.read(&mut piece)?;
        self.bytes.extend_from_slice(&piece[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> u16 {
        match parse(text.as_bytes()) {
            Parsed::Bad(status) => status,
            Parsed::Whole(..) => 200,
            Parsed::Partial => 100,
        }
    }

    #[test]
    fn a_head_is_read_and_what_follows_is_left() {
        let text = "POST /api/try?run=a HTTP/1.1\r\nHost: localhost:1\r\nCookie: a=1\r\ncookie: b=2\r\nContent-Length: 3\r\n\r\nabcGET";
        let Parsed::Whole(head, length) = parse(text.as_bytes()) else { panic!("no head") };
        assert_eq!(&text[length..], "abcGET");
        assert_eq!((head.method, head.body, head.keep, head.cookies.as_str()), (Method::Post, 3, true, "a=1;b=2;"));
        assert_eq!((head.host.as_str(), head.query.get("run")), ("localhost:1", Some("a")));
    }

    #[test]
    fn what_is_refused_is_refused_with_its_reason() {
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(MOST_HEAD));
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(MOST_HEADERS));
        for (text, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
            ("GET / HTTP/1.1\r\nHost: a\r\n", 100),
            ("", 100),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
            ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
            ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", 413),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", 400),
            (&long, 431),
            (&many, 431),
        ] {
            assert_eq!(status(text), expected, "{text:.80}");
        }
    }
}
