#!/usr/bin/env python3
"""Writes the golden values: what PyTorch computes for small layers, losses, optimisers, schedules and one whole net.

    pip install torch==2.15.0 numpy safetensors
    python tests/golden/make.py            # writes into its own directory
    python tests/golden/make.py --out DIR  # writes elsewhere, to compare

README.md, next to this file, says what is in each file and how its tensors are named.

Rules that hold for every case:
* Its random numbers depend on its name alone, so a new case leaves the others as they are.
* Every float given to PyTorch is an f32 number. The f64 run and the f32 run therefore start from equal values, and
  differ only in how they compute.
* Settings are read off PyTorch's own signatures, defaults included, so that none is left to be guessed.
"""
import argparse
import contextlib
import inspect
import json
import math
import pathlib
import warnings
import zlib

import mpmath
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torch.nn import init
from torch.optim import SGD, Adam, AdamW, Muon, RMSprop, lr_scheduler

DTYPES = {"f64": torch.float64, "f32": torch.float32}
# Arguments that say where or how fast, or that PyTorch keeps only for old programs; none changes a value.
NOT_SETTINGS = {
    "device", "dtype", "inplace", "size_average", "reduce", "return_indices", "sparse", "optimizer", "params",
    "last_epoch", "foreach", "fused", "capturable", "differentiable", "min_value",
    "max_value",
}
SPATIAL = {"kernel_size", "stride", "padding", "dilation", "output_padding", "output_size", "size", "scale_factor"}


# ---------------------------------------------------------------- random numbers, settings, files

class Rand:
    """f32 random numbers of one case, seeded by its name."""

    def __init__(self, name):
        self.g = torch.Generator().manual_seed(zlib.crc32(name.encode()))

    def normal(self, *shape):
        return torch.randn(shape, generator=self.g)

    def uniform(self, low, high, *shape):
        return torch.rand(shape, generator=self.g) * (high - low) + low

    def ints(self, high, *shape):
        return torch.randint(high, shape, generator=self.g)

    def log_probs(self, *shape, dim=1):
        return self.normal(*shape).double().log_softmax(dim).float()

    def probs(self, *shape, dim=1):
        return self.normal(*shape).double().softmax(dim).float()


def to(value, dtype):
    """A float tensor in `dtype`; anything else unchanged."""
    return value.to(dtype) if torch.is_tensor(value) and value.is_floating_point() else value


def settings_of(function, given):
    """All arguments of a PyTorch constructor or function by name: those given, and the defaults of the others."""
    out = {}
    for p in inspect.signature(function).parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) or p.name in NOT_SETTINGS or p.name.startswith("_"):
            continue
        if p.name in given or p.default is not p.empty:
            out[p.name] = given.get(p.name, p.default)
    return out


def plain(value):
    """The JSON form of a setting."""
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if torch.is_tensor(value):
        return value.item()
    return value


def layer_settings(cls, given):
    """As `settings_of`, but spatial settings are always lists, one entry a dimension, and a pool's stride is stated."""
    out = settings_of(cls, {k: f"input/{k}" if torch.is_tensor(v) else v for k, v in given.items()})
    dims = next((int(d) for d in "123" if cls.__name__.endswith(d + "d")), 2 if cls is nn.Upsample else 0)
    if dims and out.get("stride", 0) is None:
        out["stride"] = out["kernel_size"]
    for key in SPATIAL & out.keys():
        if dims and isinstance(out[key], (int, float)) and not isinstance(out[key], bool):
            out[key] = [out[key]] * dims
    return {k: plain(v) for k, v in out.items()}


class Golden:
    """The cases so far: their entries in the index and the tensors of each file."""

    def __init__(self):
        self.index, self.files = [], {}

    def add(self, name, group, kind, settings, file, tensors, f64_only=(), **more):
        """`tensors`: for each dtype key, tensors by name without the case's name."""
        assert all(case["name"] != name for case in self.index), f"two cases are called {name}"
        names = sorted(tensors["f64"])
        assert set(tensors["f32"]) == set(names) - set(f64_only), name
        for key, by_name in tensors.items():
            store = self.files.setdefault(f"{file}_{key}.safetensors", {})
            for tensor_name, t in by_name.items():
                store[f"{name}/{tensor_name}"] = t.detach().clone().contiguous()
        self.index.append(dict(name=name, group=group, kind=kind, file=file, settings=settings, **more,
                               tensors=names, f64_only=sorted(f64_only)))

    def write(self, out):
        for name, tensors in self.files.items():
            save_file(tensors, out / name, metadata={"torch": torch.__version__})
        lines = ",\n".join(json.dumps(case) for case in self.index)
        (out / "index.json").write_text(f'{{"torch": {json.dumps(torch.__version__)}, "cases": [\n{lines}\n]}}\n')


GOLDEN = Golden()


# ---------------------------------------------------------------- layers and losses

def gradients(output, cotangent, leaves):
    """d sum(output * cotangent) / d leaf, by `grad/NAME`."""
    if not leaves:
        return {}
    grads = torch.autograd.grad((output * cotangent).sum(), list(leaves.values()))
    return {f"grad/{name}": g for name, g in zip(leaves, grads)}


def module_case(group, name, cls, inputs, training=True, x2=None, no_grad=(), **given):
    """One call of `cls(**given)` on `inputs` (by name, the first is called x), with parameters drawn at random.

    Tensors among the constructor's arguments (class weights) are stored with the inputs. Layers with running
    statistics get a second step on `x2`, and their statistics are stored after each step.
    """
    rand = Rand(name)
    shapes = cls(**given)
    params = {k: 0.5 * rand.normal(*p.shape) for k, p in shapes.named_parameters()}
    buffers = {k: b for k, b in shapes.named_buffers() if k not in given}
    for k, b in buffers.items():
        if b.is_floating_point():
            buffers[k] = rand.uniform(0.5, 1.5, *b.shape) if k == "running_var" else 0.5 * rand.normal(*b.shape)
    cotangent = rand.normal(*shapes.train(training)(*inputs.values()).shape)

    tensors = {}
    for key, dtype in DTYPES.items():
        module = cls(**{k: to(v, dtype) for k, v in given.items()}).to(dtype).train(training)
        module.load_state_dict({k: v.clone() for k, v in {**params, **buffers}.items()}, strict=False)
        xs = {k: to(v, dtype).clone() for k, v in inputs.items()}
        for k, v in xs.items():
            v.requires_grad_(v.is_floating_point() and k not in no_grad)
        out = {f"param/{k}": p.clone() for k, p in module.named_parameters()}
        out |= {f"buffer/{k}": b.clone() for k, b in module.named_buffers() if k in buffers}
        out |= {f"input/{k}": v for k, v in xs.items()}
        out |= {f"input/{k}": to(v, dtype) for k, v in given.items() if torch.is_tensor(v)}
        out["input/cotangent"] = to(cotangent, dtype)

        y = out["output/y"] = module(*xs.values())
        if buffers and training:
            out |= {f"output/{k}_1": b.clone() for k, b in module.named_buffers()}
        leaves = {k: v for k, v in xs.items() if v.requires_grad} | dict(module.named_parameters())
        out |= gradients(y, out["input/cotangent"], leaves)
        if x2 is not None:
            out["input/x2"] = to(x2, dtype)
            out["output/y2"] = module(out["input/x2"])
            out |= {f"output/{k}_2": b.clone() for k, b in module.named_buffers()}
        tensors[key] = out
    GOLDEN.add(name, group, cls.__name__, layer_settings(cls, given), "nn", tensors, training=training)


