//! Layers: output, gradients, running statistics.

use nn::{Layer, Pass, Scope, Sizes};
use tensor::{RandomKey, Resize, Tensor};

use super::cases::{Case, values};

/// Makes a layer of (place, inputs, outputs, kernel).
type Make<L> = fn(Scope, usize, usize, Sizes) -> L;

pub fn check(case: &Case) -> Result<(), String> {
    let scope = Scope::root_of(0, case.dtype());
    let layer = build(case, &scope)?;
    let state = case.under("param/").into_iter().chain(case.under("buffer/"));
    let state = state.map(|(name, array)| (format!("layer.{name}"), array)).collect();
    scope.load_state(&state, case.name()).map_err(|error| error.to_string())?;

    let pass = || if case.is_training() { Pass::train(RandomKey::new(1)) } else { Pass::eval() };
    let (x, first) = (case.input("input/x"), pass());
    let y = layer.forward(&x, &first);
    case.compare("output/y", &values(&[&y])?[0])?;

    let params = scope.parameters();
    let mut wanted: Vec<(String, Tensor)> = Vec::new();
    if case.has("grad/x") {
        wanted.push(("grad/x".into(), x));
    }
    wanted.extend(params.iter().map(|p| (p.name().replace("layer/", "grad/"), p.tensor())));
    let missing = case.under("grad/").len() - wanted.len();
    let gradients = y.vector_jacobian(&case.input("input/cotangent"), wanted.iter().map(|(_, t)| t));
    let found = values(&gradients.iter().collect::<Vec<_>>())?;
    wanted.iter().zip(found).try_for_each(|((name, _), found)| case.compare(name, &found))?;
    if missing > 0 {
        return Err(format!("{missing} gradients are not checked"));
    }

    if case.has("input/x2") {
        statistics(case, &scope, &first, 1)?;
        let second = pass();
        let y2 = layer.forward(&case.input("input/x2"), &second);
        case.compare("output/y2", &values(&[&y2])?[0])?;
        statistics(case, &scope, &second, 2)?;
    }
    Ok(())
}

/// Carries out the pass's updates, and compares the buffers.
fn statistics(case: &Case, scope: &Scope, pass: &Pass, step: usize) -> Result<(), String> {
    let device = cpu::Cpu::shared().map_err(|error| error.to_string())?;
    device.run(&[], &pass.updates()).map_err(|error| error.to_string())?;
    scope.buffers().iter().try_for_each(|buffer| {
        let name = buffer.name().replace("layer/", "output/");
        case.compare(&format!("{name}_{step}"), &buffer.value())
    })
}

