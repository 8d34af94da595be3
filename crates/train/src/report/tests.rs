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
fn a_finished_run_has_its_curves_and_predictions_as_pictures() {
    let folder = Folder::new();
    let run = trained(&folder);
    let read = |name: &str| std::fs::read_to_string(run.path().join("pictures").join(name)).unwrap();
    let (curves, predictions) = (read("curves.svg"), read("predictions.svg"));
    for (svg, count) in [(&curves, 4), (&predictions, predictions.matches("<image").count())] {
        assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n") && count > 0, "{svg}");
        assert_eq!((svg.matches("<g ").count(), svg.matches("<svg").count()), (svg.matches("</g>").count(), 1));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
    for title in ["loss", "accuracy", "learning rate", "length of the gradient"] {
        assert!(curves.contains(&format!(">{title}</text>")), "{title}");
    }
    // 20 test rows: whatever is wrong is among the first.
    let answers = RunDir::open(run.path()).unwrap().record().figures.clone();
    let right: f64 = answers.iter().find(|(name, _)| name == "test_accuracy").unwrap().1.parse().unwrap();
    let wrong = ((1.0 - right) * 20.0).round() as usize;
    assert_eq!(predictions.matches(">it is ").count(), wrong.min(12));
}

/// A run whose loss is the logarithm of a number that training pushes below 0.
fn diverged(folder: &Folder) -> RunDir {
    let mut job = job(Kind::Recurrent, &[("train.schedule", "constant")]);
    let rows = |logits: &tensor::Tensor| (logits.max(1) * -1.0 + 0.9).log();
    job.loss = Box::new(move |logits, _| crate::job::Losses::mean_of(rows(logits)));
    let (cpu, out, stop) = (Cpu::new(1).unwrap(), folder.path().join("run"), AtomicBool::new(false));
    crate::fit(&cpu, &mut job, Some(&out), "train", &stop, &mut |_| {}).unwrap_err();
    RunDir::open(&out).unwrap()
}

#[test]
fn the_page_of_a_run_that_diverged_says_why() {
    let folder = Folder::new();
    let run = diverged(&folder);
    let page = std::fs::read_to_string(run.path().join(REPORT)).unwrap();
    for said in [
        "<span class=\"badge bad\">diverged</span>",
        "<h2>Why it stopped</h2>",
        "<p>the loss became NaN at step ",
        "<pre>glassbox why ",
        "<h3>loss</h3><svg",
    ] {
        assert!(page.contains(said), "{said}\n{}", &page[..4000.min(page.len())]);
    }
    assert!(run.path().join("pictures/curves.svg").is_file());

    let mut finding = crate::why::Finding::new(crate::why::Kind::NotFinite, 7, "the op <log> made NaN".to_owned());
    finding.layer = Some("head".to_owned());
    let why = Why { findings: vec![finding], ..Why::default() };
    let page = Report::of(&run, None, None, Vec::new()).unwrap().with_why(why).to_html().unwrap();
    assert!(page.contains("<li><b>no number at step 7</b>: the op &lt;log&gt; made NaN"), "{page}");
    assert_eq!(page.matches("<div").count(), page.matches("</div>").count());
    // A run that went well has no such section.
    let other = Folder::new();
    assert!(!std::fs::read_to_string(trained(&other).path().join(REPORT)).unwrap().contains("Why it stopped"));
}

#[test]
fn a_run_without_answers_has_a_page_that_says_so() {
    let folder = Folder::new();
    let run = trained(&folder);
    let page = Report::of(&run, None, None, vec!["no <data>".to_owned()]).unwrap().to_html().unwrap();
    assert!(page.contains("note: no &lt;data&gt;") && !page.contains("What was taken for what"));
    assert!(page.contains("test accuracy"), "the figures of run.toml");
}
