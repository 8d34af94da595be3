#!/usr/bin/env python3
"""Recipe `cifar` with Nesterov's momentum (docs/results.md has its settings) in PyTorch: the same net, data, loss, optimiser, schedule, averages
and views, to compare accuracy and time.

    bench/cifar.py DIR [--epochs 6] [--width 160] [--seed 0] [--threads 2] [--cl] [--compile]

DIR holds a folder of pictures for each class in DIR/train and DIR/test. The random numbers are PyTorch's own.
"""
import argparse
import pathlib
import time

import numpy
import torch
import torch.nn.functional as F
from torch import nn

LR, MOMENTUM, DECAY, SMOOTHING, AVERAGE, SHIFT = 0.75, 0.85, 0.0013, 0.2, 0.98, 2


def pictures(dir, part):
    from PIL import Image

    classes = sorted(folder.name for folder in (dir / part).iterdir() if folder.is_dir())
    files = [(file, label) for label, name in enumerate(classes) for file in sorted((dir / part / name).iterdir())]
    x = numpy.stack([numpy.asarray(Image.open(file).convert("RGB")) for file, _ in files])
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), torch.tensor([label for _, label in files])


class Shift(nn.Module):
    """`x` plus a number for each channel, which learns 64 times faster than weights."""

    def __init__(self, channels):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x):
        return x + self.bias * 8


def conv(inputs, outputs):
    layer = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    nn.init.dirac_(layer.weight[: min(inputs, outputs)])
    return layer


def group(inputs, outputs):
    norm = lambda: nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4, affine=False)
    return nn.Sequential(
        conv(inputs, outputs), nn.MaxPool2d(2), norm(), Shift(outputs), nn.GELU(),
        conv(outputs, outputs), norm(), Shift(outputs), nn.GELU(),
    )  # fmt: skip


class Net(nn.Module):
    def __init__(self, first, width):
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad = False
        nn.init.zeros_(self.whiten.bias)
        self.groups = nn.Sequential(group(24, first), group(first, width), group(width, width))
        self.head = nn.Linear(width, 10, bias=False)

    def forward(self, x):
        x = self.groups(F.gelu(self.whiten(x)))
        return self.head(F.max_pool2d(x, 3).flatten(1)) / 9

    def take_whitening(self, x):
        pieces = x.unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12).double()
        variance, directions = torch.linalg.eigh(torch.cov(pieces.T))
        filters = (directions / (variance + 5e-4).sqrt()).T.float().reshape(12, 3, 2, 2)
        self.whiten.weight.data = torch.cat([filters, -filters])


def moved(x):
    """Each picture mirrored or not, and moved by up to SHIFT pixels, the border mirrored."""
    padded = F.pad(x, (SHIFT,) * 4, mode="reflect")
    flip = torch.rand(len(x)) < 0.5
    padded[flip] = padded[flip].flip(-1)
    places = torch.randint(2 * SHIFT + 1, (len(x), 2)).tolist()
    return torch.stack([picture[:, top : top + 32, left : left + 32] for picture, (top, left) in zip(padded, places)])


@torch.no_grad()
def accuracy(net, x, y):
    net.eval()
    right = 0
    for some, labels in zip(x.split(500), y.split(500)):
        right += (net(some) + net(some.flip(-1))).argmax(1).eq(labels).sum().item()
    net.train()
    return 100 * right / len(y)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--first", type=int, default=64)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, help="stop after so many, to measure their time")
    parser.add_argument("--cl", action="store_true", help="channels last")
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    (x, y), test = pictures(arguments.dir, "train"), pictures(arguments.dir, "test")
    order = torch.randperm(len(x))
    watched, learnt = order[:1000], order[1000:]
    pixels = x[learnt].float() / 255
    mean, std = pixels.mean((0, 2, 3), keepdim=True), pixels.std((0, 2, 3), keepdim=True)
    del pixels
    form = torch.channels_last if arguments.cl else torch.contiguous_format
    ready = lambda x: ((x.float() / 255 - mean) / std).contiguous(memory_format=form)

    net = Net(arguments.first, arguments.width)
    net.take_whitening(ready(x[learnt[:5000]]))
    net = net.to(memory_format=form)
    averaged = {name: value.clone() for name, value in net.state_dict().items()}
    optimiser = torch.optim.SGD(
        [p for p in net.parameters() if p.requires_grad], lr=LR, momentum=MOMENTUM, weight_decay=DECAY, nesterov=True
    )
    per_epoch = len(learnt) // arguments.batch
    steps = per_epoch * arguments.epochs
    top = steps // 4
    rate = lambda step: 0.2 + 0.8 * step / top if step < top else 1 - 0.99 * (step - top) / (steps - top)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    forward = torch.compile(net) if arguments.compile else net
    start, step = time.perf_counter(), 0
    for epoch in range(arguments.epochs):
        for rows in learnt[torch.randperm(len(learnt))].split(arguments.batch)[:per_epoch]:
            begin = time.perf_counter()
            loss = F.cross_entropy(forward(moved(ready(x[rows])).contiguous(memory_format=form)), y[rows], label_smoothing=SMOOTHING)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            step += 1
            with torch.no_grad():
                kept = min(AVERAGE, (1 + step) / (10 + step))
                for name, value in net.state_dict().items():
                    averaged[name].lerp_(value, 1 - kept) if value.is_floating_point() else averaged[name].copy_(value)
            if arguments.steps:
                print(f"step {step}: {time.perf_counter() - begin:.3f} s", flush=True)
                if step == arguments.steps:
                    return
        trained = {name: value.clone() for name, value in net.state_dict().items()}
        net.load_state_dict(averaged)
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}, watched {accuracy(net, ready(x[watched]), y[watched]):.2f} %, {time.perf_counter() - start:.0f} s", flush=True)
        if epoch + 1 == arguments.epochs:
            print(f"test {accuracy(net, ready(test[0]), test[1]):.2f} %")
        net.load_state_dict(trained)


if __name__ == "__main__":
    main()
