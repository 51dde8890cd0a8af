"""A small experiment with a stored grid, for the tests of the lab: in a process, in a browser."""

import json

import torch
import xarray as xr
from torch import nn

from course_utils._fingerprint import fingerprint
from course_utils.sweeps import sweep
from course_utils.training import train

GRID = {"width": [2, 8, 64], "penalty_strength": [0.0, 0.001, 0.01], "kind": ["L2", "L1"]}
STEPS = 60


def experiment(width, penalty_strength, kind, seed):
    """A regression; at width 64 the learning rate is far too large, and it diverges."""
    model = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 1))
    inputs = torch.randn(64, 4)
    targets = inputs[:, :1].sin()

    def loss(model, inputs, targets):
        weights = [layer.weight for layer in (model[0], model[2])]
        norm = sum((w**2 if kind == "L2" else w.abs()).sum() for w in weights)
        data_loss = ((model(inputs) - targets) ** 2).mean()
        return {"data_loss": data_loss, "penalty": penalty_strength * norm}

    learning_rate = 1000.0 if width == 64 else 0.1
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    return train(model, [(inputs, targets)], loss, optimizer, STEPS)


def stored_example(origin: str = "stored") -> xr.Dataset:
    """What `stored_grid` returns for the experiment."""
    attributes = {"settings": list(GRID), "origin": origin}
    if origin == "missing":
        return xr.Dataset(coords={**GRID, "seed": 0}, attrs=attributes)
    runs = sweep(experiment, GRID, [0], workers=1).sel(seed=0)
    attributes["fingerprint"] = json.dumps(fingerprint(experiment))
    return runs.drop_attrs().assign_attrs(attributes)
