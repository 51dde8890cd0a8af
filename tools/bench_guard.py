"""What the guard of `checkup` costs a training loop: ``python tools/bench_guard.py [--steps 300]``.

The same steps with and without it, in turn (A B B A ...), in one process; the table shows the
median of the ratios, per network. Run it on an idle machine.
"""

import argparse
import copy
import time
from statistics import median

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18

from course_utils.checkup import guard

ROUNDS = 6
NETWORKS = {  # network, shape of a batch
    "2 layers of 64": (lambda: nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 10)), 32),
    "3 layers of 1024": (
        lambda: nn.Sequential(
            *(nn.Linear(32, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU()),
            nn.Linear(1024, 10),
        ),
        32,
    ),
    "ResNet-18": (lambda: resnet18(num_classes=10), (3, 32, 32)),
}


def loss(model, batch):
    return F.cross_entropy(model(batch[0]), batch[1])


def seconds(model, batches, guarded: bool) -> tuple[float, int]:
    """Time of a pass over the batches, and how many steps the guard let pass at the end."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    watch = guard(model, loss, optimizer)
    started = time.perf_counter()
    for batch in watch(batches) if guarded else batches:
        optimizer.zero_grad()
        value = loss(model, batch)
        (watch.loss(value) if guarded else value).backward()
        optimizer.step()
    return time.perf_counter() - started, watch.every


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    steps = parser.parse_args().steps
    print(f"{torch.get_num_threads()} threads, {steps} steps, medians of {ROUNDS} pairs")
    print("| network | weights | with the guard over without | steps between snapshots |")
    print("|---|---|---|---|")
    for name, (make, shape) in NETWORKS.items():
        shape = shape if isinstance(shape, tuple) else (shape,)
        count = steps if len(shape) == 1 else steps // 5
        batches = [(torch.randn(64, *shape), torch.randint(10, (64,))) for _ in range(count)]
        model, ratios = make(), []
        seconds(model, batches[:20], True)
        for pair in range(ROUNDS):
            order = (True, False) if pair % 2 else (False, True)
            taken = {guarded: seconds(model, batches, guarded) for guarded in order}
            ratios.append(taken[True][0] / taken[False][0])
        weights = sum(p.numel() for p in model.parameters())
        print(f"| {name} | {weights:,} | {median(ratios):.3f} | {taken[True][1]} |", flush=True)


if __name__ == "__main__":
    main()
