//! The server: a thread for each connection, all of it bounded.

use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Studio;
use crate::gate::{Entry, Gate};
use crate::request::{Head, Method, Next, Reader};
use crate::response::Response;

/// Connections at once; a browser holds six.
const MOST_CONNECTIONS: usize = 256;
/// Requests on one connection.
const MOST_REQUESTS: usize = 10_000;
/// Until a request begins on a connection.
const IDLE: Duration = Duration::from_secs(30);
/// From its first byte to the end of its headers.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// For its body.
const BODY_TIME: Duration = Duration::from_secs(20);
/// For a reader to take a piece of an answer.
const WRITE_TIME: Duration = Duration::from_secs(10);

/// The server of a studio, ready to run.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    studio: Arc<Studio>,
    gate: Arc<Gate>,
    stop: Stop,
}

/// Stops a server.
#[derive(Clone)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    address: SocketAddr,
}

impl Stop {
    /// Ends the server: it takes no more connections.
    pub fn stop(&self) {
        self.asked.store(true, Ordering::SeqCst);
        // Wakes the one who waits for a connection.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

impl Server {
    /// Listens at an address; port 0 takes a free one.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn bind(address: impl ToSocketAddrs, studio: Arc<Studio>) -> io::Result<Server> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let stop = Stop { asked: Arc::default(), address };
        Ok(Server { listener, address, studio, gate: Arc::new(Gate::new(address)), stop })
    }

    /// The address of the page, with the token.
    pub fn url(&self) -> String {
        format!("http://{}/?token={}", self.address, self.gate.token())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stops it.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Serves until it is stopped.
    pub fn run(self) {
        let open = Arc::new(AtomicUsize::new(0));
        for stream in self.listener.incoming() {
            if self.stop.asked.load(Ordering::SeqCst) {
                return;
            }
            let Ok(stream) = stream else {
                // Out of files, most likely: those of connections that end come back.
                thread::sleep(Duration::from_millis(50));
                continue;
            };
            let place = Place::take(&open);
            if place.is_none() {
                // Nobody is waited for here: others want to come in.
                let _ = stream.set_write_timeout(Some(Duration::from_millis(200)));
                let _ = Response::refusal(503, "too many connections").write(&mut &stream, false, true);
                continue;
            }
            let (studio, gate) = (Arc::clone(&self.studio), Arc::clone(&self.gate));
            // A thread that cannot be made is a connection that is dropped.
            let _ = thread::Builder::new().name("reader".to_owned()).spawn(move || {
                let _place = place;
                let _ = converse(&stream, &studio, &gate);
                let _ = stream.shutdown(Shutdown::Both);
            });
        }
    }
}

/// A connection that counts as long as it lives.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Option<Place> {
        let place = Place(Arc::clone(open));
        (open.fetch_add(1, Ordering::SeqCst) < MOST_CONNECTIONS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn converse(stream: &TcpStream, studio: &Studio, gate: &Gate) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_TIME))?;
    let mut reader = Reader::new(stream.try_clone()?);
    for _ in 0..MOST_REQUESTS {
        let head = match reader.head(IDLE, HEAD_TIME) {
            Next::Request(head) => head,
            Next::End => return Ok(()),
            Next::Bad(status) => {
                refuse(stream, status, "this is not a request that the studio understands");
                return Ok(());
            }
        };
        let entry = match gate.check(&head) {
            Ok(entry) => entry,
            Err((status, why)) => {
                refuse(stream, status, why);
                return Ok(());
            }
        };
        let Head { method, query, body, keep, .. } = *head;
        let query = match reader.body(body, BODY_TIME) {
            Ok(body) => query.with_body(body),
            Err(status) => {
                refuse(stream, status, "the body did not come");
                return Ok(());
            }
        };
        let mut response = studio.answer(method == Method::Post, &query, &|| is_gone(stream));
        if entry == Entry::New {
            response = Response { cookie: Some(gate.cookie()), ..response };
        }
        let mut out = stream;
        response.write(&mut out, keep, method != Method::Head)?;
        if !keep {
            return Ok(());
        }
    }
    Ok(())
}

/// Says no, and lets the other side read it: a socket that is closed with bytes unread takes back what was written.
fn refuse(mut stream: &TcpStream, status: u16, why: &str) {
    const UNREAD: usize = 256 << 10;
    const LISTENS: Duration = Duration::from_secs(1);
    let mut refused = || -> io::Result<()> {
        stream.set_write_timeout(Some(WRITE_TIME))?;
        Response::refusal(status, why).write(&mut stream, false, true)?;
        stream.shutdown(Shutdown::Write)?;
        stream.set_read_timeout(Some(Duration::from_millis(200)))?;
        let (until, mut left, mut piece) = (Instant::now() + LISTENS, UNREAD, [0; 8 << 10]);
        while left > 0 && Instant::now() < until {
            match stream.read(&mut piece)? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        Ok(())
    };
    // Whoever does not want to hear it does not.
    let _ = refused();
}

/// Whether the other side has closed the connection.
fn is_gone(stream: &TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return true;
    }
    let seen = stream.peek(&mut [0]);
    let gone = match seen {
        Ok(count) => count == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    };
    stream.set_nonblocking(false).is_err() || gone
}