def layer(name, cls, shape, x=None, **given):
    module_case("layer", name, cls, {"x": Rand(name + "/x").normal(*shape) if x is None else x}, **given)


def linear_and_embedding():
    layer("linear", nn.Linear, (4, 3), in_features=3, out_features=5)
    layer("linear_no_bias", nn.Linear, (4, 3), in_features=3, out_features=5, bias=False)
    layer("linear_3d_input", nn.Linear, (2, 4, 3), in_features=3, out_features=5)
    layer("linear_1d_input", nn.Linear, (3,), in_features=3, out_features=5)
    ids = torch.tensor([[1, 0, 3, 3], [6, 2, 0, 1]])
    layer("embedding", nn.Embedding, (), x=ids, num_embeddings=7, embedding_dim=3)
    layer("embedding_padding_idx", nn.Embedding, (), x=ids, num_embeddings=7, embedding_dim=3, padding_idx=3)
    layer("embedding_padding_idx_negative", nn.Embedding, (), x=ids, num_embeddings=7, embedding_dim=3, padding_idx=-1)


def convolutions():
    c1, c2, c3 = nn.Conv1d, nn.Conv2d, nn.Conv3d
    layer("conv1d", c1, (2, 3, 8), in_channels=3, out_channels=4, kernel_size=3)
    layer("conv1d_stride_padding_dilation", c1, (2, 3, 11), in_channels=3, out_channels=4, kernel_size=3, stride=2,
          padding=2, dilation=2)
    layer("conv1d_groups", c1, (2, 4, 8), in_channels=4, out_channels=6, kernel_size=3, padding=1, groups=2)
    layer("conv1d_depthwise", c1, (2, 4, 8), in_channels=4, out_channels=4, kernel_size=5, padding=2, groups=4)
    layer("conv1d_same", c1, (2, 2, 7), in_channels=2, out_channels=3, kernel_size=4, padding="same")
    layer("conv2d", c2, (2, 3, 6, 5), in_channels=3, out_channels=4, kernel_size=3)
    layer("conv2d_no_bias", c2, (2, 3, 6, 5), in_channels=3, out_channels=4, kernel_size=3, padding=1, bias=False)
    layer("conv2d_1x1", c2, (2, 4, 3, 5), in_channels=4, out_channels=6, kernel_size=1)
    layer("conv2d_1x1_stride", c2, (2, 4, 5, 6), in_channels=4, out_channels=3, kernel_size=1, stride=2, bias=False)
    layer("conv2d_stride", c2, (2, 3, 8, 7), in_channels=3, out_channels=4, kernel_size=3, stride=2, padding=1)
    layer("conv2d_rectangular", c2, (2, 2, 9, 7), in_channels=2, out_channels=3, kernel_size=(3, 2), stride=(2, 1),
          padding=(2, 0), dilation=(1, 3))
    layer("conv2d_dilation", c2, (1, 2, 9, 9), in_channels=2, out_channels=3, kernel_size=3, padding=2, dilation=2)
    layer("conv2d_groups", c2, (2, 4, 5, 5), in_channels=4, out_channels=6, kernel_size=3, padding=1, groups=2)
    layer("conv2d_groups_stride", c2, (1, 6, 7, 7), in_channels=6, out_channels=3, kernel_size=3, stride=2, groups=3)
    layer("conv2d_depthwise", c2, (2, 4, 6, 6), in_channels=4, out_channels=4, kernel_size=3, padding=1, groups=4)
    layer("conv2d_depthwise_multiplier", c2, (2, 3, 6, 6), in_channels=3, out_channels=6, kernel_size=3, stride=2,
          padding=1, groups=3)
    layer("conv2d_same", c2, (1, 2, 6, 5), in_channels=2, out_channels=3, kernel_size=(3, 4), padding="same")
    layer("conv2d_stride_leaves_rest", c2, (1, 2, 8, 8), in_channels=2, out_channels=2, kernel_size=2, stride=3)
    layer("conv3d", c3, (1, 2, 4, 5, 4), in_channels=2, out_channels=3, kernel_size=3)
    layer("conv3d_stride_padding_dilation", c3, (1, 2, 6, 5, 7), in_channels=2, out_channels=3, kernel_size=(2, 3, 2),
          stride=(2, 1, 2), padding=(1, 1, 0), dilation=(2, 1, 3))
    layer("conv3d_groups", c3, (1, 4, 3, 4, 4), in_channels=4, out_channels=4, kernel_size=2, padding=1, groups=2)
    layer("conv3d_depthwise", c3, (1, 3, 4, 4, 4), in_channels=3, out_channels=3, kernel_size=3, padding=1, groups=3)

    t1, t2, t3 = nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d
    layer("conv_transpose1d", t1, (2, 3, 5), in_channels=3, out_channels=4, kernel_size=3)
    layer("conv_transpose1d_all", t1, (2, 4, 5), in_channels=4, out_channels=6, kernel_size=3, stride=3, padding=2,
          output_padding=2, groups=2, dilation=2)
    layer("conv_transpose2d", t2, (2, 3, 4, 4), in_channels=3, out_channels=2, kernel_size=3)
    layer("conv_transpose2d_stride", t2, (2, 3, 4, 3), in_channels=3, out_channels=2, kernel_size=4, stride=2,
          padding=1)
    layer("conv_transpose2d_output_padding", t2, (1, 3, 3, 4), in_channels=3, out_channels=2, kernel_size=3, stride=2,
          padding=1, output_padding=1)
    layer("conv_transpose2d_rectangular", t2, (1, 2, 3, 4), in_channels=2, out_channels=3, kernel_size=(3, 2),
          stride=(2, 3), padding=(1, 0), output_padding=(0, 1), dilation=(2, 1))
    layer("conv_transpose2d_groups", t2, (2, 4, 3, 3), in_channels=4, out_channels=6, kernel_size=3, stride=2, groups=2)
    layer("conv_transpose2d_depthwise", t2, (1, 3, 4, 4), in_channels=3, out_channels=3, kernel_size=4, stride=2,
          padding=1, groups=3, bias=False)
    layer("conv_transpose3d", t3, (1, 2, 3, 2, 3), in_channels=2, out_channels=3, kernel_size=2)
    layer("conv_transpose3d_all", t3, (1, 4, 2, 3, 2), in_channels=4, out_channels=2, kernel_size=(2, 3, 2), stride=2,
          padding=(0, 1, 1), output_padding=(0, 1, 0), groups=2, dilation=(1, 1, 2))


