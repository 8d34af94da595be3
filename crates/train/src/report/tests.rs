//! The page of a small run.

use std::sync::atomic::AtomicBool;

use cpu::Cpu;

use super::*;
use crate::testing::Folder;
use crate::testing::job::{Kind, job};

fn trained(folder: &Folder) -> RunDir {
    let mut job = job(Kind::Conv, &[]);
    let (cpu, out, stop) = (Cpu::new(1).unwrap(), folder.path().join("r&<d>"), AtomicBool::new(false));
    crate::fit(&cpu, &mut job, Some(&out), "train \"<b>\"", &stop, &mut |_| {}).unwrap();
    RunDir::open(&out).unwrap()
}

#[test]
fn a_finished_run_has_a_page_that_loads_nothing_and_quotes_what_it_shows() {
    let folder = Folder::new();
    let run = trained(&folder);
    let page = std::fs::read_to_string(run.path().join(REPORT)).unwrap();
    for said in [
        "<h1>r&amp;&lt;d&gt;</h1><span class=\"badge\">finished</span>",
        "<pre>train &quot;&lt;b&gt;&quot;</pre>",
        "test accuracy",
        "<h3>loss</h3><svg",
        "What was taken for what",
        "<td class=\"mono\">train.lr</td>",
        "The first batch",
    ] {
        assert!(page.contains(said), "{said}\n{}", &page[..4000.min(page.len())]);
    }
    for loads in ["http://", "https://", "<script", "<link", "@import", "url("] {
        assert!(!page.contains(loads), "{loads}");
    }
    assert_eq!(page.matches("<section").count(), page.matches("</section>").count());
    assert_eq!(page.matches("<div").count(), page.matches("</div>").count());
    // Each cell that is linked to is there.
    for link in page.split("href=\"#c").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(page.contains(&format!("id=\"c{link}\"")), "{link}");
    }
}

#[test]
fn a_run_without_answers_has_a_page_that_says_so() {
    let folder = Folder::new();
    let run = trained(&folder);
    let page = Report::of(&run, None, None, vec!["no <data>".to_owned()]).unwrap().to_html().unwrap();
    assert!(page.contains("note: no &lt;data&gt;") && !page.contains("What was taken for what"));
    assert!(page.contains("test accuracy"), "the figures of run.toml");
}
