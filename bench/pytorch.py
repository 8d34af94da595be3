#!/usr/bin/env python3
"""The PyTorch side of the benchmark: the cases of `glassbox bench`, the same nets, sizes, losses and optimisers.

    bench/pytorch.py --case mlp --threads 2 [--mode compile|onnx] [--fused] [--cl] --json

One step is what a training loop does: gradients cleared, forward, loss, backward, optimiser; f32, synthetic data in memory.
"""
import argparse
import json
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--case", required=True, help="name of a case, or list")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--mode", choices=["eager", "compile", "onnx"], default="eager", help="onnx: the exported net in onnxruntime (inference only)")
parser.add_argument("--fused", action="store_true", help="fused optimisers")
parser.add_argument("--cl", action="store_true", help="channels last")
parser.add_argument("--budget", type=float, default=4.0, help="seconds of a series of steps")
parser.add_argument("--series", type=int, default=3, help="series; the least disturbed one counts")
parser.add_argument("--wait", type=float, default=5.0, help="longest wait for a quiet machine, in seconds")
parser.add_argument("--json", action="store_true")


# --- the stopwatch: as crates/bench/src/measure.rs ------------------------------------------------------------------

TICKS = os.sysconf("SC_CLK_TCK")


def usage():
    """CPU seconds of all processes and of this one, and the time."""
    with open("/proc/stat") as stat:
        fields = [int(field) for field in stat.readline().split()[1:]]
    own = resource.getrusage(resource.RUSAGE_SELF)
    everything = sum(fields[i] for i in (0, 1, 2, 5, 6, 7)) / TICKS
    return everything, own.ru_utime + own.ru_stime, time.perf_counter()


def others_since(before):
    now = usage()
    return max(0.0, (now[0] - before[0] - now[1] + before[1]) / max(now[2] - before[2], 1e-9))


def wait_until_quiet(longest, limit=0.12):
    end, quiet = time.perf_counter() + longest, 0
    while quiet < 2 and time.perf_counter() < end:
        before = usage()
        time.sleep(0.5)
        quiet = quiet + 1 if others_since(before) < limit else 0


def series(step, budget, least=20, most=2000):
    before, start, times = usage(), time.perf_counter(), []
    while len(times) < most:
        begin = time.perf_counter()
        step()
        now = time.perf_counter()
        times.append(1e3 * (now - begin))
        if (len(times) >= least and now - start > budget) or (len(times) >= 3 and now - start > 4 * budget):
            break
    return sorted(times), others_since(before)


