//! The graphs that are taught.

use tensor::Tensor;

/// A small graph.
pub struct Example {
    /// Its short name.
    pub id: &'static str,
    /// What it is called.
    pub title: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// Its inputs, in the order in which `build` takes them.
    pub inputs: &'static [Input],
    /// The graph on the inputs.
    pub build: fn(&[Tensor]) -> Built,
    /// The inputs that rows give, if it learns from rows; and the rows.
    pub columns: &'static [&'static str],
    /// See `columns`.
    pub rows: &'static [[f64; 3]],
    /// What of the graph is its answer to a row.
    pub answer: &'static str,
    /// A learning rate that serves.
    pub rate: f64,
}

/// A number that goes in.
pub struct Input {
    /// Its name.
    pub name: &'static str,
    /// What it is at first.
    pub value: f64,
    /// Whether learning changes it.
    pub learnt: bool,
}

/// A graph and the names of its nodes.
pub struct Built {
    /// What is differentiated.
    pub result: Tensor,
    /// The nodes that have names, inputs excepted.
    pub names: Vec<(&'static str, Tensor)>,
}

const fn input(name: &'static str, value: f64) -> Input {
    Input { name, value, learnt: false }
}

const fn weight(name: &'static str, value: f64) -> Input {
    Input { name, value, learnt: true }
}

/// All of them.
pub const EXAMPLES: [Example; 3] = [
    Example {
        id: "product",
        title: "f(x, y, z) = (x + y) z",
        about: "The smallest graph with a chain: a sum hands its gradient on to both sides, a product swaps its factors.",
        inputs: &[input("x", -2.0), input("y", 5.0), input("z", -4.0)],
        build: |of| {
            let q = &of[0] + &of[1];
            let f = &q * &of[2];
            Built { result: f.clone(), names: vec![("q", q), ("f", f)] }
        },
        columns: &[],
        rows: &[],
        answer: "f",
        rate: 0.1,
    },
    Example {
        id: "neuron",
        title: "a neuron: f = sigmoid(w0 x0 + w1 x1 + b)",
        about: "One neuron with a sigmoid. Each weight's gradient is its input times what comes back through the sigmoid.",
        inputs: &[weight("w0", 2.0), input("x0", -1.0), weight("w1", -3.0), input("x1", -2.0), weight("b", -3.0)],
        build: |of| {
            let (p0, p1) = (&of[0] * &of[1], &of[2] * &of[3]);
            let s = &p0 + &p1;
            let a = &s + &of[4];
            let f = a.sigmoid();
            Built { result: f.clone(), names: vec![("p0", p0), ("p1", p1), ("s", s), ("a", a), ("f", f)] }
        },
        columns: &[],
        rows: &[],
        answer: "f",
        rate: 0.1,
    },
    Example {
        id: "xor",
        title: "exclusive or: a net with two hidden neurons",
        about: "What no single neuron can tell apart. The difference d is used twice, so its gradient is a sum of two; \
                every step of learning moves the weights against the mean gradient of all four rows.",
        inputs: &[
            input("x1", 1.0),
            input("x2", 0.0),
            input("t", 1.0),
            weight("u11", 0.9),
            weight("u12", -0.7),
            weight("c1", 0.1),
            weight("u21", -0.8),
            weight("u22", 1.1),
            weight("c2", -0.2),
            weight("v1", 0.6),
            weight("v2", 0.8),
            weight("b", -0.3),
        ],
        build: xor,
        columns: &["x1", "x2", "t"],
        rows: &[[0.0, 0.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]],
        answer: "y",
        rate: 1.0,
    },
];

/// `h = tanh(U x + c)`, `y = sigmoid(v h + b)`, `loss = (y - t)^2`, written out.
fn xor(of: &[Tensor]) -> Built {
    let [x1, x2, t, u11, u12, c1, u21, u22, c2, v1, v2, b] = of else { unreachable!("twelve inputs are listed") };
    let (p11, p12, p21, p22) = (u11 * x1, u12 * x2, u21 * x1, u22 * x2);
    let (s1, s2) = (&p11 + &p12, &p21 + &p22);
    let (a1, a2) = (&s1 + c1, &s2 + c2);
    let (h1, h2) = (a1.tanh(), a2.tanh());
    let (q1, q2) = (v1 * &h1, v2 * &h2);
    let s = &q1 + &q2;
    let a = &s + b;
    let y = a.sigmoid();
    let d = &y - t;
    let loss = &d * &d;
    let result = loss.clone();
    let names = vec![
        ("p11", p11),
        ("p12", p12),
        ("p21", p21),
        ("p22", p22),
        ("s1", s1),
        ("s2", s2),
        ("a1", a1),
        ("a2", a2),
        ("h1", h1),
        ("h2", h2),
        ("q1", q1),
        ("q2", q2),
        ("s", s),
        ("a", a),
        ("y", y),
        ("d", d),
        ("loss", loss),
    ];
    Built { result, names }
}
