#!/usr/bin/env python3
"""Writes nets.json: logits of the published nets for weights and a picture that a formula gives, so that no weights are stored.

    pip install torch==2.15.0 torchvision==0.29.2 numpy
    python tests/golden/nets.py

Everything is computed in f64 from f32 numbers. `filled` is the formula; crates/zoo/tests/nets.rs has the same.
"""
import json
import math
import pathlib
import zlib

import numpy as np
import torch
import torch.nn.functional as F
import torchvision.models as vision
from torch import nn


def noise(name, count):
    """Numbers in -1 to 1 that depend on a name and an index: multiples of 2^-23, exact in f32."""
    x = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(zlib.crc32(name.encode()))
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x2C1B3C6D)
    x ^= x >> np.uint32(12)
    x *= np.uint32(0x297A2D39)
    x ^= x >> np.uint32(15)
    return (x >> np.uint32(8)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)


def filled(name, shape):
    """A parameter or buffer: weights of variance 2 / fan in, scales near 1, the rest small."""
    values = noise(name, math.prod(shape))
    last = name.rsplit(".", 1)[1]
    if len(shape) > 1:
        return values * np.float32(math.sqrt(6 / math.prod(shape[1:])))
    if last == "running_var":
        return np.float32(1) + values * np.float32(0.5)
    return values * np.float32(0.125) + np.float32(1 if last == "weight" else 0)


class Norm(nn.Module):
    """Response normalisation as published: PyTorch divides alpha by the size."""

    def forward(self, x):
        return F.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)


class Named(nn.Module):
    """Layers by name, one after the other."""

    def __init__(self, layers):
        super().__init__()
        self.order = []
        for number, layer in enumerate(layers):
            name, layer = layer if isinstance(layer, tuple) else (f"unnamed{number}", layer)
            self.add_module(name, layer)
            self.order.append(layer)

    def forward(self, x):
        for layer in self.order:
            x = layer(x)
        return x


def alexnet():
    pool, relu = nn.MaxPool2d(3, 2), nn.ReLU()
    return Named([
        ("conv1", nn.Conv2d(3, 96, 11, 4)), relu, Norm(), pool,
        ("conv2", nn.Conv2d(96, 256, 5, padding=2, groups=2)), relu, Norm(), pool,
        ("conv3", nn.Conv2d(256, 384, 3, padding=1)), relu,
        ("conv4", nn.Conv2d(384, 384, 3, padding=1, groups=2)), relu,
        ("conv5", nn.Conv2d(384, 256, 3, padding=1, groups=2)), relu, pool, nn.Flatten(),
        ("fc6", nn.Linear(9216, 4096)), relu, ("fc7", nn.Linear(4096, 4096)), relu, ("fc8", nn.Linear(4096, 1000)),
    ])


def googlenet_published():
    def unit(inputs, outputs, kernel, stride=1):
        return Named([("conv", nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2)), nn.ReLU()])

    class Module(nn.Module):
        def __init__(self, inputs, one, reduce3, three, reduce5, five, pooled):
            super().__init__()
            self.branch1 = unit(inputs, one, 1)
            self.branch2 = nn.Sequential(unit(inputs, reduce3, 1), unit(reduce3, three, 3))
            self.branch3 = nn.Sequential(unit(inputs, reduce5, 1), unit(reduce5, five, 5))
            self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), unit(inputs, pooled, 1))

        def forward(self, x):
            return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)

    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    return Named([
        ("conv1", unit(3, 64, 7, 2)), pool, Norm(), ("conv2", unit(64, 64, 1)), ("conv3", unit(64, 192, 3)), Norm(), pool,
        ("inception3a", Module(192, 64, 96, 128, 16, 32, 32)), ("inception3b", Module(256, 128, 128, 192, 32, 96, 64)), pool,
        ("inception4a", Module(480, 192, 96, 208, 16, 48, 64)), ("inception4b", Module(512, 160, 112, 224, 24, 64, 64)),
        ("inception4c", Module(512, 128, 128, 256, 24, 64, 64)), ("inception4d", Module(512, 112, 144, 288, 32, 64, 64)),
        ("inception4e", Module(528, 256, 160, 320, 32, 128, 128)), pool,
        ("inception5a", Module(832, 256, 160, 320, 32, 128, 128)), ("inception5b", Module(832, 384, 192, 384, 48, 128, 128)),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), ("fc", nn.Linear(1024, 1000)),
    ])


class CifarBlock(nn.Module):
    def __init__(self, inputs, outputs, shortcut):
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.stride, self.grown, self.shortcut = stride, outputs - inputs, shortcut

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.shortcut:
            y = y + F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.grown))
        return F.relu(y)


def cifar(blocks, shortcut):
    layers = [("conv1", nn.Conv2d(3, 16, 3, padding=1, bias=False)), ("bn1", nn.BatchNorm2d(16)), nn.ReLU()]
    inputs = 16
    for stage, outputs in enumerate((16, 32, 64), 1):
        made = []
        for _ in range(blocks):
            made.append(CifarBlock(inputs, outputs, shortcut))
            inputs = outputs
        layers.append((f"layer{stage}", nn.Sequential(*made)))
    return Named(layers + [nn.AdaptiveAvgPool2d(1), nn.Flatten(), ("fc", nn.Linear(64, 10))])


def separable(inputs, outputs):
    return Named([
        ("depthwise", nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)),
        ("pointwise", nn.Conv2d(inputs, outputs, 1, bias=False)), ("bn", nn.BatchNorm2d(outputs)),
    ])


