"""What the healthy runs share: data, a training loop, scores and the making of builders."""

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import sklearn.datasets
import torch
from torch import nn
from torch.utils.data import DataLoader

STATES = ("fresh", "half", "end")


@dataclass
class Plan:
    """One healthy run: what the author wrote, how long it is meant to run and what it reaches."""

    model: nn.Module
    loss: Callable
    batches: list | DataLoader
    optimizer: torch.optim.Optimizer
    steps: int  # the planned number of steps
    score: Callable  # of the model in evaluation mode; higher is better
    goal: float  # what the score must have reached after `steps` steps
    step: Callable | None = None
    shown: str | None = None  # None, "loss" or "score": what the author prints
    trained_before: bool = False  # the weights handed over at the start are good already
    half: float = 0.5  # which share of the steps lies behind the run handed over half way
    logged: list = field(default_factory=list)


def call_loss(loss, model, batch):
    """The loss of one batch, for a loss of two arguments or of three."""
    called = loss.forward if isinstance(loss, nn.Module) else loss
    count = len(inspect.signature(called).parameters)
    return loss(model, *batch) if count == 3 else loss(model, batch)


def usual_step(plan, batch):
    """The plain step: zero the gradients, loss, backward, step."""
    plan.optimizer.zero_grad()
    value = call_loss(plan.loss, plan.model, batch)
    value.backward()
    plan.optimizer.step()
    return value.item()


def train(plan, steps, start=0):
    """Train for `steps` steps with the run's own step, taking the batches in turn."""
    plan.model.train()
    done, passed = 0, start % len(plan.batches)
    while done < steps:
        for batch in plan.batches:
            if passed:
                passed -= 1
                continue
            if done == steps:
                break
            if plan.step is None:
                value = usual_step(plan, batch)
            else:
                value = plan.step(plan.model, plan.optimizer, batch)
            if value is not None:
                plan.logged.append(float(value))
            done += 1


def measure(plan):
    """The score of the model as it is now, in evaluation mode."""
    model = copy.deepcopy(plan.model).eval()
    with torch.no_grad():
        return float(plan.score(model))


def mean_loss(plan):
    """The mean loss over the batches as the model is now, in the mode it is in."""
    model = copy.deepcopy(plan.model)
    with torch.no_grad():
        values = [float(call_loss(plan.loss, model, batch)) for batch in plan.batches]
    return sum(values) / len(values)


def on_screen(plan):
    """The number the author sees: the mean loss of the last epoch, or the score."""
    if plan.shown is None:
        return None
    if plan.shown == "score":
        return measure(plan)
    if plan.logged:
        last = plan.logged[-len(plan.batches) :]
        return sum(last) / len(last)
    return mean_loss(plan)


def steps_behind(plan, state):
    """How many steps lie behind a run that is handed over in this state."""
    return round(plan.steps * {"fresh": 0.0, "half": plan.half, "end": 1.0}[state])


def as_run(plan):
    """What `checkup` is called with."""
    return {
        "model": plan.model,
        "loss": plan.loss,
        "batches": plan.batches,
        "optimizer": plan.optimizer,
        "step": plan.step,
        "shown": on_screen(plan),
    }


def builder_of(kind, variant, state):
    """The builder of one entry: the run of `kind`, trained up to `state`."""

    def planned(seed):
        torch.manual_seed(seed)
        return kind(seed, variant)

    def handed_over(seed):
        plan = planned(seed)
        train(plan, steps_behind(plan, state))
        return plan

    def builder(seed):
        return as_run(handed_over(seed))

    builder.__name__ = f"{kind.__name__}_{state}"
    builder.__doc__ = f"{kind.__doc__} Handed over: {state}."
    builder.planned = planned
    builder.handed_over = handed_over
    builder.state = state
    return builder


def entries(*kinds):
    """Each kind in its three variants: fresh, half way, at its end."""
    made = {}
    for kind in kinds:
        for variant, state in enumerate(STATES):
            builder = builder_of(kind, variant, state)
            made[builder.__name__] = builder
    return made


# ---------------------------------------------------------------- chance and batches


def chance(seed, stream=0):
    """A generator of its own for each use."""
    return torch.Generator().manual_seed(1000 * seed + 17 * stream + 5)


def shuffled(seed, *tensors):
    """The tensors in one random order."""
    order = torch.randperm(len(tensors[0]), generator=chance(seed, 1))
    return tuple(tensor[order] for tensor in tensors)


def pairs(size, *tensors):
    """A list of batches, each a tuple of `size` rows of every tensor; no ragged end."""
    assert len({len(tensor) for tensor in tensors}) == 1
    count = len(tensors[0]) // size
    return [tuple(tensor[i * size : (i + 1) * size] for tensor in tensors) for i in range(count)]


# ---------------------------------------------------------------- data


@lru_cache
def _bundled(name):
    loaded = getattr(sklearn.datasets, f"load_{name}")()
    return loaded.data, loaded.target


def digits(seed, images=False):
    """Digits, pixels in 0..1, labels; the first 1440 in random order to train, the rest to test."""
    data, target = _bundled("digits")
    inputs = torch.tensor(data / 16.0, dtype=torch.float32)
    inputs, labels = shuffled(seed, inputs, torch.tensor(target))
    if images:
        inputs = inputs.reshape(-1, 1, 8, 8)
    return (inputs[:1440], labels[:1440]), (inputs[1440:], labels[1440:])


