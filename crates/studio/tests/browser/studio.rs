//! A studio over two small runs, trained once for all tests of this file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::thread;

use cpu::Cpu;
use glassbox_studio::{Limits, Server, Studio};
use train::{Source, fit};

/// The address of the page, with its key.
pub fn url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| serve(runs()))
}

/// The address of a studio over a folder of runs; it serves as long as the tests run.
pub fn serve(runs: &Path) -> String {
    let studio = Arc::new(Studio::new(runs, Limits::default()).unwrap());
    let server = Server::bind("127.0.0.1:0", studio).unwrap();
    let url = server.url();
    thread::spawn(move || server.run());
    url
}

/// The folder of the runs: the shipped digits, two rates, a few dozen steps.
pub fn runs() -> &'static Path {
    static RUNS: OnceLock<PathBuf> = OnceLock::new();
    RUNS.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("studio-runs");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (name, rate) in [("digits-1", "0.003"), ("digits-2", "0.001")] {
            let recipe = zoo::find("digits").unwrap();
            let mut settings = (recipe.settings)();
            let changes = [
                ("train.epochs", "2"),
                ("train.max_steps", "90"),
                ("train.batch", "32"),
                ("train.lr", rate),
                ("checkpoint.every", "30"),
                ("checkpoint.keep", "0"),
                ("ledger.hash_every", "10"),
            ];
            for (setting, value) in changes {
                settings.set(setting, value, Source::Flag("test".to_owned())).unwrap();
            }
            let mut job = recipe.job(settings, None).unwrap();
            let (cpu, place) = (Cpu::new(2).unwrap(), folder.join(name));
            fit(&cpu, &mut job, Some(&place), "test", &AtomicBool::new(false), &mut |_| ()).unwrap();
        }
        folder
    })
}
