//! Who may ask: whoever has the token, at an address that is ours, from a page that is ours.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::io::Read;
use std::net::{IpAddr, SocketAddr};

use hmac_sha256::Hash;

use crate::request::{Head, Method};

/// What lets a request through.
pub struct Gate {
    token: String,
    address: SocketAddr,
}

/// How a request came through.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// With the cookie.
    Known,
    /// With the token in the address of the page: the cookie is to be set.
    New,
}

impl Gate {
    /// For a server at `address`, with a random token.
    pub fn new(address: SocketAddr) -> Gate {
        Gate { token: random_token(), address }
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The cookie that stands for the token. Cookies do not keep ports apart, so its name does.
    pub fn cookie(&self) -> String {
        format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie_name(), self.token)
    }

    fn cookie_name(&self) -> String {
        format!("glassbox-{}", self.address.port())
    }

    /// Whether a request may come in; if not, status and reason.
    pub fn check(&self, head: &Head) -> Result<Entry, (u16, &'static str)> {
        if !self.is_our_host(&head.host) {
            return Err((421, "this is not the address of the studio"));
        }
        let is_ours = |origin: &String| origin.strip_prefix("http://").is_some_and(|host| host == head.host);
        match &head.origin {
            Some(origin) if !is_ours(origin) => return Err((403, "the studio answers its own page alone")),
            None if head.method == Method::Post => return Err((403, "the studio answers its own page alone")),
            _ => {}
        }
        let page = head.query.path() == "/";
        let foreign = head.site.as_deref().is_some_and(|site| site != "same-origin" && site != "none");
        if foreign && !page {
            return Err((403, "the studio answers its own page alone"));
        }
        if self.has_cookie(&head.cookies) {
            return Ok(Entry::Known);
        }
        match head.query.get("token") {
            Some(token) if page && same(token, &self.token) => Ok(Entry::New),
            _ => Err((403, "open the studio with the address that glassbox open printed: it holds the key")),
        }
    }

    fn has_cookie(&self, cookies: &str) -> bool {
        let name = self.cookie_name();
        let pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(of, _)| *of == name).any(|(_, value)| same(value, &self.token))
    }

    /// `localhost`, or a number: a name of another's could be made to lead here.
    fn is_our_host(&self, host: &str) -> bool {
        let Some(name) = host.strip_suffix(&format!(":{}", self.address.port())) else {
            return host == self.address.ip().to_string() && self.address.port() == 80;
        };
        if name == "localhost" {
            return true;
        }
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let Ok(ip) = bare.parse::<IpAddr>() else { return false };
        let ours = self.address.ip();
        ip == ours || (ours.is_loopback() && ip.is_loopback()) || ours.is_unspecified()
    }
}

/// Whether two secrets are the same, in a time that does not tell how much of them is.
fn same(a: &str, b: &str) -> bool {
    Hash::hash(a.as_bytes()).iter().zip(Hash::hash(b.as_bytes())).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

/// 128 bits in hexadecimal, from the system's random numbers.
fn random_token() -> String {
    let mut seed = [0u8; 32];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut seed));
    let mut hash = Hash::new();
    hash.update(seed);
    if read.is_err() {
        // Its keys are the system's random numbers too.
        hash.update(RandomState::new().build_hasher().finish().to_le_bytes());
        hash.update(RandomState::new().build_hasher().finish().to_le_bytes());
    }
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Parsed, parse};

    fn asked(gate: &Gate, text: &str) -> Result<Entry, u16> {
        let text = text.replace("TOKEN", gate.token());
        let Parsed::Whole(head, _) = parse(format!("{text}\r\n\r\n").as_bytes()) else { panic!("{text}") };
        gate.check(&head).map_err(|(status, _)| status)
    }

    #[test]
    fn only_the_token_at_our_address_from_our_page_comes_in() {
        let gate = Gate::new("127.0.0.1:4000".parse().unwrap());
        let cookie = "Cookie: x=1; glassbox-4000=TOKEN";
        let ours = "Host: 127.0.0.1:4000";
        for (request, expected) in [
            (format!("GET /?token=TOKEN HTTP/1.1\r\n{ours}"), Ok(Entry::New)),
            (
                "GET /?token=TOKEN HTTP/1.1\r\nHost: localhost:4000\r\nSec-Fetch-Site: cross-site".to_owned(),
                Ok(Entry::New),
            ),
            (format!("GET /api/runs HTTP/1.1\r\n{ours}\r\n{cookie}"), Ok(Entry::Known)),
            (
                format!("GET /api/runs HTTP/1.1\r\n{ours}\r\n{cookie}\r\nOrigin: http://127.0.0.1:4000"),
                Ok(Entry::Known),
            ),
            (
                format!("POST /api/try HTTP/1.1\r\n{ours}\r\n{cookie}\r\nOrigin: http://127.0.0.1:4000"),
                Ok(Entry::Known),
            ),
            (format!("GET /api/runs?token=TOKEN HTTP/1.1\r\n{ours}"), Err(403)),
            (format!("GET / HTTP/1.1\r\n{ours}"), Err(403)),
            (format!("GET /?token=TOKEM HTTP/1.1\r\n{ours}"), Err(403)),
            (format!("GET /api/runs HTTP/1.1\r\n{ours}\r\nCookie: glassbox-4001=TOKEN"), Err(403)),
            (format!("GET /api/runs HTTP/1.1\r\n{ours}\r\n{cookie}\r\nOrigin: http://evil.example"), Err(403)),
            (format!("GET /api/runs HTTP/1.1\r\n{ours}\r\n{cookie}\r\nOrigin: null"), Err(403)),
            (format!("GET /api/runs HTTP/1.1\r\n{ours}\r\n{cookie}\r\nSec-Fetch-Site: same-site"), Err(403)),
            (format!("POST /api/try HTTP/1.1\r\n{ours}\r\n{cookie}"), Err(403)),
            ("GET /?token=TOKEN HTTP/1.1\r\nHost: evil.example:4000".to_owned(), Err(421)),
            ("GET /?token=TOKEN HTTP/1.1\r\nHost: 127.0.0.1".to_owned(), Err(421)),
            ("GET /?token=TOKEN HTTP/1.1\r\nHost: 10.0.0.1:4000".to_owned(), Err(421)),
        ] {
            assert_eq!(asked(&gate, &request), expected, "{request}");
        }
    }

    #[test]
    fn a_server_for_others_answers_at_numbers_alone() {
        let gate = Gate::new("0.0.0.0:4000".parse().unwrap());
        assert_eq!(asked(&gate, "GET /?token=TOKEN HTTP/1.1\r\nHost: 10.0.0.1:4000"), Ok(Entry::New));
        assert_eq!(asked(&gate, "GET /?token=TOKEN HTTP/1.1\r\nHost: evil.example:4000"), Err(421));
    }

    #[test]
    fn no_two_tokens_are_alike() {
        let address = "127.0.0.1:4000".parse().unwrap();
        let (one, two) = (Gate::new(address), Gate::new(address));
        assert_eq!(one.token().len(), 32);
        assert_ne!(one.token(), two.token());
    }
}