class XceptionBlock(nn.Module):
    def __init__(self, widths, relu_first=True, shrinks=True):
        super().__init__()
        self.steps = len(widths) - 1
        for step in range(self.steps):
            self.add_module(str(step), separable(widths[step], widths[step + 1]))
        self.relu_first, self.shrinks = relu_first, shrinks
        if shrinks:
            self.skip = nn.Conv2d(widths[0], widths[-1], 1, 2, bias=False)
            self.skipbn = nn.BatchNorm2d(widths[-1])

    def forward(self, x):
        y = x
        for step in range(self.steps):
            y = getattr(self, str(step))(F.relu(y) if step > 0 or self.relu_first else y)
        return F.max_pool2d(y, 3, 2, 1) + self.skipbn(self.skip(x)) if self.shrinks else y + x


def xception():
    blocks = [XceptionBlock([64, 128, 128], relu_first=False), XceptionBlock([128, 256, 256]), XceptionBlock([256, 728, 728])]
    blocks += [XceptionBlock([728] * 4, shrinks=False) for _ in range(8)] + [XceptionBlock([728, 728, 1024])]
    relu = nn.ReLU()
    return Named([
        ("conv1", nn.Conv2d(3, 32, 3, 2, bias=False)), ("bn1", nn.BatchNorm2d(32)), relu,
        ("conv2", nn.Conv2d(32, 64, 3, bias=False)), ("bn2", nn.BatchNorm2d(64)), relu,
        *((f"block{number}", block) for number, block in enumerate(blocks, 1)),
        ("conv3", separable(1024, 1536)), relu, ("conv4", separable(1536, 2048)), relu,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), ("fc", nn.Linear(2048, 1000)),
    ])


def resnet18_small():
    net = vision.resnet18(num_classes=10)
    net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    return net


class Same(nn.Module):
    """TensorFlow's padding: what is odd goes to the right and below."""

    def __init__(self, kernel, stride):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x):
        sides = []
        for size in (x.shape[3], x.shape[2]):
            zeros = max((math.ceil(size / self.stride) - 1) * self.stride + self.kernel - size, 0)
            sides += [zeros // 2, zeros - zeros // 2]
        return F.pad(x, sides)


class Lite(nn.Module):
    """EfficientNet-lite0 by the names of its converted weights."""

    def __init__(self):
        super().__init__()
        self._conv_stem, self._bn0 = nn.Conv2d(3, 32, 3, 2, bias=False), nn.BatchNorm2d(32, eps=1e-3)
        self._blocks, inputs = nn.ModuleList(), 32
        for blocks, kernel, stride, expansion, outputs in [
            (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
            (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
        ]:
            for number in range(blocks):
                step, hidden, block = stride if number == 0 else 1, inputs * expansion, nn.Module()
                if expansion > 1:
                    block._expand_conv, block._bn0 = nn.Conv2d(inputs, hidden, 1, bias=False), nn.BatchNorm2d(hidden, eps=1e-3)
                block.pad = Same(kernel, step)
                block._depthwise_conv = nn.Conv2d(hidden, hidden, kernel, step, groups=hidden, bias=False)
                block._bn1 = nn.BatchNorm2d(hidden, eps=1e-3)
                block._project_conv, block._bn2 = nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs, eps=1e-3)
                block.shortcut = step == 1 and inputs == outputs
                self._blocks.append(block)
                inputs = outputs
        self._conv_head, self._bn1 = nn.Conv2d(320, 1280, 1, bias=False), nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x):
        x = F.relu6(self._bn0(self._conv_stem(Same(3, 2)(x))))
        for block in self._blocks:
            y = F.relu6(block._bn0(block._expand_conv(x))) if hasattr(block, "_expand_conv") else x
            y = F.relu6(block._bn1(block._depthwise_conv(block.pad(y))))
            y = block._bn2(block._project_conv(y))
            x = x + y if block.shortcut else y
        return self._fc(F.relu6(self._bn1(self._conv_head(x))).mean((2, 3)))


NETS = {
    "alexnet": (alexnet, 227),
    "alexnet_one_tower": (vision.alexnet, 224),
    "vgg16": (vision.vgg16, 224),
    "vgg16_bn": (vision.vgg16_bn, 64),
    "googlenet": (googlenet_published, 224),
    "googlenet_bn": (lambda: vision.googlenet(aux_logits=False, init_weights=False), 224),
    "resnet18": (vision.resnet18, 224),
    "resnet34": (vision.resnet34, 64),
    "resnet50": (vision.resnet50, 224),
    "resnet18_small": (resnet18_small, 32),
    "resnet20": (lambda: cifar(3, True), 32),
    "resnet56": (lambda: cifar(9, True), 32),
    "plain20": (lambda: cifar(3, False), 32),
    "mobilenet_v2": (vision.mobilenet_v2, 224),
    "xception": (xception, 299),
    "densenet121": (vision.densenet121, 224),
    "efficientnet_lite0": (Lite, 224),
}


def main():
    torch.set_num_threads(2)
    cases = []
    for name, (make, size) in NETS.items():
        net = make().eval().double()
        for key, value in net.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.from_numpy(filled(key, value.shape)).reshape(value.shape))
        picture = torch.from_numpy(noise("picture", 3 * size * size)).double().reshape(1, 3, size, size)
        with torch.no_grad():
            logits = net(picture)[0]
        cases.append({
            "name": name, "size": size, "classes": len(logits), "parameters": sum(p.numel() for p in net.parameters()),
            "logits": logits[:8].tolist(), "deviation": logits.std().item(),
        })
        print(name, cases[-1]["parameters"], cases[-1]["deviation"])
    path = pathlib.Path(__file__).with_name("nets.json")
    path.write_text(json.dumps(cases, indent=1) + "\n")


main()