def table(seed, name, standardise_target=False):
    """A bundled table with standardised columns, in random order; a fifth kept for the test."""
    data, target = _bundled(name)
    inputs = torch.tensor(data, dtype=torch.float32)
    inputs = (inputs - inputs.mean(0)) / inputs.std(0)
    labels = torch.tensor(target)
    if standardise_target:
        labels = labels.float()
        labels = ((labels - labels.mean()) / labels.std()).unsqueeze(1)
    inputs, labels = shuffled(seed, inputs, labels)
    cut = len(inputs) * 4 // 5
    return (inputs[:cut], labels[:cut]), (inputs[cut:], labels[cut:])


def clusters(seed, count, features=16, classes=4, spread=1.0, shares=None):
    """Gaussian clusters; `shares` are the classes' frequencies (equal where absent)."""
    generator = chance(seed, 2)
    centres = torch.randn(classes, features, generator=generator) * 1.5
    if shares is None:
        labels = torch.randint(classes, (count,), generator=generator)
    else:
        weights = torch.tensor(shares)
        labels = torch.multinomial(weights, count, replacement=True, generator=generator)
    noise = torch.randn(count, features, generator=generator)
    return centres[labels] + spread * noise, labels


def smooth_function(seed, count, features=6):
    """A smooth function of several numbers, with a little noise; shape (N, 1)."""
    generator = chance(seed, 3)
    inputs = torch.randn(count, features, generator=generator)
    values = torch.sin(2 * inputs[:, 0]) + inputs[:, 1] * inputs[:, 2] + 0.5 * inputs[:, 3]
    values = values + 0.05 * torch.randn(count, generator=generator)
    values = (values - values.mean()) / values.std()
    return inputs, values.unsqueeze(1)


def spirals(seed, count, arms=2, turns=1.5):
    """Interleaved spirals in the plane."""
    generator = chance(seed, 4)
    labels = torch.arange(count) % arms
    radius = torch.rand(count, generator=generator) ** 0.5
    angle = radius * turns * 2 * torch.pi + labels * 2 * torch.pi / arms
    inputs = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
    return inputs + 0.01 * torch.randn(count, 2, generator=generator), labels


def signal_words(seed, count, length=12, vocabulary=40, classes=3):
    """Sentences of tokens; each holds two words of its class among neutral ones; 0 pads."""
    generator = chance(seed, 5)
    labels = torch.randint(classes, (count,), generator=generator)
    first_neutral = 1 + 3 * classes
    tokens = torch.randint(first_neutral, vocabulary, (count, length), generator=generator)
    lengths = torch.randint(length // 2, length + 1, (count,), generator=generator)
    places = torch.rand(count, length, generator=generator)
    padded = torch.arange(length) >= lengths.unsqueeze(1)
    places[padded] = -1.0
    for place in places.topk(2, dim=1).indices.T:
        word = 1 + 3 * labels + torch.randint(3, (count,), generator=generator)
        tokens[torch.arange(count), place] = word
    tokens[padded] = 0
    return tokens, lengths, labels


def disks(seed, count, side=16):
    """Noisy images with one or two bright disks, and the mask of the disks."""
    generator = chance(seed, 6)
    grid = torch.arange(side, dtype=torch.float32)
    masks = torch.zeros(count, 1, side, side)
    for _ in range(2):
        centre = 2 + (side - 4) * torch.rand(count, 2, generator=generator)
        radius = 2 + 2 * torch.rand(count, generator=generator)
        rows = (grid[None, :, None] - centre[:, 0, None, None]) ** 2
        columns = (grid[None, None, :] - centre[:, 1, None, None]) ** 2
        masks[:, 0][(rows + columns) < radius[:, None, None] ** 2] = 1.0
    images = 0.2 + 0.6 * masks + 0.25 * torch.randn(masks.shape, generator=generator)
    return images, masks


# ---------------------------------------------------------------- nets


def mlp(*widths, activation=nn.ReLU, dropout=0.0, norm=None):
    """Linear layers of the given widths with an activation between."""
    layers = []
    for i, (wide_in, wide_out) in enumerate(zip(widths, widths[1:], strict=False)):
        layers.append(nn.Linear(wide_in, wide_out))
        if i < len(widths) - 2:
            if norm is not None:
                layers.append(norm(wide_out))
            layers.append(activation())
            if dropout:
                layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


# ---------------------------------------------------------------- scores


def accuracy_on(inputs, labels, output=None):
    """A score: the share of right labels on these inputs."""

    def score(model):
        outputs = model(inputs) if output is None else output(model, inputs)
        return (outputs.argmax(-1) == labels).float().mean()

    return score


def binary_accuracy_on(inputs, labels):
    """A score: the share of right yes/no answers of a model that gives logits."""

    def score(model):
        return ((model(inputs) > 0) == (labels > 0.5)).float().mean()

    return score


def explained_on(inputs, targets, output=None):
    """A score: the share of the variance explained."""

    def score(model):
        outputs = model(inputs) if output is None else output(model, inputs)
        assert outputs.shape == targets.shape
        return 1 - (outputs - targets).square().mean() / (targets - targets.mean(0)).square().mean()

    return score