fn build(case: &Case, scope: &Scope) -> Result<Box<dyn Layer>, String> {
    let at = || scope / "layer";
    let sizes = |name: &str| Sizes::from(case.sizes(name).as_slice());
    Ok(match case.kind() {
        "Linear" => {
            Box::new(nn::linear(at(), case.size("in_features"), case.size("out_features")).bias(case.flag("bias")))
        }
        "Embedding" => {
            let (entries, width) = (case.size("num_embeddings"), case.size("embedding_dim"));
            let layer = nn::embedding(at(), entries, width);
            match case.setting("padding_idx").as_i64() {
                Some(index) => Box::new(layer.padding(index.rem_euclid(entries as i64) as usize)),
                None => Box::new(layer),
            }
        }
        "Conv1d" | "Conv2d" | "Conv3d" => {
            let make: [Make<nn::Conv>; 3] = [nn::conv1d, nn::conv2d, nn::conv3d];
            let make = make[case.sizes("kernel_size").len() - 1];
            let layer = make(at(), case.size("in_channels"), case.size("out_channels"), sizes("kernel_size"));
            let layer = match case.setting("padding") == "same" {
                true => layer.padding_same(),
                false => layer.padding(sizes("padding")),
            };
            let layer = layer.groups(case.size("groups")).bias(case.flag("bias"));
            Box::new(layer.stride(sizes("stride")).dilation(sizes("dilation")))
        }
        "ConvTranspose1d" | "ConvTranspose2d" | "ConvTranspose3d" => {
            let make: [Make<nn::ConvTranspose>; 3] = [nn::conv_transpose1d, nn::conv_transpose2d, nn::conv_transpose3d];
            let make = make[case.sizes("kernel_size").len() - 1];
            let layer = make(at(), case.size("in_channels"), case.size("out_channels"), sizes("kernel_size"));
            let layer = layer.groups(case.size("groups")).bias(case.flag("bias")).stride(sizes("stride"));
            Box::new(
                layer.padding(sizes("padding")).output_padding(sizes("output_padding")).dilation(sizes("dilation")),
            )
        }
        "BatchNorm1d" | "BatchNorm2d" => {
            let make = if case.kind() == "BatchNorm1d" { nn::batch_norm1d } else { nn::batch_norm2d };
            let layer = make(at(), case.size("num_features")).eps(case.float("eps"));
            let layer = layer.momentum(case.setting("momentum").as_f64()).affine(case.flag("affine"));
            Box::new(layer.track(case.flag("track_running_stats")))
        }
        "LayerNorm" => {
            let layer = nn::layer_norm(at(), sizes("normalized_shape")).eps(case.float("eps")).bias(case.flag("bias"));
            Box::new(layer.affine(case.flag("elementwise_affine")))
        }
        "GroupNorm" => {
            let layer = nn::group_norm(at(), case.size("num_groups"), case.size("num_channels"));
            Box::new(layer.eps(case.float("eps")).affine(case.flag("affine")))
        }
        "InstanceNorm1d" | "InstanceNorm2d" => {
            let make = if case.kind() == "InstanceNorm1d" { nn::instance_norm1d } else { nn::instance_norm2d };
            Box::new(make(at(), case.size("num_features")).eps(case.float("eps")).affine(case.flag("affine")))
        }
        "RMSNorm" => {
            let layer = nn::rms_norm(at(), sizes("normalized_shape")).affine(case.flag("elementwise_affine"));
            match case.setting("eps").as_f64() {
                Some(eps) => Box::new(layer.eps(eps)),
                None => Box::new(layer),
            }
        }
        "MaxPool1d" | "MaxPool2d" | "MaxPool3d" => {
            let make: [fn(Sizes) -> nn::MaxPool; 3] = [nn::max_pool1d, nn::max_pool2d, nn::max_pool3d];
            let layer = make[case.sizes("kernel_size").len() - 1](sizes("kernel_size")).stride(sizes("stride"));
            let layer = layer.padding(sizes("padding")).dilation(sizes("dilation"));
            Box::new(layer.ceil(case.flag("ceil_mode")))
        }
        "AvgPool1d" | "AvgPool2d" | "AvgPool3d" => {
            let make: [fn(Sizes) -> nn::AvgPool; 3] = [nn::avg_pool1d, nn::avg_pool2d, nn::avg_pool3d];
            let layer = make[case.sizes("kernel_size").len() - 1](sizes("kernel_size")).stride(sizes("stride"));
            let layer = layer.padding(sizes("padding")).ceil(case.flag("ceil_mode"));
            let layer = layer.count_include_pad(case.flag("count_include_pad"));
            match case.setting("divisor_override").as_u64() {
                Some(divisor) => Box::new(layer.divisor(divisor as usize)),
                None => Box::new(layer),
            }
        }
        "AdaptiveAvgPool2d" => {
            let sizes: Vec<Option<u64>> =
                case.setting("output_size").as_array().ok_or("no size")?.iter().map(|n| n.as_u64()).collect();
            let known: Vec<usize> = sizes.iter().map(|n| n.unwrap_or(1) as usize).collect();
            let layer = nn::adaptive_avg_pool2d(known.as_slice());
            let kept = sizes.iter().enumerate().filter(|(_, size)| size.is_none());
            Box::new(kept.fold(layer, |layer, (axis, _)| layer.keep(axis)))
        }
        "ReLU" => Box::new(nn::Relu),
        "ReLU6" => Box::new(nn::Relu6),
        "LeakyReLU" => Box::new(nn::LeakyRelu(case.float("negative_slope"))),
        "ELU" => Box::new(nn::Elu(case.float("alpha"))),
        "SiLU" => Box::new(nn::Silu),
        "GELU" if case.setting("approximate") == "tanh" => Box::new(nn::GeluTanh),
        "GELU" => Box::new(nn::Gelu),
        "Softplus" => Box::new(nn::Softplus { beta: case.float("beta"), threshold: case.float("threshold") }),
        "Sigmoid" => Box::new(nn::Sigmoid),
        "Tanh" => Box::new(nn::Tanh),
        "Hardtanh" => Box::new(nn::Hardtanh { low: case.float("min_val"), high: case.float("max_val") }),
        "Softmax" => Box::new(nn::Softmax(case.setting("dim").as_i64().ok_or("no dim")? as isize)),
        "LogSoftmax" => Box::new(nn::LogSoftmax(case.setting("dim").as_i64().ok_or("no dim")? as isize)),
        "Upsample" => {
            let size = match case.setting("scale_factor").as_array() {
                Some(factors) => Resize::By(factors.iter().filter_map(|f| f.as_f64()).collect()),
                None => Resize::To(case.sizes("size")),
            };
            match case.setting("mode") == "nearest" {
                true => Box::new(nn::Upsample::Nearest(size)),
                false => Box::new(nn::Upsample::Linear { size, align_corners: case.flag("align_corners") }),
            }
        }
        "ReflectionPad1d" | "ReflectionPad2d" => match case.sizes("padding").as_slice() {
            &[left, right] => Box::new(nn::reflection_pad1d([left, right])),
            &[left, right, top, bottom] => Box::new(nn::reflection_pad2d([top, bottom], [left, right])),
            other => return Err(format!("padding {other:?}")),
        },
        kind => return Err(format!("unknown layer {kind}")),
    })
}