def normalisations():
    def batch_norm(name, cls, shape, training, **given):
        x = 2 * Rand(name + "/x").normal(*shape) + 0.5
        x2 = Rand(name + "/x2").normal(*shape) - 1 if training else None
        layer(name, cls, shape, x=x, x2=x2, training=training, **given)

    b1, b2 = nn.BatchNorm1d, nn.BatchNorm2d
    batch_norm("batch_norm1d_train", b1, (5, 3), True, num_features=3)
    batch_norm("batch_norm1d_train_3d", b1, (4, 3, 5), True, num_features=3)
    batch_norm("batch_norm1d_eval", b1, (5, 3), False, num_features=3)
    batch_norm("batch_norm2d_train", b2, (3, 2, 3, 4), True, num_features=2)
    batch_norm("batch_norm2d_train_settings", b2, (3, 2, 3, 4), True, num_features=2, eps=1e-3, momentum=0.3)
    batch_norm("batch_norm2d_train_cumulative", b2, (3, 2, 3, 4), True, num_features=2, momentum=None)
    batch_norm("batch_norm2d_train_no_affine", b2, (3, 2, 3, 4), True, num_features=2, affine=False)
    batch_norm("batch_norm2d_eval", b2, (3, 2, 3, 4), False, num_features=2)
    layer("batch_norm2d_no_statistics", b2, (3, 2, 3, 4), num_features=2, track_running_stats=False)
    layer("layer_norm", nn.LayerNorm, (3, 4, 6), normalized_shape=[6])
    layer("layer_norm_2_dims", nn.LayerNorm, (3, 4, 6), normalized_shape=[4, 6], eps=1e-3)
    layer("layer_norm_no_bias", nn.LayerNorm, (3, 6), normalized_shape=[6], bias=False)
    layer("layer_norm_no_affine", nn.LayerNorm, (3, 6), normalized_shape=[6], elementwise_affine=False)
    layer("group_norm", nn.GroupNorm, (2, 6, 3, 4), num_groups=3, num_channels=6)
    layer("group_norm_one_group", nn.GroupNorm, (2, 4, 5), num_groups=1, num_channels=4, eps=1e-3)
    layer("group_norm_2d_input", nn.GroupNorm, (3, 6), num_groups=2, num_channels=6)
    layer("group_norm_no_affine", nn.GroupNorm, (2, 4, 3, 3), num_groups=2, num_channels=4, affine=False)
    layer("instance_norm1d", nn.InstanceNorm1d, (2, 3, 7), num_features=3)
    layer("instance_norm2d", nn.InstanceNorm2d, (2, 3, 4, 3), num_features=3)
    layer("instance_norm2d_affine", nn.InstanceNorm2d, (2, 3, 4, 3), num_features=3, affine=True, eps=1e-3)
    layer("rms_norm", nn.RMSNorm, (3, 4, 6), normalized_shape=[6])
    layer("rms_norm_eps", nn.RMSNorm, (3, 6), normalized_shape=[6], eps=1e-5)
    layer("rms_norm_2_dims", nn.RMSNorm, (3, 4, 5), normalized_shape=[4, 5], eps=1e-6)
    layer("rms_norm_no_affine", nn.RMSNorm, (3, 6), normalized_shape=[6], eps=1e-6, elementwise_affine=False)


def pools():
    m1, m2, m3 = nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d
    layer("max_pool1d", m1, (2, 2, 7), kernel_size=2)
    layer("max_pool1d_all", m1, (2, 2, 10), kernel_size=3, stride=2, padding=1, dilation=2, ceil_mode=True)
    layer("max_pool2d", m2, (2, 2, 6, 4), kernel_size=2)
    layer("max_pool2d_overlap", m2, (1, 2, 7, 7), kernel_size=3, stride=2, padding=1)
    layer("max_pool2d_ceil", m2, (1, 2, 6, 7), kernel_size=3, stride=2, ceil_mode=True)
    layer("max_pool2d_ceil_window_in_padding", m2, (1, 1, 5, 5), kernel_size=2, stride=3, padding=1, ceil_mode=True)
    layer("max_pool2d_all", m2, (1, 2, 8, 9), kernel_size=(3, 2), stride=(2, 3), padding=(1, 0), dilation=(2, 3),
          ceil_mode=True)
    layer("max_pool2d_ties", m2, (), x=Rand("ties").ints(3, 1, 2, 6, 6).float(), kernel_size=3, stride=2, padding=1)
    layer("max_pool3d", m3, (1, 2, 4, 5, 4), kernel_size=2)
    layer("max_pool3d_all", m3, (1, 1, 5, 6, 7), kernel_size=(2, 3, 2), stride=(1, 2, 2), padding=(1, 1, 0),
          dilation=(2, 1, 3), ceil_mode=True)

    a1, a2, a3 = nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d
    layer("avg_pool1d", a1, (2, 2, 7), kernel_size=2)
    layer("avg_pool2d", a2, (1, 2, 6, 4), kernel_size=2)
    layer("avg_pool2d_divisor", a2, (1, 2, 5, 5), kernel_size=3, stride=2, divisor_override=4)
    layer("avg_pool2d_rectangular", a2, (1, 2, 7, 6), kernel_size=(3, 2), stride=(1, 2), padding=(1, 0))
    for ceil in (False, True):
        for count in (False, True):
            tag = ("_ceil" if ceil else "") + ("_count_pad" if count else "_no_count_pad")
            more = dict(kernel_size=3, stride=2, padding=1, ceil_mode=ceil, count_include_pad=count)
            layer("avg_pool1d" + tag, a1, (1, 2, 8), **more)
            layer("avg_pool2d" + tag, a2, (1, 2, 6, 7), **more)
            layer("avg_pool3d" + tag, a3, (1, 1, 4, 5, 6), **more)

    ad = nn.AdaptiveAvgPool2d
    layer("adaptive_avg_pool2d_global", ad, (2, 3, 5, 4), output_size=1)
    layer("adaptive_avg_pool2d_divisible", ad, (1, 2, 6, 8), output_size=(3, 2))
    layer("adaptive_avg_pool2d_uneven", ad, (1, 2, 7, 5), output_size=(3, 4))
    layer("adaptive_avg_pool2d_larger", ad, (1, 2, 3, 4), output_size=(5, 6))
    layer("adaptive_avg_pool2d_keep_one", ad, (1, 2, 5, 7), output_size=(None, 3))


def activations():
    # The kinks of all of them, both zeros, the far ends, and random points between.
    kinks = [-100, -20, -6, -3, -1, -0.5, -0.0, 0.0, 0.5, 1, 3, 5, 6, 10, 20, 21, 100]

    def activation(name, cls, **given):
        x = torch.cat([torch.tensor(kinks), 2 * Rand(name + "/x").normal(13)]).reshape(3, 10)
        layer(name, cls, (), x=x, **given)

    activation("relu", nn.ReLU)
    activation("leaky_relu", nn.LeakyReLU)
    activation("leaky_relu_slope", nn.LeakyReLU, negative_slope=0.2)
    activation("elu", nn.ELU)
    activation("elu_alpha", nn.ELU, alpha=0.5)
    activation("silu", nn.SiLU)
    activation("gelu", nn.GELU)
    activation("gelu_tanh", nn.GELU, approximate="tanh")
    activation("softplus", nn.Softplus)
    activation("softplus_beta_threshold", nn.Softplus, beta=2.0, threshold=6.0)
    activation("sigmoid", nn.Sigmoid)
    activation("tanh", nn.Tanh)
    activation("hardtanh", nn.Hardtanh)
    activation("hardtanh_range", nn.Hardtanh, min_val=-0.5, max_val=3.0)
    activation("relu6", nn.ReLU6)
    for tag, cls in (("softmax", nn.Softmax), ("log_softmax", nn.LogSoftmax)):
        layer(tag, cls, (3, 5), dim=1)
        layer(tag + "_middle_dim", cls, (2, 4, 3), dim=1)
        layer(tag + "_negative_dim", cls, (2, 3, 4), dim=-1)
        layer(tag + "_large", cls, (), x=1000 * Rand(tag).normal(3, 5), dim=1)
    masked = Rand("masked").normal(3, 4)
    masked[0, 1:] = masked[1, 2] = -math.inf
    layer("softmax_masked", nn.Softmax, (), x=masked, dim=1)


