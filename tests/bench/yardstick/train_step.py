"""The yardstick: one step of training CLIP RN50's text encoder, Lintel against PyTorch, on one thread, in turns.

    cargo build --release -p lintel-training --example train_step
    python tests/bench/yardstick/train_step.py target/release/examples/train_step [PEOPLE...]

A step is forward, backward and AdamW over the whole text encoder, with random weights and the same prompts for both.
PyTorch computes all 77 positions of every prompt ("plain"), and only those up to the longest prompt's end ("cropped").
Each figure is the median of its steps; each measurement has a process of its own, for its peak memory. Needs torch.
"""
import json
import os
import resource
import statistics
import subprocess
import sys
import time

VOCABULARY, CONTEXT, WIDTH, LAYERS, DIM, BATCH = 49408, 77, 512, 12, 1024, 16
ONE_THREAD = {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def torch_step(length, steps):
    """Reads rows of token ids from stdin; prints seconds of each step after the first, and peak memory."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(1)
    torch.set_num_threads(1)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.fc, self.proj = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x):
            n, tokens, _ = x.shape
            heads = self.qkv(self.ln_1(x)).view(n, tokens, 3, WIDTH // 64, 64).permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(*heads.unbind(0), is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).reshape(n, tokens, WIDTH))
            hidden = self.fc(self.ln_2(x))
            return x + self.proj(hidden * torch.sigmoid(1.702 * hidden))

    class Text(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(VOCABULARY, WIDTH)
            self.positions = nn.Parameter(0.01 * torch.randn(CONTEXT, WIDTH))
            self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
            self.ln = nn.LayerNorm(WIDTH)
            self.projection = nn.Parameter(torch.randn(WIDTH, DIM) / WIDTH**0.5)
            self.scale = nn.Parameter(torch.tensor(2.66))

        def forward(self, ids):
            x = self.ln(self.blocks(self.tokens(ids) + self.positions[: ids.shape[1]]))
            ends = x[torch.arange(len(ids)), ids.argmax(dim=1)]
            return functional.normalize(ends @ self.projection, dim=1)

    rows = json.load(sys.stdin)
    length = length or max(map(len, rows))
    ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
    model = Text()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=0.01)
    photos = functional.normalize(torch.randn(BATCH, DIM), dim=1)
    labels = torch.arange(BATCH) % len(rows)
    seconds = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        loss = functional.cross_entropy(photos @ model(ids).T * model.scale.exp().clamp(max=100), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"seconds": seconds[1:], "peak_mb": round(peak), "length": length}))


def run(command, rows=None):
    done = subprocess.run(command, input=rows, env={**os.environ, **ONE_THREAD}, text=True, stdout=subprocess.PIPE)
    done.check_returncode()
    return json.loads(done.stdout)


def main(program, sizes):
    for people in sizes:
        rows = run([program, "rows", str(people)])
        lengths = [len(row) for row in rows]
        print(f"{people} people, prompts of {min(lengths)} to {max(lengths)} tokens")
        found = {"Lintel": [], "PyTorch, cropped": [], "PyTorch, plain": []}
        for _ in range(3):
            found["Lintel"].append(run([program, str(people), "3"]))
            for name, length, steps in [("PyTorch, cropped", 0, 2), ("PyTorch, plain", CONTEXT, 1)]:
                command = [sys.executable, __file__, "--torch", str(length), str(steps)]
                found[name].append(run(command, json.dumps(rows)))
        median = {name: statistics.median(s for r in runs for s in r["seconds"]) for name, runs in found.items()}
        for name, runs in found.items():
            times, peak = median[name] / median["Lintel"], max(r["peak_mb"] for r in runs)
            print(f"  {name:18} {median[name]:7.3f} s  {times:5.1f} times Lintel's  peak {peak} MB")


if sys.argv[1] == "--torch":
    torch_step(int(sys.argv[2]), int(sys.argv[3]))
else:
    main(sys.argv[1], [int(people) for people in sys.argv[2:]] or [10, 100])