def measure(step, budget, attempts, wait):
    start = time.perf_counter()
    for done in range(10):
        step()
        if done > 0 and time.perf_counter() - start > min(15.0, budget):
            break
    best = None
    for _ in range(max(1, attempts)):
        wait_until_quiet(wait)
        times, others = series(step, budget)
        if best is None or others < best[1]:
            best = times, others
        if others < 0.1:
            break
    times, others = best
    count = len(times)
    return {
        "median_ms": statistics.median(times),
        "min_ms": times[0],
        "p10_ms": times[count // 10],
        "p90_ms": times[min(9 * count // 10, count - 1)],
        "steps": count,
        "other_cores": round(others, 3),
        "peak_rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


# --- the nets -------------------------------------------------------------------------------------------------------

def main():
    arguments = parser.parse_args()
    if arguments.mode == "compile":
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp(prefix="inductor-")
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1234)
    optimiser_options = {"fused": True} if arguments.fused else {}

    def compiled(function):
        return torch.compile(function) if arguments.mode == "compile" else function

    def formatted(*things):
        return tuple(t.to(memory_format=torch.channels_last) for t in things) if arguments.cl else things

    def count(model):
        return sum(p.numel() for p in model.parameters() if p.requires_grad)

    def perceptron(*sizes):
        layers = []
        for inputs, outputs in zip(sizes, sizes[1:]):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    def lenet5():
        return nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
        )

    def convolution(inputs, outputs, kernel, stride=1):
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        return [conv, nn.BatchNorm2d(outputs)]

    class Residual(nn.Module):
        def __init__(self, path, inputs, outputs, stride):
            super().__init__()
            self.path = nn.Sequential(*path)
            same = stride == 1 and inputs == outputs
            self.shortcut = nn.Identity() if same else nn.Sequential(*convolution(inputs, outputs, 1, stride))

        def forward(self, x):
            return F.relu(self.path(x) + self.shortcut(x))

    def basic(inputs, outputs, stride):
        path = convolution(inputs, outputs, 3, stride) + [nn.ReLU()] + convolution(outputs, outputs, 3)
        return Residual(path, inputs, outputs, stride)

    def bottleneck(inputs, middle, stride):
        path = convolution(inputs, middle, 1) + [nn.ReLU()]
        path += convolution(middle, middle, 3, stride) + [nn.ReLU()] + convolution(middle, 4 * middle, 1)
        return Residual(path, inputs, 4 * middle, stride)

    def head(width, classes):
        return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]

    def resnet18():
        layers, inputs = convolution(3, 64, 3) + [nn.ReLU()], 64
        for outputs, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            layers += [basic(inputs, outputs, stride), basic(outputs, outputs, 1)]
            inputs = outputs
        return nn.Sequential(*layers, *head(512, 10))

    def resnet50():
        layers, inputs = convolution(3, 64, 7, 2) + [nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
        for middle, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for block in range(blocks):
                layers.append(bottleneck(inputs, middle, stride if block == 0 else 1))
                inputs = 4 * middle
        return nn.Sequential(*layers, *head(2048, 1000))

    def unit(inputs, outputs, kernel, stride=1, groups=1):
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
        return [conv, nn.BatchNorm2d(outputs), nn.ReLU6()]

    class Inverted(nn.Module):
        def __init__(self, inputs, outputs, expansion, stride):
            super().__init__()
            middle = inputs * expansion
            path = unit(inputs, middle, 1) if expansion > 1 else []
            path += unit(middle, middle, 3, stride, middle) + convolution(middle, outputs, 1)
            self.path, self.same = nn.Sequential(*path), stride == 1 and inputs == outputs

        def forward(self, x):
            return x + self.path(x) if self.same else self.path(x)

    def mobilenet():
        layers, inputs = unit(3, 32, 3, 2), 32
        table = (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
        for expansion, outputs, blocks, stride in table:
            for block in range(blocks):
                layers.append(Inverted(inputs, outputs, expansion, stride if block == 0 else 1))
                inputs = outputs
        pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, 100)]
        return nn.Sequential(*layers, *unit(320, 1280, 1), *pool)

    class Dense(nn.Module):
        def __init__(self, inputs):
            super().__init__()
            self.path = nn.Sequential(
                nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, 128, 1, bias=False),
                nn.BatchNorm2d(128), nn.ReLU(), nn.Conv2d(128, 32, 3, padding=1, bias=False),
            )

        def forward(self, x):
            return torch.cat([x, self.path(x)], 1)

    def densenet():
        layers, inputs = convolution(3, 64, 7, 2) + [nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
        for number, blocks in enumerate((6, 12, 24, 16)):
            for _ in range(blocks):
                layers.append(Dense(inputs))
                inputs += 32
            layers += [nn.BatchNorm2d(inputs), nn.ReLU()]
            if number < 3:
                layers += [nn.Conv2d(inputs, inputs // 2, 1, bias=False), nn.AvgPool2d(2)]
                inputs //= 2
        return nn.Sequential(*layers, *head(inputs, 100))

    def double(inputs, outputs):
        return nn.Sequential(*convolution(inputs, outputs, 3), nn.ReLU(), *convolution(outputs, outputs, 3), nn.ReLU())

    class Unet(nn.Module):
        def __init__(self, width=32, classes=8):
            super().__init__()
            widths = [width, 2 * width, 4 * width]
            self.down = nn.ModuleList(double(*pair) for pair in zip([3] + widths, widths))
            self.bottom = double(4 * width, 8 * width)
            self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in reversed(widths))
            self.merge = nn.ModuleList(double(2 * w, w) for w in reversed(widths))
            self.head = nn.Conv2d(width, classes, 1)

        def forward(self, x):
            seen = []
            for down in self.down:
                seen.append(down(x))
                x = F.max_pool2d(seen[-1], 2)
            x = self.bottom(x)
            for up, merge, beside in zip(self.up, self.merge, reversed(seen)):
                x = merge(torch.cat([beside, up(x)], 1))
            return self.head(x)

    class CharGru(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.gru = nn.Embedding(65, 256), nn.GRU(256, 256, 2, batch_first=True)
            self.head = nn.Linear(256, 65)

        def forward(self, x):
            return self.head(self.gru(self.table(x))[0])

    class CharLstm(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(65, 512)
            self.lstm = nn.LSTM(512, 512, 2, batch_first=True)
            self.head = nn.Linear(512, 65)

        def forward(self, x):
            return self.head(self.lstm(self.table(x))[0])

    class Block(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            plain = lambda inputs, outputs: nn.Linear(inputs, outputs, bias=False)
            self.heads = heads
            self.norm1, self.norm2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
            self.qkv, self.project = plain(width, 3 * width), plain(width, width)
            self.expand, self.contract = plain(width, 4 * width), plain(4 * width, width)

        def forward(self, x):
            n, t, width = x.shape
            parts = self.qkv(self.norm1(x)).split(width, 2)
            q, k, v = (part.view(n, t, self.heads, -1).transpose(1, 2) for part in parts)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.project(y.transpose(1, 2).reshape(n, t, width))
            return x + self.contract(F.gelu(self.expand(self.norm2(x))))

    class Gpt(nn.Module):
        def __init__(self, vocabulary=65, layers=6, width=384, heads=6, context=256):
            super().__init__()
            self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
            self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
            self.norm = nn.LayerNorm(width, bias=False)
            self.register_buffer("places", torch.arange(context))
            for module in self.modules():
                if isinstance(module, (nn.Linear, nn.Embedding)):
                    nn.init.normal_(module.weight, std=0.02)

        def forward(self, x):
            h = self.blocks(self.tokens(x) + self.positions(self.places))
            return F.linear(self.norm(h), self.tokens.weight)

    class Vae(nn.Module):
        def __init__(self, hidden=400, latent=20):
            super().__init__()
            self.encoder, self.decoder = nn.Linear(784, hidden), nn.Linear(latent, hidden)
            self.mean, self.log_variance = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
            self.output = nn.Linear(hidden, 784)

        def forward(self, x):
            h = F.relu(self.encoder(x))
            mean, log_variance = self.mean(h), self.log_variance(h)
            code = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
            return self.output(F.relu(self.decoder(code))), mean, log_variance

    # --- the cases: a step, its parameters, and the bytes of the fewest passes --------------------------------------

    def sgd(model, lr, decay=0.0):
        return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=decay, **optimiser_options)

    def adam(parameters, lr=1e-3):
        return torch.optim.Adam(parameters, lr=lr, **optimiser_options)

    def training(model, x, y, optimiser, loss=F.cross_entropy):
        forward = compiled(lambda x, y: loss(model(x), y))

        def step():
            optimiser.zero_grad(set_to_none=True)
            value = forward(x, y)
            value.backward()
            optimiser.step()
            return value

        return step, count(model), None

    def pictures(model, shape, classes, optimiser):
        model, x = formatted(model, torch.randn(shape))
        return training(model, x, torch.randint(classes, shape[:1]), optimiser(model))

    def symbols_loss(logits, y):
        return F.cross_entropy(logits.flatten(0, 1), y.flatten())

    def mlp():
        model = perceptron(784, 512, 512, 10)
        return training(model, torch.randn(128, 784), torch.randint(10, (128,)), sgd(model, 0.01))

    def charlstm():
        model, shape = CharLstm(), (32, 64)
        x, y = torch.randint(65, shape), torch.randint(65, shape)
        return training(model, x, y, adam(model.parameters()), symbols_loss)

    def gpt_mini():
        model, shape = Gpt(), (8, 256)
        groups = [
            {"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": 0.1},
            {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), **optimiser_options)
        return training(model, torch.randint(65, shape), torch.randint(65, shape), optimiser, symbols_loss)

    def unet():
        model, x = formatted(Unet(), torch.randn(4, 3, 96, 96))
        return training(model, x, torch.randint(8, (4, 96, 96)), adam(model.parameters()))

    def few_passes():
        from cifar import Net

        model, x = formatted(Net(64, 160), torch.randn(512, 3, 32, 32))
        optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1, momentum=0.9, weight_decay=1.3e-3, **optimiser_options)
        return training(model, x, torch.randint(10, (512,)), optimiser)

    def chargru():
        model, shape = CharGru(), (24, 100)
        x, y = torch.randint(65, shape), torch.randint(65, shape)
        return training(model, x, y, adam(model.parameters()), symbols_loss)

    def gpt_long():
        model, shape = Gpt(layers=4, width=128, heads=4, context=1024), (2, 1024)
        options = dict(lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1, **optimiser_options)
        optimiser = torch.optim.AdamW(model.parameters(), **options)
        return training(model, torch.randint(65, shape), torch.randint(65, shape), optimiser, symbols_loss)

    def vae():
        def loss(output, x):
            logits, mean, log_variance = output
            divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
            return F.binary_cross_entropy_with_logits(logits, x, reduction="sum") + divergence

        model, x = Vae(), torch.rand(128, 784)
        return training(model, x, x, adam(model.parameters()), loss)

    def dqn():
        net, target = perceptron(4, 128, 128, 2), perceptron(4, 128, 128, 2)
        target.load_state_dict(net.state_dict())
        optimiser = adam(net.parameters())
        state, after = torch.randn(64, 4), torch.randn(64, 4)
        action, reward, last = torch.randint(2, (64, 1)), torch.randn(64), torch.zeros(64)

        def loss(state, action, reward, after, last):
            with torch.no_grad():
                goal = reward + 0.99 * (1 - last) * target(after).max(1).values
            return F.smooth_l1_loss(net(state).gather(1, action).squeeze(1), goal)

        forward = compiled(loss)

        def step():
            optimiser.zero_grad(set_to_none=True)
            value = forward(state, action, reward, after, last)
            value.backward()
            optimiser.step()
            return value

        return step, count(net), None

    def exported(model, x):
        """The same net and weights on onnxruntime's CPU provider, which folds batch norm into the convolutions."""
        import io
        import onnxruntime

        file = io.BytesIO()
        torch.onnx.export(model, (x,), file, dynamo=False, input_names=["x"], output_names=["y"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = arguments.threads, 1
        session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
        with torch.no_grad():
            difference = (torch.from_numpy(session.run(None, {"x": x.numpy()})[0]) - model(x)).abs().max()
        assert difference < 1e-3, f"the exported net answers otherwise: {difference}"
        inputs = {"x": x.numpy()}
        return lambda: session.run(None, inputs), count(model), None

    def inference(model, *shape):
        model, x = model.eval(), torch.randn(shape)
        if arguments.mode == "onnx":
            return exported(model, x)
        if x.dim() == 4:
            model, x = formatted(model, x)
        forward = compiled(lambda x: model(x))

        def step():
            with torch.no_grad():
                return forward(x)

        return step, count(model), None

    def op_adam():
        n = 25_000_000
        p = nn.Parameter(torch.randn(n))
        p.grad = torch.randn(n)
        optimiser = adam([p])
        return compiled(lambda: optimiser.step()), n, 7 * 4 * n

    def op_softmax_ce(gradient):
        x, y = torch.randn(4096, 32000, requires_grad=gradient), torch.randint(32000, (4096,))
        loss = compiled(F.cross_entropy)

        def step():
            x.grad = None
            value = loss(x, y)
            if gradient:
                value.backward()
            return value

        return step, 0, (3 if gradient else 1) * 4 * x.numel()

    def norm(layer, shape, passes):
        layer, x = formatted(layer, torch.randn(shape)) if len(shape) == 4 else (layer, torch.randn(shape))
        x.requires_grad_()
        dy, forward = torch.randn_like(x), compiled(lambda x: layer(x))

        def step():
            x.grad = None
            layer.zero_grad(set_to_none=True)
            y = forward(x)
            y.backward(dy)
            return y

        return step, count(layer), passes * 4 * x.numel()

    def op_layernorm_fwd():
        layer, x = nn.LayerNorm(1024), torch.randn(4096, 1024)
        forward = compiled(lambda x: layer(x))

        def step():
            with torch.no_grad():
                return forward(x)

        return step, count(layer), 2 * 4 * x.numel()

    def op_gelu_chain():
        x, w, b = torch.randn(8192, 8192), torch.randn(8192), torch.randn(8192)
        chain = compiled(lambda x, w, b: F.gelu(x * w + b))
        return lambda: chain(x, w, b), 0, 2 * 4 * x.numel()

    cases = {
        "mlp": mlp,
        "lenet5": lambda: pictures(lenet5(), (64, 1, 28, 28), 10, lambda model: adam(model.parameters())),
        "resnet18": lambda: pictures(resnet18(), (64, 3, 32, 32), 10, lambda model: sgd(model, 0.1, 5e-4)),
        "resnet50": lambda: pictures(resnet50(), (8, 3, 224, 224), 1000, lambda model: sgd(model, 0.1, 1e-4)),
        "charlstm": charlstm,
        "gpt-mini": gpt_mini,
        "vae": vae,
        "dqn": dqn,
        "mobilenet": lambda: pictures(mobilenet(), (16, 3, 96, 96), 100, lambda model: sgd(model, 0.1, 4e-5)),
        "densenet": lambda: pictures(densenet(), (8, 3, 64, 64), 100, lambda model: sgd(model, 0.1, 1e-4)),
        "unet": unet,
        "cifar": few_passes,
        "chargru": chargru,
        "gpt-long": gpt_long,
        "inf-mlp": lambda: inference(perceptron(784, 512, 512, 10), 1, 784),
        "inf-lenet5": lambda: inference(lenet5(), 1, 1, 28, 28),
        "inf-resnet18": lambda: inference(resnet18(), 1, 3, 32, 32),
        "inf-resnet50": lambda: inference(resnet50(), 1, 3, 224, 224),
        "op-adam": op_adam,
        "op-softmax-ce": lambda: op_softmax_ce(True),
        "op-softmax-ce-fwd": lambda: op_softmax_ce(False),
        "op-layernorm": lambda: norm(nn.LayerNorm(1024), (4096, 1024), 5),
        "op-layernorm-fwd": op_layernorm_fwd,
        "op-batchnorm": lambda: norm(nn.BatchNorm2d(64), (64, 64, 32, 32), 8),
        "op-gelu-chain": op_gelu_chain,
    }
    if arguments.case == "list":
        print(*cases, sep="\n")
        return 0
    if arguments.case not in cases:
        print(f"there is no case {arguments.case} (--case list names all)", file=sys.stderr)
        return 2
    if arguments.mode == "onnx" and not arguments.case.startswith("inf-"):
        print("the mode onnx is for the cases inf-*", file=sys.stderr)
        return 2
    step, parameters, size = cases[arguments.case]()
    result = measure(step, arguments.budget, arguments.series, arguments.wait)
    result.update(
        framework=f"torch {torch.__version__}", case=arguments.case, threads=arguments.threads, mode=arguments.mode,
        fused=arguments.fused, cl=arguments.cl, params=parameters, bytes=size,
    )
    if arguments.json:
        print(json.dumps(result))
    else:
        print(f"{arguments.case:18} {result['median_ms']:.3f} ms (least {result['min_ms']:.3f}), peak {result['peak_rss_mib']:.0f} MiB")
    if arguments.mode == "compile":
        shutil.rmtree(os.environ["TORCHINDUCTOR_CACHE_DIR"], ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