def resizing_and_padding():
    up = nn.Upsample
    layer("upsample_nearest_scale", up, (1, 2, 3, 4), scale_factor=2, mode="nearest")
    layer("upsample_nearest_size", up, (1, 2, 3, 4), size=(5, 7), mode="nearest")
    layer("upsample_nearest_down", up, (1, 2, 7, 5), size=(3, 2), mode="nearest")
    layer("upsample_nearest_fraction", up, (1, 1, 5, 4), scale_factor=(1.5, 2.3), mode="nearest")
    for align in (False, True):
        tag = "_align" if align else ""
        layer("upsample_bilinear_scale" + tag, up, (1, 2, 3, 4), scale_factor=2, mode="bilinear", align_corners=align)
        layer("upsample_bilinear_size" + tag, up, (1, 2, 3, 4), size=(5, 7), mode="bilinear", align_corners=align)
        layer("upsample_bilinear_down" + tag, up, (1, 2, 7, 5), size=(3, 2), mode="bilinear", align_corners=align)
        layer("upsample_bilinear_fraction" + tag, up, (1, 1, 5, 4), scale_factor=(1.5, 2.3), mode="bilinear",
              align_corners=align)
        layer("upsample_bilinear_to_one" + tag, up, (1, 1, 3, 4), size=(1, 1), mode="bilinear", align_corners=align)
    # PyTorch's order: the last dimension's left and right, then top and bottom.
    layer("reflection_pad1d", nn.ReflectionPad1d, (1, 2, 5), padding=(3, 1))
    layer("reflection_pad2d", nn.ReflectionPad2d, (1, 2, 4, 5), padding=(1, 4, 0, 3))


def losses():
    def loss(name, cls, x, target, **given):
        module_case("loss", name, cls, {"x": x, "target": target}, **given)

    # Targets that are class numbers.
    classes = torch.tensor([2, 0, 3, 3, 1])
    some_ignored = torch.tensor([2, -100, 3, -100, 1])
    class_weights = torch.tensor([0.5, 2.0, 1.25, 0.0625])
    for tag, cls, draw in (("cross_entropy", nn.CrossEntropyLoss, lambda r, *s: 2 * r.normal(*s)),
                           ("nll", nn.NLLLoss, lambda r, *s: r.log_probs(*s))):
        def by_class(name, target=classes, shape=(5, 4), **given):
            loss(f"{tag}_{name}", cls, draw(Rand(f"{tag}_{name}/x"), *shape), target, **given)

        spatial = Rand(tag + "/spatial").ints(4, 2, 3, 2)
        for reduction in ("mean", "sum", "none"):
            by_class(reduction, reduction=reduction)
            by_class(f"weight_{reduction}", weight=class_weights, reduction=reduction)
            by_class(f"ignore_{reduction}", target=some_ignored, reduction=reduction)
            by_class(f"spatial_{reduction}", target=spatial, shape=(2, 4, 3, 2), reduction=reduction)
        by_class("ignore_index_3", ignore_index=3)
        by_class("spatial_weight_ignore", target=spatial, shape=(2, 4, 3, 2), weight=class_weights, ignore_index=2)

    ce = nn.CrossEntropyLoss
    loss("cross_entropy_unbatched", ce, Rand("cross_entropy_unbatched/x").normal(4), torch.tensor(2))
    for reduction in ("mean", "sum", "none"):
        name = f"cross_entropy_smoothing_{reduction}"
        loss(name, ce, Rand(name + "/x").normal(5, 4), classes, label_smoothing=0.1, reduction=reduction)
        name = f"cross_entropy_smoothing_weight_ignore_{reduction}"
        loss(name, ce, Rand(name + "/x").normal(5, 4), some_ignored, label_smoothing=0.2, weight=class_weights,
             reduction=reduction)
        name = f"cross_entropy_probabilities_{reduction}"
        loss(name, ce, Rand(name + "/x").normal(5, 4), Rand(name + "/target").probs(5, 4), weight=class_weights,
             label_smoothing=0.1, reduction=reduction)
    loss("cross_entropy_smoothing_spatial", ce, Rand("smoothing_spatial/x").normal(2, 4, 3, 2),
         Rand("smoothing_spatial").ints(4, 2, 3, 2), label_smoothing=0.1)
    loss("cross_entropy_large", ce, 1000 * Rand("cross_entropy_large/x").normal(5, 4), classes)

    # Targets of the input's shape.
    bce = nn.BCEWithLogitsLoss
    x, target = 3 * Rand("bce/x").normal(4, 3), Rand("bce/target").uniform(0, 1, 4, 3)
    target[0] = torch.tensor([0.0, 1.0, 0.0])
    x[1] = torch.tensor([0.0, 100.0, -100.0])
    weight, pos_weight = Rand("bce/weight").uniform(0, 2, 4, 1), torch.tensor([0.5, 3.0, 1.0])
    for reduction in ("mean", "sum", "none"):
        loss(f"bce_with_logits_{reduction}", bce, x, target, reduction=reduction)
        loss(f"bce_with_logits_weight_{reduction}", bce, x, target, weight=weight, reduction=reduction)
        loss(f"bce_with_logits_pos_weight_{reduction}", bce, x, target, pos_weight=pos_weight, reduction=reduction)
    loss("bce_with_logits_both_weights", bce, x, target, weight=weight, pos_weight=pos_weight)

    x, target = 2 * Rand("regression/x").normal(4, 3), Rand("regression/target").normal(4, 3)
    target[0] = 0.5
    x[0] = torch.tensor([0.5, 1.5, 0.0])  # differences of 0, 1 and -0.5: the kinks of l1, huber and smooth_l1
    for reduction in ("mean", "sum", "none"):
        loss(f"mse_{reduction}", nn.MSELoss, x, target, reduction=reduction)
        loss(f"l1_{reduction}", nn.L1Loss, x, target, reduction=reduction)
        loss(f"huber_{reduction}", nn.HuberLoss, x, target, reduction=reduction)
        loss(f"smooth_l1_{reduction}", nn.SmoothL1Loss, x, target, reduction=reduction)
    loss("huber_delta", nn.HuberLoss, x, target, delta=0.5)
    loss("smooth_l1_beta", nn.SmoothL1Loss, x, target, beta=0.5)
    loss("smooth_l1_beta_zero", nn.SmoothL1Loss, x, target, beta=0.0)

    x, target = Rand("kl/x").log_probs(4, 3), Rand("kl/target").probs(4, 3)
    for reduction in ("mean", "batchmean", "sum", "none"):
        loss(f"kl_div_{reduction}", nn.KLDivLoss, x, target, reduction=reduction)
        loss(f"kl_div_log_target_{reduction}", nn.KLDivLoss, x, Rand("kl/log_target").log_probs(4, 3),
             log_target=True, reduction=reduction)
    with_zeros = target.clone()
    with_zeros[0] = torch.tensor([0.0, 1.0, 0.0])
    loss("kl_div_zero_target", nn.KLDivLoss, x, with_zeros, no_grad=("target",), reduction="batchmean")


# ---------------------------------------------------------------- optimisers

STEPS = 10


@contextlib.contextmanager
def unrounded():
    """Muon rounds to bfloat16 on the way; the golden values are of its formula."""
    kept, torch.bfloat16 = torch.bfloat16, None
    try:
        yield
    finally:
        torch.bfloat16 = kept


