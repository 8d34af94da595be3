//! Texts: which letters the next one hangs on, and what attention looked at.

use cpu::Cpu;
use glassbox_see::{Method, Net, Options, TEXT_METHODS, attention_maps, explain_text};
use nn::{Description, Init, Layer, Param, Pass, Scope};
use tensor::{Array, AttentionOptions, DType, Shape, Tensor};

const LETTERS: usize = 5;
const WIDTH: usize = 4;

/// Logits after each place: its own row of the table times one matrix, and the first place's times another. Or, if `attends`, one head
/// of causal attention before a matrix.
struct Reader {
    table: Param,
    own: Param,
    first: Param,
    attends: bool,
}

impl Reader {
    fn new(at: &Scope, attends: bool) -> Reader {
        let init = Init::Normal { mean: 0.0, std: 1.0 };
        Reader {
            table: at.parameter("table", &[LETTERS, WIDTH], init),
            own: at.parameter("own", &[WIDTH, LETTERS], init),
            first: at.parameter("first", &[WIDTH, LETTERS], init),
            attends,
        }
    }
}

impl Layer for Reader {
    fn forward(&self, x: &Tensor, _: &Pass) -> Tensor {
        let (n, t) = (x.dims()[0], x.dims()[1]);
        let e = self.table.tensor().embedding(&x.cast(DType::I64)); // [N, T, width]
        let times =
            |e: &Tensor, matrix: &Param| e.reshape([n * t, WIDTH]).matmul(&matrix.tensor()).reshape([n, t, LETTERS]);
        if self.attends {
            let one = e.reshape([n, 1, t, WIDTH]);
            let causal = AttentionOptions { causal: true, ..AttentionOptions::default() };
            return times(&one.attention(&one, &one, &causal).reshape([n, t, WIDTH]), &self.own);
        }
        let first = times(&e, &self.first).narrow(1, 0..1);
        times(&e, &self.own) + first
    }

    fn describe(&self) -> Description {
        Description::of("reader", "")
    }
}

fn letters() -> Vec<String> {
    ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec()
}

#[test]
fn only_the_letters_that_matter_are_named_and_the_parts_add_up() {
    let (cpu, scope) = (Cpu::new(1).unwrap(), Scope::root(3));
    let model = Reader::new(&scope, false);
    let net = Net { cpu: &cpu, model: &model, scope: &scope };
    let options = Options { steps: 16, ..Options::default() };
    let found = explain_text(&net, &letters(), &[1, 2, 3, 4, 0, 2], None, &TEXT_METHODS, &options, "").unwrap();
    assert_eq!(found.letters.join(""), "bcdeac");
    assert_eq!(found.class, found.answers[0].0);
    assert!(found.attention.is_empty());
    for explained in &found.maps {
        let values = explained.map.values();
        assert_eq!(values.len(), 6);
        let matters: Vec<bool> = values.iter().map(|value| value.abs() > 1e-6).collect();
        assert_eq!(matters, [true, false, false, false, false, true], "{}", explained.map.method.name());
        if let Some(complete) = explained.checks.completeness {
            assert!(complete.residual < 1e-4, "{complete:?}");
        }
    }
    let svg = found.to_svg();
    assert!(svg.contains("what follows: ") && svg.contains("integrated"));
}

#[test]
fn what_the_places_looked_at_is_the_softmax_of_their_scores() {
    let (cpu, scope) = (Cpu::new(1).unwrap(), Scope::root(5));
    let model = Reader::new(&scope, true);
    let net = Net { cpu: &cpu, model: &model, scope: &scope };
    let symbols = [0usize, 3, 1];
    let x = Array::of(Shape::new(&[1, 3]).unwrap(), symbols.map(|symbol| symbol as f32).to_vec());
    let maps = attention_maps(&net, &x).unwrap();
    assert_eq!((maps.len(), maps[0].number, maps[0].weights.shape().to_vec()), (1, 1, vec![1, 1, 3, 3]));
    let weights = maps[0].weights.to_f64();
    let table = model.table.tensor();
    let table = cpu.run(&[&table], &[]).unwrap()[0].to_f64();
    let row = |symbol: usize| &table[symbol * WIDTH..][..WIDTH];
    for query in 0..3 {
        let score = |key: usize| {
            let dot: f64 = row(symbols[query]).iter().zip(row(symbols[key])).map(|(a, b)| a * b).sum();
            (dot / (WIDTH as f64).sqrt()).exp()
        };
        let sum: f64 = (0..=query).map(score).sum();
        for key in 0..3 {
            let expected = if key <= query { score(key) / sum } else { 0.0 };
            assert!((weights[query * 3 + key] - expected).abs() < 1e-6, "{query} looks at {key}");
        }
    }
    let found =
        explain_text(&net, &letters(), &symbols, Some(2), &[Method::Integrated], &Options::default(), "").unwrap();
    assert!(found.attention.len() == 1 && found.class == "c");
    assert!(found.maps[0].checks.completeness.unwrap().residual < 0.01);
    assert!(found.to_svg().contains("attention 1, head 1"));
}

#[test]
fn what_cannot_be_asked_of_a_text_is_refused() {
    let (cpu, scope) = (Cpu::new(1).unwrap(), Scope::root(0));
    let model = Reader::new(&scope, false);
    let net = Net { cpu: &cpu, model: &model, scope: &scope };
    let asked = |symbols: &[usize], method| {
        explain_text(&net, &letters(), symbols, None, &[method], &Options::default(), "").unwrap_err().to_string()
    };
    assert!(asked(&[1, 2], Method::GradCam).contains("a text has none"));
    assert!(asked(&[], Method::Gradient).contains("an empty text"));
}
