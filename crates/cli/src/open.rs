//! `glassbox open`: serves the page on which runs are looked at.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glassbox::train::Error;
use serde_json::json;
use studio::{Limits, Server, Studio};

use crate::exit;
use crate::screen::{say, warn};

/// Where runs lie if nothing else is said.
const RUNS: &str = "runs";
/// The port if nothing else is said and nobody has it.
const PORT: u16 = 4747;

/// Arguments of `open`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of a run or of runs, or a model without its run: model.safetensors or the folder of a checkpoint; they are only
    /// read [default: runs]
    place: Option<PathBuf>,
    /// Port of the page; 0: any free one [default: 4747, or a free one]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Address to listen at; any but a loopback address lets other machines ask
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// Threads that compute steps again; changes no result
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1024))]
    threads: u64,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Carries out `open`.
pub fn run(arguments: &Arguments) -> Result<u8, Error> {
    let place = match &arguments.place {
        Some(place) => place.clone(),
        None if Path::new(RUNS).is_dir() => PathBuf::from(RUNS),
        None => {
            return Err(Error::usage(
                "there is no folder runs here",
                "give the folder of a run or of runs; glassbox train digits makes runs/digits-1",
            ));
        }
    };
    let limits = Limits { threads: arguments.threads as usize, ..Limits::default() };
    let studio = Arc::new(Studio::new(&place, limits)?);
    let (runs, model) = (studio.runs().all().len(), studio.runs().model().is_some());
    let server = listen(arguments, &studio)?;
    if !arguments.bind.is_loopback() {
        warn(format_args!(
            "{} can be reached by other machines; whoever has the address below can look",
            arguments.bind
        ));
    }
    let place = fs::canonicalize(&place).unwrap_or(place);
    if arguments.json {
        say(json!({
            "event": "open", "url": server.url(), "place": place.display().to_string(), "runs": runs,
            "model": model,
        }));
    } else {
        let what = match (model, runs) {
            (true, _) => format!("a model without its run: {}", place.display()),
            (false, 1) => format!("1 run in {}", place.display()),
            (false, runs) => format!("{runs} runs in {}", place.display()),
        };
        say(what);
        say(format_args!("open {}", server.url()));
        say("Ctrl-C ends it; nothing is written");
    }
    server.run();
    Ok(exit::OK)
}

fn listen(arguments: &Arguments, studio: &Arc<Studio>) -> Result<Server, Error> {
    let bind = |port| Server::bind(SocketAddr::new(arguments.bind, port), Arc::clone(studio));
    let bound = match arguments.port {
        Some(port) => bind(port),
        None => bind(PORT).or_else(|error| if error.kind() == ErrorKind::AddrInUse { bind(0) } else { Err(error) }),
    };
    let port = arguments.port.unwrap_or(PORT);
    bound.map_err(|error| {
        Error::usage(
            format!("cannot listen at {}, port {port}: {error}", arguments.bind),
            "choose another port with --port, or 0 for a free one",
        )
    })
}