def optimiser(name, cls, groups=({"params": ["w", "b"]},), **given):
    """Ten steps on a quadratic plus sines. Gradients and results are stored with the step as first dimension."""
    rand = Rand("optimiser")  # the same start and problem for all
    start = {"w": rand.normal(3, 2), "b": rand.normal(4)}
    centre = {k: rand.normal(*v.shape) for k, v in start.items()}
    tensors = {}
    for key, dtype in DTYPES.items():
        params = {k: to(v, dtype).clone().requires_grad_() for k, v in start.items()}
        how = {} if cls is Muon else {"foreach": False}
        opt = cls([{**g, "params": [params[k] for k in g["params"]]} for g in groups], **how, **given)
        grads, results = {k: [] for k in params}, {k: [] for k in params}
        for _ in range(STEPS):
            opt.zero_grad()
            loss = 0.1 * params["w"].sum() * params["b"].sum()
            for k, p in params.items():
                loss = loss + (0.5 * (p - to(centre[k], dtype)) ** 2 + torch.sin(3 * p)).sum()
            loss.backward()
            for k, p in params.items():
                grads[k].append(p.grad.clone())
            with unrounded():
                opt.step()
            for k, p in params.items():
                results[k].append(p.detach().clone())
        tensors[key] = {f"param/{k}": to(v, dtype) for k, v in start.items()}
        tensors[key] |= {f"grad/{k}": torch.stack(v) for k, v in grads.items()}
        tensors[key] |= {f"output/{k}": torch.stack(v) for k, v in results.items()}
    settings = {k: plain(v) for k, v in settings_of(cls, given).items()}
    GOLDEN.add(name, "optimiser", cls.__name__, settings, "optim", tensors, groups=list(groups))


def clip(name, function, scale=1.0, **given):
    rand = Rand(name)
    start = {"w": scale * rand.normal(3, 2), "b": scale * rand.normal(4)}
    tensors = {}
    for key, dtype in DTYPES.items():
        params = {k: nn.Parameter(torch.zeros_like(to(v, dtype))) for k, v in start.items()}
        for k, p in params.items():
            p.grad = to(start[k], dtype).clone()
        norm = function(params.values(), foreach=False, **given)
        tensors[key] = {f"input/{k}": to(v, dtype) for k, v in start.items()}
        tensors[key] |= {f"output/{k}": p.grad for k, p in params.items()}
        if norm is not None:
            tensors[key]["output/total_norm"] = norm
    settings = {k: plain(v) for k, v in settings_of(function, given).items() if k != "parameters"}
    GOLDEN.add(name, "clip", function.__name__, settings, "optim", tensors)


def optimisers():
    optimiser("sgd", SGD, lr=0.05)
    optimiser("sgd_weight_decay", SGD, lr=0.05, weight_decay=0.1)
    optimiser("sgd_momentum", SGD, lr=0.05, momentum=0.9)
    optimiser("sgd_momentum_dampening", SGD, lr=0.05, momentum=0.9, dampening=0.3)
    optimiser("sgd_momentum_weight_decay", SGD, lr=0.05, momentum=0.9, weight_decay=0.1)
    optimiser("sgd_nesterov", SGD, lr=0.05, momentum=0.9, nesterov=True)
    optimiser("sgd_nesterov_weight_decay", SGD, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1)
    optimiser("sgd_maximize", SGD, lr=0.01, momentum=0.9, maximize=True)
    optimiser("rmsprop", RMSprop)
    optimiser("rmsprop_settings", RMSprop, lr=0.02, alpha=0.9, eps=1e-3)
    optimiser("rmsprop_centered", RMSprop, lr=0.02, centered=True)
    optimiser("rmsprop_momentum", RMSprop, lr=0.02, momentum=0.9)
    optimiser("rmsprop_weight_decay", RMSprop, lr=0.02, weight_decay=0.1)
    optimiser("rmsprop_centered_momentum", RMSprop, lr=0.02, centered=True, momentum=0.5, weight_decay=0.1)
    optimiser("adam", Adam)
    optimiser("adam_settings", Adam, lr=0.1, betas=(0.5, 0.9), eps=1e-3)
    optimiser("adam_weight_decay", Adam, lr=0.1, weight_decay=0.1)
    optimiser("adam_amsgrad", Adam, lr=0.1, amsgrad=True)
    optimiser("adamw", AdamW)
    optimiser("adamw_settings", AdamW, lr=0.1, betas=(0.5, 0.9), weight_decay=0.1)
    optimiser("adamw_amsgrad", AdamW, lr=0.1, amsgrad=True, weight_decay=0.1)
    optimiser("muon", Muon, groups=({"params": ["w"]},), lr=0.02, weight_decay=0.0)
    optimiser("muon_settings", Muon, groups=({"params": ["w"]},), lr=0.1, momentum=0.5, nesterov=False, weight_decay=0.1)
    two = ({"params": ["w"], "lr": 0.02, "weight_decay": 0.2}, {"params": ["b"], "weight_decay": 0.0})
    optimiser("sgd_two_groups", SGD, two, lr=0.05, momentum=0.9)
    optimiser("rmsprop_two_groups", RMSprop, two, lr=0.05)
    optimiser("adam_two_groups", Adam, two, lr=0.05)
    optimiser("adamw_two_groups", AdamW, two, lr=0.05)

    norm = nn.utils.clip_grad_norm_
    clip("clip_grad_norm", norm, max_norm=1.0)
    clip("clip_grad_norm_below", norm, max_norm=100.0)
    clip("clip_grad_norm_1", norm, max_norm=1.0, norm_type=1.0)
    clip("clip_grad_norm_inf", norm, max_norm=0.5, norm_type=math.inf)
    clip("clip_grad_norm_zero", norm, scale=0.0, max_norm=1.0)
    clip("clip_grad_value", nn.utils.clip_grad_value_, clip_value=0.5)


# ---------------------------------------------------------------- schedules

