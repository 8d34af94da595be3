//! What `bench` prints. Its figures are no test.

use crate::support::Folder;

#[test]
fn the_list_names_every_case() {
    let text = Folder::new().run("bench --case list").ok().out;
    assert_eq!(text.lines().count(), 25, "{text}");
    for name in ["mlp", "resnet50", "gpt-mini", "inf-lenet5", "op-gelu-chain"] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{text}");
    }
}

#[test]
fn an_unknown_case_is_a_usage_error_that_names_the_nearest() {
    let outcome = Folder::new().run("bench --case reznet18");
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(outcome.err.contains("there is no case reznet18"), "{}", outcome.err);
    assert!(outcome.err.contains("did you mean resnet18?"), "{}", outcome.err);
    assert_eq!(Folder::new().run("bench --case mlp --budget nan").code, 2);
}

#[test]
fn a_case_is_one_object() {
    let object = Folder::new().run("bench --case dqn --threads 1 --budget 0 --json").ok().end();
    assert_eq!((&object["case"], &object["threads"], &object["params"]), (&"dqn".into(), &1.into(), &17_410.into()));
    for figure in ["median_ms", "min_ms", "p10_ms", "p90_ms", "peak_rss_mib", "other_cores", "gflops"] {
        assert!(object[figure].as_f64().is_some_and(f64::is_finite), "{figure}: {object}");
    }
    assert!(object["steps"].as_u64().is_some_and(|steps| steps >= 3));
}

#[test]
fn a_profile_lists_kernels_and_what_is_outside_of_them() {
    let text = Folder::new().run("bench --case dqn --threads 1 --budget 0 --profile").ok().out;
    assert!(text.contains("matmul") && text.contains("outside of kernels"), "{text}");
}

#[test]
fn scaling_measures_the_sizes_that_were_asked_for() {
    let folder = Folder::new();
    let outcome = folder.run("bench scale --case dqn --most 3 --budget 0 --plot it.svg --json").ok();
    let sizes: Vec<u64> = outcome.objects().iter().map(|point| point["size"].as_u64().unwrap()).collect();
    assert_eq!(sizes, [1, 2, 3]);
    assert!(std::fs::read_to_string(folder.join("it.svg")).unwrap().starts_with("<svg"));
}

#[test]
fn a_plot_without_a_place_is_refused_before_anything_is_measured() {
    let outcome = Folder::new().run("bench scale --case mlp --most 1 --budget 0 --plot none/plot.svg");
    assert_eq!((outcome.code, outcome.out.as_str()), (2, ""), "{outcome:?}");
    assert!(outcome.err.contains("none is no folder to write a plot into"), "{outcome:?}");
}
