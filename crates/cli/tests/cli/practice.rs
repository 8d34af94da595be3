//! Experiments of practice: runs that are kept, pictures, and numbers.

use std::fs;

use crate::support::Folder;

#[test]
fn what_weights_begin_with_is_measured_beside_theory() {
    let folder = Folder::new();
    let said = folder.run("experiment initialisation --out seen").ok().out;
    assert!(said.contains("ReLU, Kaiming: sqrt(2 / n)") && said.contains("wrote seen/initialisation.svg"), "{said}");
    let numbers: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("seen/numbers.json")).unwrap()).unwrap();
    assert_eq!((numbers.as_array().unwrap().len(), numbers[0]["activations"].as_array().unwrap().len()), (6, 10));
    for picture in ["seen/initialisation.svg", "seen/histograms.svg"] {
        let svg = fs::read_to_string(folder.join(picture)).unwrap();
        assert!(svg.starts_with("<svg") && !svg.contains("NaN"), "{picture}");
    }
}

#[test]
fn gradients_over_time_are_drawn() {
    let folder = Folder::new();
    let said = folder.run("experiment gradient-over-time --out seen").ok().out;
    assert!(said.contains("LSTM, c, forget bias 5") && said.contains("wrote seen/gradient-over-time.svg"), "{said}");
    let svg = fs::read_to_string(folder.join("seen/gradient-over-time.svg")).unwrap();
    assert!(svg.matches("<polyline").count() >= 20 && !svg.contains("NaN"));
    let help = folder.run("experiment --help").ok().out;
    for name in ["hubel-wiesel", "optimizers", "degradation", "adding-problem", "gradient-over-time"] {
        assert_eq!(help.matches(&format!("  {name} ")).count(), 1, "{help}");
    }
    assert_eq!(folder.run("experiment no-such").code, 2);
}

#[test]
fn every_experiment_on_runs_is_drawn_and_is_not_made_twice() {
    let folder = Folder::new();
    let few = "--set train.max_steps=3 --set train.epochs=1 --set data.val=0.1 --set train.lr=0.01";
    for (name, runs, picture) in [
        ("optimizers", 4, "optimizers.svg"),
        ("learning-rate", 1, "learning-rate.svg"),
        ("fitting", 10, "fitting.svg"),
        ("batch-norm", 4, "batch-norm.svg"),
        ("dropout", 2, "dropout.svg"),
        ("adding-problem", 2, "adding-problem.svg"),
    ] {
        let line = format!("experiment {name} {few} --json");
        let first = folder.run(&line).ok();
        let ends = |outcome: &crate::support::Outcome| {
            outcome.objects().iter().filter(|object| object["event"] == "run").count()
        };
        assert_eq!(ends(&first), runs, "{name}");
        let dir = folder.join("experiments").join(name);
        assert!(fs::read_to_string(dir.join(picture)).unwrap().contains("<polyline"), "{name}");
        // The runs are there: nothing is trained again, and the numbers are the same.
        let again = folder.run(&line).ok();
        assert_eq!(ends(&again), 0, "{name}");
        assert_eq!(first.end()["numbers"], again.end()["numbers"], "{name}");
    }
    // Others would not be what is asked for.
    let other = folder.run(&format!("experiment fitting {few} --set train.seed=1"));
    assert!(other.code == 2 && other.err.contains("width-1 was trained with train.seed = 0 and not 1"), "{other:?}");
}

#[test]
fn plain_and_residual_nets_are_drawn_beside_each_other() {
    let folder = Folder::new();
    folder.pictures("pets", &["background", "cat"], 10);
    let few = "--set model.width=2 --set model.blocks=1 --set train.max_steps=2 --set data.val=0.2";
    let said = folder.run(&format!("experiment degradation --data pets --out seen {few}")).ok().out;
    assert!(said.contains("residual-56: error ") && said.contains("wrote seen/degradation.svg"), "{said}");
    assert_eq!(fs::read_to_string(folder.join("seen/degradation.svg")).unwrap().matches("plain-20").count(), 2);
    assert_eq!(folder.run("experiment degradation").code, 2);
}