def schedules():
    """The rate (and momentum, where it is scheduled) at the start and after each of 30 scheduler steps."""
    out = []
    S = lr_scheduler

    def settings(cls, given):
        return {k: plain(v) for k, v in settings_of(cls, given).items()}

    def run(name, kind, given, build, lr, metrics=None):
        opt = SGD([nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
        scheduler = build(opt)
        lrs, momenta = [], []
        for i in range(31):
            if i:
                opt.step()
                scheduler.step(*([metrics[i - 1]] if metrics else []))
            lrs.append(opt.param_groups[0]["lr"])
            momenta.append(opt.param_groups[0]["momentum"])
        entry = dict(name=name, kind=kind, base_lr=lr, settings=given, initial=plain(lrs[0]), lrs=plain(lrs[1:]))
        if metrics:
            entry["metrics"] = metrics
        if len(set(momenta)) > 1:
            entry |= dict(initial_momentum=momenta[0], momenta=momenta[1:])
        out.append(entry)

    def schedule(name, cls, lr=0.1, metrics=None, **given):
        run(name, cls.__name__, settings(cls, given), lambda opt: cls(opt, **given), lr, metrics)

    def sequence(name, parts, milestones, lr=0.1):
        inner = [dict(kind=cls.__name__, settings=settings(cls, given)) for cls, given in parts]
        run(name, "SequentialLR", dict(milestones=milestones, schedulers=inner),
            lambda opt: S.SequentialLR(opt, [cls(opt, **given) for cls, given in parts], milestones), lr)

    schedule("constant", S.ConstantLR, factor=0.25, total_iters=7)
    schedule("step", S.StepLR, step_size=7)
    schedule("step_gamma", S.StepLR, step_size=4, gamma=0.5)
    schedule("multi_step", S.MultiStepLR, milestones=[3, 10, 11, 25], gamma=0.3)
    schedule("multi_step_repeated", S.MultiStepLR, milestones=[5, 5, 20])
    schedule("exponential", S.ExponentialLR, gamma=0.9)
    schedule("cosine", S.CosineAnnealingLR, T_max=30)
    schedule("cosine_eta_min", S.CosineAnnealingLR, T_max=30, eta_min=0.01)
    schedule("cosine_past_the_end", S.CosineAnnealingLR, T_max=12, eta_min=0.001)
    schedule("linear", S.LinearLR)
    schedule("linear_warm_up", S.LinearLR, start_factor=0.01, end_factor=1.0, total_iters=10)
    schedule("linear_decay", S.LinearLR, start_factor=1.0, end_factor=0.1, total_iters=20)
    sequence("warm_up_then_cosine", [(S.LinearLR, dict(start_factor=0.1, total_iters=5)),
                                     (S.CosineAnnealingLR, dict(T_max=25, eta_min=0.001))], [5])
    sequence("three_in_sequence", [(S.ConstantLR, dict(factor=0.5, total_iters=4)), (S.ExponentialLR, dict(gamma=0.9)),
                                   (S.StepLR, dict(step_size=3, gamma=0.5))], [4, 14])
    schedule("one_cycle_cos", S.OneCycleLR, max_lr=0.5, total_steps=31)
    schedule("one_cycle_linear", S.OneCycleLR, max_lr=0.5, total_steps=31, anneal_strategy="linear")
    schedule("one_cycle_three_phase", S.OneCycleLR, max_lr=0.5, total_steps=31, three_phase=True, pct_start=0.4)
    schedule("one_cycle_settings", S.OneCycleLR, max_lr=0.5, epochs=4, steps_per_epoch=10, pct_start=0.25,
             div_factor=10.0, final_div_factor=100.0, base_momentum=0.8, max_momentum=0.9)
    schedule("one_cycle_no_momentum", S.OneCycleLR, max_lr=0.5, total_steps=31, cycle_momentum=False)
    falling = [1.0, 0.9, 0.8, 0.8, 0.79995, 0.85, 0.81, 0.8, 0.7, 0.71, 0.72, 0.71, 0.73, 0.7, 0.7, 0.7, 0.6, 0.65,
               0.65, 0.66, 0.64, 0.63, 0.62, 0.61, 0.6, 0.6, 0.59, 0.6, 0.6, 0.6]
    schedule("plateau", S.ReduceLROnPlateau, metrics=falling, patience=3)
    schedule("plateau_no_patience", S.ReduceLROnPlateau, metrics=falling, patience=0, factor=0.5)
    schedule("plateau_cooldown", S.ReduceLROnPlateau, metrics=falling, patience=1, cooldown=3, factor=0.5)
    schedule("plateau_absolute", S.ReduceLROnPlateau, metrics=falling, patience=2, threshold=0.05, threshold_mode="abs")
    schedule("plateau_min_lr", S.ReduceLROnPlateau, metrics=falling, patience=1, factor=0.1, min_lr=0.005)
    schedule("plateau_max", S.ReduceLROnPlateau, metrics=[1.6 - m for m in falling], mode="max", patience=2, factor=0.5)
    return out


# ---------------------------------------------------------------- initialisers

def initialisers():
    """What PyTorch's formulas give: gains, fans, and from both the bounds and deviations of its initialisers."""
    nonlinearities = [("linear", None), ("conv2d", None), ("sigmoid", None), ("tanh", None), ("relu", None),
                      ("selu", None), ("leaky_relu", None), ("leaky_relu", 0.2), ("leaky_relu", math.sqrt(5))]
    gains = [dict(nonlinearity=n, param=p, gain=init.calculate_gain(n, p)) for n, p in nonlinearities]
    shapes = [(5, 3), (1, 7), (64, 3, 7), (6, 1, 5, 5), (16, 6, 5, 5), (32, 1, 3, 3), (8, 4, 3, 3, 3)]
    fans, xavier, kaiming = [], [], []
    for shape in shapes:
        fan_in, fan_out = init._calculate_fan_in_and_fan_out(torch.empty(shape))
        fans.append(dict(shape=shape, fan_in=fan_in, fan_out=fan_out))
        for gain in (1.0, init.calculate_gain("tanh"), init.calculate_gain("relu")):
            std = gain * math.sqrt(2.0 / (fan_in + fan_out))
            xavier.append(dict(shape=shape, gain=gain, std=std, bound=math.sqrt(3.0) * std))
        for mode, fan in (("fan_in", fan_in), ("fan_out", fan_out)):
            for nonlinearity, a in (("relu", 0.0), ("leaky_relu", 0.2), ("leaky_relu", math.sqrt(5)), ("linear", 0.0)):
                std = init.calculate_gain(nonlinearity, a) / math.sqrt(fan)
                kaiming.append(dict(shape=shape, mode=mode, nonlinearity=nonlinearity, a=a, std=std,
                                    bound=math.sqrt(3.0) * std))
    # The formulas above are PyTorch's: none of its draws leaves the bound, and the largest of many comes near it.
    for draw, entries in ((init.xavier_uniform_, xavier), (init.kaiming_uniform_, kaiming)):
        for e in entries:
            args = {k: v for k, v in e.items() if k not in ("shape", "std", "bound")}
            g = Rand("initialisers").g
            largest = max(draw(torch.empty(e["shape"]), generator=g, **args).abs().max() for _ in range(200))
            assert 0.98 * e["bound"] < largest <= e["bound"] * (1 + 1e-6), (e, largest)
    return dict(gains=gains, fans=fans, xavier=xavier, kaiming=kaiming)


# ---------------------------------------------------------------- special functions

def special_functions():
    """Functions on a grid of f32 points, correctly rounded to f64: mpmath at 60 digits, and PyTorch's f64 for zeros,
    infinities and NaN. Both are compared, so a slip in a formula here does not go unseen."""
    mpmath.mp.dps = 60
    mp = mpmath
    inf, nan = math.inf, math.nan

    def sigmoid(x):
        return 1 / (1 + mp.exp(-x))

    functions = {  # name: exact, PyTorch, low, high, points beyond the grid
        "exp": (mp.exp, torch.exp, -104, 89, [-inf, inf, nan, 88.72283, 88.72284, -87.33655, -103.97, -103.98]),
        "log": (mp.log, torch.log, 0, 10, [inf, nan, -1.0, 1e-45, 1.1754944e-38, 3.4028235e38, 1.0]),
        "log1p": (mp.log1p, torch.log1p, -1, 10, [inf, nan, -1.0, -1.5, -0.99999994, 3.4028235e38]),
        "expm1": (mp.expm1, torch.expm1, -30, 89, [-inf, inf, nan, 88.72284]),
        "tanh": (mp.tanh, torch.tanh, -12, 12, [-inf, inf, nan, 9.01, -9.02, 100.0]),
        "sigmoid": (sigmoid, torch.sigmoid, -110, 40, [-inf, inf, nan]),
        "erf": (mp.erf, torch.erf, -5, 5, [-inf, inf, nan, 3.9192059, 100.0]),
        "gelu": (lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2, F.gelu, -15, 8, [inf, nan, -13.5, 100.0]),
        "gelu_tanh": (lambda x: x * sigmoid(2 * mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x ** 3)),
                      lambda x: F.gelu(x, approximate="tanh"), -12, 8, [inf, nan, 100.0]),
        "silu": (lambda x: x * sigmoid(x), F.silu, -110, 40, [inf, nan]),
        "softplus": (lambda x: mp.log1p(mp.exp(x)), F.softplus, -110, 40, [-inf, inf, nan, 20.0, 20.000002]),
        "sin": (mp.sin, torch.sin, -30, 30, [-inf, inf, nan, 1e4, -12345.678, 1e6, 1e10, 3.4028235e38, 3.1415927]),
        "cos": (mp.cos, torch.cos, -30, 30, [-inf, inf, nan, 1e4, -12345.678, 1e6, 1e10, 3.4028235e38, 1.5707964]),
    }
    store = {}

    def evaluate(name, exact, torch_function, *xs):
        wide = [x.double() for x in xs]
        y = torch_function(*wide)
        for i, point in enumerate(zip(*(w.tolist() for w in wide))):
            # Zeros, infinities, NaN, and points where the function has no finite real value, are left to PyTorch.
            if all(math.isfinite(v) and v != 0 for v in point) and math.isfinite(y[i]):
                value = float(exact(*(mp.mpf(v) for v in point)))
                assert abs(value - y[i].item()) <= 1e-9 * (1 + abs(value)), (name, point, value, y[i].item())
                y[i] = value
        for key, x in zip("xy", xs):
            store[f"{name}/input/{key}"] = x
        store[f"{name}/output/y"] = y

    for name, (exact, torch_function, low, high, more) in functions.items():
        rand = Rand("special/" + name)
        tiny = 2.0 ** rand.uniform(-140, -2, 60)  # many scales near zero, subnormal ones too
        signs = torch.ones(60) if low == 0 else 1 - 2.0 * rand.ints(2, 60)
        near_one = 1 + rand.normal(20) * 1e-3
        ends = torch.tensor([0.0] + more) if low == 0 else torch.tensor([0.0, -0.0] + more)
        x = torch.cat([rand.uniform(low, high, 300), tiny * signs, near_one, ends])
        evaluate(name, exact, torch_function, x)

    rand = Rand("special/pow")
    base = 2.0 ** rand.uniform(-20, 20, 300)
    exponent = rand.uniform(-6, 6, 300)
    near_one = 1 + rand.normal(40) * 1e-3
    large = 2000 * rand.normal(40)
    whole_base, whole = 3 * rand.normal(40), (rand.ints(13, 40) - 6).float()
    ends = [(b, e) for b in (0.0, -0.0, 1.0, -1.0, 2.0, -8.0, inf, -inf, nan)
            for e in (0.0, -0.0, 1.0, -1.0, 2.0, 3.0, 0.5, -0.5, 1 / 3, inf, -inf, nan)]
    x = torch.cat([base, near_one, whole_base, torch.tensor([b for b, _ in ends])])
    y = torch.cat([exponent, large, whole, torch.tensor([e for _, e in ends])])
    evaluate("pow", lambda b, e: mp.power(b, int(e) if e == int(e) else e), torch.pow, x, y)
    return store


# ---------------------------------------------------------------- a whole net

class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x)))))


