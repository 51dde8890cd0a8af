"""Five kinds of experiment, one engine: train, sweep, claims and lab take them as they come.

In miniature, the experiments of all notebooks: a 3D classifier with a penalty, a deep MLP with and
without skips, a small U-Net raced to a target, a 1000-way classifier with per-sample gradients, and
a convnet with a clipped loss over thousands of steps.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from torch import nn
from torch.func import functional_call, grad, vmap

from course_utils.claims import Claim, report
from course_utils.datasets import batches, digits, volumes
from course_utils.figures import curves, new_figure
from course_utils.measures import weight_penalty
from course_utils.sweeps import sweep
from course_utils.training import train
from course_utils.widgets import lab


def classifier_3d(width, seed):
    model = nn.Sequential(
        nn.Conv3d(1, width, 3), nn.BatchNorm3d(width), nn.ReLU(), nn.AdaptiveAvgPool3d(1),
        nn.Flatten(), nn.Linear(width, 2),
    )  # fmt: skip

    def loss(model, inputs, targets):
        data_loss = F.cross_entropy(model(inputs), targets)
        return {"data_loss": data_loss, "penalty": weight_penalty(model, 1e-3)}

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
    return train(model, batches(volumes(seed, 64), 16, 20, seed), loss, optimizer, 20)


class Block(nn.Module):
    def __init__(self, skip):
        super().__init__()
        self.layer, self.skip = nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16)), skip

    def forward(self, x):
        return F.relu(self.layer(x) + (x if self.skip else 0))


def deep_mlp(depth, skip, seed):
    blocks = [Block(skip == "identity") for _ in range(depth)]
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), *blocks, nn.Linear(16, 10))
    data = digits()

    def gradients(model, inputs, targets):  # one number a layer: as many as the depth
        return torch.stack([block.layer[0].weight.grad.norm() for block in blocks])

    def loss(model, inputs, targets):
        return F.cross_entropy(model(inputs), targets)

    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    curves = train(model, batches(data, 128, 20, seed), loss, optimizer, 20,
                   measure={"gradient": gradients}, every=10)  # fmt: skip
    with torch.no_grad():
        error = (model(data.inputs).argmax(1) != data.targets).float().mean()
    return curves.assign(train_error=float(error))


def unet(width, seed):
    down, up = nn.Conv2d(1, width, 3, 2, 1), nn.ConvTranspose2d(width, width, 2, 2)
    model = nn.ModuleDict({"down": down, "up": up, "head": nn.Conv2d(width + 1, 1, 1)})

    def loss(model, images, masks):
        features = model["up"](torch.relu(model["down"](images)))
        logits = model["head"](torch.cat([features, images], 1))
        return F.binary_cross_entropy_with_logits(logits, masks)

    images = digits().inputs
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    pairs = batches((images, (images > 0.5).float()), 8, 300, seed)
    run = train(model, pairs, loss, optimizer, 300, stop_when=lambda seen: seen[-10:].mean() < 0.3)
    averaged = run["data_loss"].rolling(step=10).mean().values
    reached = np.flatnonzero(averaged <= 0.3)
    return run.assign(steps_to_target=float(reached[0]) if reached.size else np.inf)


def thousand_way(batch_size, seed):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 1000))

    def loss(model, inputs, targets):
        return F.cross_entropy(model(inputs), targets)

    def cosine(model, inputs, targets):
        def one(parameters, x, y):
            return F.cross_entropy(functional_call(model, parameters, (x[None],)), y[None])

        detached = {name: p.detach() for name, p in model.named_parameters()}
        gradients = vmap(grad(one), (None, 0, 0))(detached, inputs, targets)
        rows = F.normalize(torch.cat([g.flatten(1) for g in gradients.values()], 1), dim=1)
        return (rows @ rows.T).mean()

    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    data = digits(classes=[0])
    steps = batches(data, batch_size, 40, seed)
    return train(model, steps, loss, optimizer, 40, measure={"cosine": cosine}, every=20)


def clipped(clip, seed):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.MaxPool2d(2), nn.Flatten(),
                          nn.Linear(16, 2))  # fmt: skip

    def loss(model, inputs, targets):
        probabilities = model(inputs).softmax(1).clamp(clip, 1 - clip)
        return F.binary_cross_entropy(probabilities[:, 1], targets.float())

    optimizer = torch.optim.Adam(model.parameters(), lr=0.03, fused=True)
    data = batches(digits(classes=[0, 1]), 64, 4500, seed, reshuffle=False)
    return train(model, data, loss, optimizer, 4500)


KINDS = {
    "3d": (classifier_3d, {"width": [2, 4]}),
    "mlp": (deep_mlp, {"depth": [2, 4], "skip": ["none", "identity"]}),
    "unet": (unet, {"width": [2, 8]}),
    "1000": (thousand_way, {"batch_size": [4, 16]}),
    "clip": (clipped, {"clip": [1e-7]}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_experiment_goes_through(kind, capsys):
    experiment, grid = KINDS[kind]
    runs = sweep(experiment, grid, [0, 1] if kind != "clip" else [0], workers=1)
    assert set(runs["data_loss"].dims) == {*grid, "seed", "step"}
    assert runs["data_loss"].isel(step=0).notnull().all()
    setting = next(iter(grid))
    rest = {key: values[0] for key, values in grid.items() if key != setting}

    losses = runs["data_loss"].sel(rest).isel({setting: -1})
    drop = losses.isel(step=0) - losses.min("step")
    report("toy", [Claim("drop", "the loss falls", drop, above=0.0)])
    assert "HOLDS" in capsys.readouterr().out

    _, (ax,) = new_figure()
    curves(ax, runs, "data_loss", over=setting, where=rest, smooth=10)
    assert len(ax.get_lines()) == len(grid[setting])

    one_seed = runs.isel(seed=0).drop_vars("stored").assign_attrs(origin="stored")
    app = lab(f"toy_{kind}", experiment, one_seed, losses=("data_loss",))
    assert app is not None


def test_measures_of_different_length_share_an_axis():
    runs = sweep(deep_mlp, {"depth": [2, 4], "skip": ["none"]}, [0], workers=1)
    assert runs["gradient"].sizes["gradient_index"] == 4
    assert runs["gradient"].sel(depth=2).notnull().sum() == 2 * 2


def test_a_target_that_is_not_reached_is_infinite_not_an_error():
    runs = sweep(unet, {"width": [2]}, [0], workers=1)
    assert isinstance(runs["steps_to_target"], xr.DataArray)