def lenet5():
    """Forward, loss and all gradients, then three SGD steps on the same two images. The f32 file leaves out the weights
    of the layers in the middle, to stay small."""
    torch.manual_seed(5)
    start = LeNet5().state_dict()
    x, target = Rand("lenet5").normal(2, 1, 28, 28), torch.tensor([3, 8])
    large = [k for k in start if start[k].numel() > 2000]
    f64_only = {f"{part}/{k}" for part in ("param", "grad", "output/step3") for k in large}
    lr, momentum, steps = 0.05, 0.9, 3
    tensors = {}
    for key, dtype in DTYPES.items():
        net = LeNet5().to(dtype)
        net.load_state_dict(start)
        images = to(x, dtype).requires_grad_()
        out = {f"param/{k}": p.detach().clone() for k, p in net.named_parameters()}
        out |= {"input/x": images, "input/target": target}
        opt = SGD(net.parameters(), lr=lr, momentum=momentum, foreach=False)
        losses = []
        for step in range(steps):
            opt.zero_grad()
            logits = net(images)
            loss = F.cross_entropy(logits, target)
            loss.backward()
            losses.append(loss.detach())
            if step == 0:
                out |= {"output/logits": logits.detach(), "output/loss": loss.detach(), "grad/x": images.grad.clone()}
                out |= {f"grad/{k}": p.grad.clone() for k, p in net.named_parameters()}
            opt.step()
        out |= {f"output/step{steps}/{k}": p.detach().clone() for k, p in net.named_parameters()}
        out["output/losses"] = torch.stack(losses)  # before each step
        tensors[key] = {k: v for k, v in out.items() if key == "f64" or k not in f64_only}
    GOLDEN.add("lenet5", "net", "LeNet5", dict(lr=lr, momentum=momentum, steps=steps), "lenet5", tensors, f64_only)


# ---------------------------------------------------------------- attention

def attention_case(name, kind, settings, inputs, params, run):
    """`run(inputs, params)` in both dtypes, and the gradients of all that is float."""
    cotangent, tensors = None, {}
    for key, dtype in DTYPES.items():
        xs, ps = ({k: to(v, dtype).clone() for k, v in part.items()} for part in (inputs, params))
        for t in (*xs.values(), *ps.values()):
            t.requires_grad_(t.is_floating_point() and bool(t.isfinite().all()))
        y = run(xs, ps)
        if cotangent is None:
            cotangent = Rand(name + "/cotangent").normal(*y.shape)
        leaves = {k: t for k, t in (xs | ps).items() if t.requires_grad}
        tensors[key] = ({f"input/{k}": t for k, t in xs.items()} | {f"param/{k}": t for k, t in ps.items()}
                        | {"input/cotangent": to(cotangent, dtype), "output/y": y}
                        | gradients(y, to(cotangent, dtype), leaves))
    GOLDEN.add(name, "attention", kind, settings, "attention", tensors)


def attention():
    def sdpa(name, q, k, v=None, mask=None, **given):
        rand = Rand(name)
        inputs = {"q": rand.normal(*q), "k": rand.normal(*k), "v": rand.normal(*(v or k))}
        if mask is not None:
            inputs["attn_mask"] = mask(rand)
        settings = dict(is_causal=False, scale=None, enable_gqa=False) | given
        attention_case(name, "scaled_dot_product_attention", settings, inputs, {}, lambda xs, _: (
            F.scaled_dot_product_attention(xs["q"], xs["k"], xs["v"], xs.get("attn_mask"), **settings)))

    def pairs(*shape):
        return lambda rand: rand.uniform(0, 1, *shape) < 0.6

    def some_closed(rand):
        closed = rand.uniform(0, 1, 5, 7) < 0.4
        closed[2] = True
        return torch.zeros(5, 7).masked_fill(closed, -math.inf)

    def no_row(rand):
        open_ = rand.uniform(0, 1, 2, 1, 5, 7) < 0.6
        open_[0, 0, 3] = False
        return open_

    sdpa("sdpa", (2, 3, 5, 4), (2, 3, 5, 4))
    sdpa("sdpa_2d", (5, 4), (7, 4), (7, 3))
    sdpa("sdpa_3d", (2, 5, 4), (2, 7, 4))
    sdpa("sdpa_more_keys", (2, 2, 5, 4), (2, 2, 7, 4), (2, 2, 7, 6))
    sdpa("sdpa_more_queries", (2, 2, 7, 4), (2, 2, 5, 4))
    sdpa("sdpa_scale", (2, 2, 5, 4), (2, 2, 5, 4), scale=0.3)
    sdpa("sdpa_causal", (2, 3, 6, 4), (2, 3, 6, 4), is_causal=True)
    sdpa("sdpa_causal_more_keys", (1, 2, 5, 4), (1, 2, 8, 4), is_causal=True)
    sdpa("sdpa_causal_more_queries", (1, 2, 8, 4), (1, 2, 5, 4), is_causal=True)
    sdpa("sdpa_causal_long", (1, 1, 80, 3), (1, 1, 80, 3), is_causal=True)
    sdpa("sdpa_bool_mask", (2, 2, 5, 4), (2, 2, 7, 4), mask=pairs(5, 7))
    sdpa("sdpa_bool_mask_rows_closed", (2, 2, 5, 4), (2, 2, 7, 4), mask=no_row)
    sdpa("sdpa_float_mask", (2, 2, 5, 4), (2, 2, 7, 4), mask=lambda rand: rand.normal(2, 1, 5, 7))
    sdpa("sdpa_float_mask_infinite", (2, 2, 5, 4), (2, 2, 7, 4), mask=some_closed)
    sdpa("sdpa_grouped", (2, 6, 5, 4), (2, 2, 5, 4), enable_gqa=True, is_causal=True)

    def multihead(name, queries, keys=None, mask=None, causal=False, bias=True):
        rand, width, heads = Rand(name), 6, 2
        inputs = {"x": rand.normal(2, queries, width)}
        if keys:
            inputs |= {"key": rand.normal(2, keys, width), "value": rand.normal(2, keys, width)}
        if mask is not None:
            inputs["attn_mask"] = mask(rand)
        settings = dict(embed_dim=width, num_heads=heads, bias=bias, causal=causal)
        params = {k: 0.5 * rand.normal(*p.shape)
                  for k, p in nn.MultiheadAttention(width, heads, bias=bias).named_parameters()}

        def run(xs, ps):
            module = nn.MultiheadAttention(width, heads, bias=bias, batch_first=True, dtype=xs["x"].dtype)
            key, value = xs.get("key", xs["x"]), xs.get("value", xs["x"])
            closed = torch.ones(queries, key.shape[1], dtype=bool).triu(1) if causal else None
            if mask is not None:
                closed = ~xs["attn_mask"]  # PyTorch's layer wants the pairs that do not take part
            call = dict(attn_mask=closed, is_causal=causal, need_weights=False)
            return torch.func.functional_call(module, ps, (xs["x"], key, value), call)[0]

        attention_case(name, "MultiheadAttention", settings, inputs, params, run)

    multihead("multihead_self", 5)
    multihead("multihead_self_causal", 5, causal=True)
    multihead("multihead_self_no_bias", 5, causal=True, bias=False)
    multihead("multihead_cross", 5, keys=7)
    multihead("multihead_cross_mask", 5, keys=7, mask=pairs(5, 7))


# ---------------------------------------------------------------- recurrent layers

def recurrent_case(name, cls, start=False, lengths=None, **given):
    """One call on a batch of 3 sequences of 5 steps and 4 inputs, with 3 hidden units: outputs, last states, gradients.

    With `start`, from a random state; with `lengths`, as a packed sequence that need not be sorted.
    """
    rand = Rand(name)
    given = dict(input_size=4, hidden_size=3) | given
    settings = dict(num_layers=1, bias=True, batch_first=False, bidirectional=False) | given
    states = ["h", "c"] if cls is nn.LSTM else ["h"]
    module = cls(**given)
    params = {k: 0.5 * rand.normal(*p.shape) for k, p in module.named_parameters()}
    directions = settings["num_layers"] * (2 if settings["bidirectional"] else 1)
    shape = (3, 5) if settings["batch_first"] else (5, 3)
    inputs = {"x": rand.normal(*shape, 4)}
    if start:
        inputs |= {f"{k}0": rand.normal(directions, 3, 3) for k in states}
    width = 3 * (2 if settings["bidirectional"] else 1)
    cotangents = {"y": rand.normal(*shape, width)} | {k: rand.normal(directions, 3, 3) for k in states}

    tensors = {}
    for key, dtype in DTYPES.items():
        module = cls(**given).to(dtype)
        module.load_state_dict(params)
        xs = {k: to(v, dtype).clone().requires_grad_() for k, v in inputs.items()}
        begin = [xs[f"{k}0"] for k in states] if start else None
        begin = begin if begin is None or cls is nn.LSTM else begin[0]
        x = xs["x"]
        if lengths is not None:
            x = nn.utils.rnn.pack_padded_sequence(x, lengths, settings["batch_first"], enforce_sorted=False)
        y, last = module(x, begin)
        if lengths is not None:
            y, _ = nn.utils.rnn.pad_packed_sequence(y, settings["batch_first"], total_length=5)
        outputs = dict(zip(["y", *states], [y, *(last if cls is nn.LSTM else [last])]))
        out = {f"param/{k}": p.clone() for k, p in module.named_parameters()}
        out |= {f"input/{k}": v for k, v in xs.items()}
        out |= {f"input/cotangent_{k}": to(v, dtype) for k, v in cotangents.items()}
        out |= {f"output/{k}": v for k, v in outputs.items()}
        if lengths is not None:
            out["input/lengths"] = lengths
        total = sum((v * out[f"input/cotangent_{k}"]).sum() for k, v in outputs.items())
        leaves = xs | dict(module.named_parameters())
        grads = torch.autograd.grad(total, list(leaves.values()))
        out |= {f"grad/{k}": g for k, g in zip(leaves, grads)}
        tensors[key] = out
    GOLDEN.add(name, "recurrent", cls.__name__, settings, "recurrent", tensors)


def recurrent():
    lengths = torch.tensor([2, 5, 1])
    kinds = [("lstm", nn.LSTM, {}), ("gru", nn.GRU, {}), ("rnn_tanh", nn.RNN, dict(nonlinearity="tanh")),
             ("rnn_relu", nn.RNN, dict(nonlinearity="relu"))]
    for name, cls, given in kinds:
        recurrent_case(name, cls, **given)
        recurrent_case(f"{name}_no_bias", cls, start=True, bias=False, **given)
        recurrent_case(f"{name}_layers", cls, start=True, num_layers=3, batch_first=True, **given)
        recurrent_case(f"{name}_bidirectional", cls, start=True, num_layers=2, bidirectional=True, **given)
        recurrent_case(f"{name}_lengths", cls, start=True, lengths=lengths, batch_first=True, **given)
        recurrent_case(f"{name}_lengths_bidirectional", cls, start=True, lengths=lengths, num_layers=2,
                       bidirectional=True, **given)


# ---------------------------------------------------------------- everything

def write_json(path, lists):
    """Readable and small: one entry a line."""
    parts = []
    for key, value in lists.items():
        body = json.dumps(value)
        if isinstance(value, list):
            body = "[\n" + ",\n".join(json.dumps(v) for v in value) + "\n]"
        parts.append(f"{json.dumps(key)}: {body}")
    path.write_text("{" + ",\n".join(parts) + "}\n")


def main():
    parser = argparse.ArgumentParser(description="Writes PyTorch's golden values.")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    print("torch", torch.__version__)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=UserWarning, module="torch.nn")  # padding="same", KLDivLoss "mean"
    torch.backends.mkldnn.enabled = False  # PyTorch's plain kernels: fewer differences between processors

    for part in (linear_and_embedding, convolutions, normalisations, pools, activations, resizing_and_padding, losses,
                 optimisers, lenet5, attention, recurrent):
        part()
    GOLDEN.write(out)
    save_file(special_functions(), out / "math.safetensors", metadata={"torch": torch.__version__})
    write_json(out / "schedules.json", dict(torch=torch.__version__, schedules=schedules()))
    write_json(out / "init.json", dict(torch=torch.__version__, **initialisers()))

    files = sorted(p for p in out.iterdir() if p.is_file())
    for p in files:
        print(f"{p.stat().st_size:>9}  {p.name}")
    print(f"{sum(p.stat().st_size for p in files):>9}  in all; {len(GOLDEN.index)} cases")


if __name__ == "__main__":
    main()
