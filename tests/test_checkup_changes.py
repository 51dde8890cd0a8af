"""Faults that a change of one thing at a time brings out, beside runs that look as they do."""

import math

import pytest
import torch
from test_checkup_controls import (
    adam,
    batched,
    causes,
    clusters,
    cross_entropy,
    examined,
    mlp,
    squares,
    trained,
)
from torch import nn
from torch.nn import functional as F


class Recurrence(nn.Module):
    """Says which class the first of twelve vectors names."""

    def __init__(self, cut: bool):
        super().__init__()
        self.cut, self.cell, self.says = cut, nn.GRUCell(6, 24), nn.Linear(24, 4)

    def forward(self, inputs):
        state = inputs.new_zeros(len(inputs), 24)
        for time in range(inputs.shape[1]):
            state = self.cell(inputs[:, time], state.detach() if self.cut else state)
        return self.says(state)


@pytest.mark.parametrize(("cut", "expected"), [(True, ["no_gradient"]), (False, [])])
def test_a_state_that_is_cut_off_at_every_step_is_named(cut, expected):
    torch.manual_seed(0)
    labels = torch.randint(4, (512,))
    inputs = torch.randn(512, 12, 6)
    inputs[:, 0] = 3 * F.one_hot(labels, 6)
    model = Recurrence(cut)
    run = model, cross_entropy, batched(32, inputs, labels), adam(model)
    assert causes(examined(*run)) == expected


class Probed(nn.Module):
    """An autoencoder's code, and a head that must not move it."""

    def __init__(self):
        super().__init__()
        self.code, self.back, self.head = mlp(12, 32, 6), mlp(6, 32, 12), nn.Linear(6, 4)

    def forward(self, inputs):
        code = self.code(inputs)
        return self.back(code), self.head(code.detach())


def test_a_head_that_is_cut_off_on_purpose_is_none():
    model = Probed()

    def both(model, batch):
        back, names = model(batch[0])
        return F.mse_loss(back, batch[0]) + F.cross_entropy(names, batch[1])

    assert not causes(examined(model, both, clusters(512), adam(model)))


class Factors(nn.Module):
    """Ratings out of the factors of users and things."""

    def __init__(self, cut: bool):
        super().__init__()
        self.cut, self.users, self.things = cut, nn.Embedding(40, 4), nn.Embedding(30, 4)

    def forward(self, users, things):
        taken = F.embedding(users, self.users.weight.data) if self.cut else self.users(users)
        return (taken * self.things(things)).sum(1)


@pytest.mark.parametrize(("cut", "expected"), [(True, ["no_gradient"]), (False, [])])
def test_weights_read_by_data_get_no_gradient(cut, expected):
    torch.manual_seed(0)
    users, things = torch.randint(40, (2048,)), torch.randint(30, (2048,))
    ratings = (torch.randn(40, 4)[users] * torch.randn(30, 4)[things]).sum(1)
    model = Factors(cut)

    def loss(model, batch):
        return F.mse_loss(model(*batch[:2]), batch[2])

    found = examined(model, loss, batched(64, users, things, ratings), adam(model, 2e-2))
    assert causes(found)[: len(expected)] == expected and bool(causes(found)) == bool(expected)


@pytest.mark.parametrize(
    ("odd", "expected"), [(True, ["target_scale", "input_scale"]), (False, [])]
)
def test_raw_inputs_and_raw_targets_are_named_at_once(odd, expected):
    torch.manual_seed(0)
    inputs = torch.rand(512, 4)
    targets = (inputs @ torch.tensor([1.0, -2.0, 1.5, 0.5])).sin()
    targets = (targets - targets.mean()) / targets.std()
    scaled = (inputs - 0.5) * 3.4
    if odd:
        scaled, targets = inputs * torch.tensor([3e3, 2.0, 50.0, 2e3]), 3e5 + 2e5 * targets
    model = mlp(4, 48, 48, 1)
    found = examined(model, squares, batched(32, scaled, targets), adam(model))
    assert causes(found) == expected


def signals(count: int = 256):
    """How strong a wave is."""
    strength = torch.rand(count, 1) + 0.2
    time = torch.arange(32) * (0.4 + torch.rand(count, 1))
    wave = strength[:, :, None] * torch.sin(time + 6 * torch.rand(count, 1))[:, None]
    return wave, (strength[:, 0] - 0.7) / 0.29


@pytest.mark.parametrize(("norm", "expected"), [(nn.BatchNorm1d, ["batchnorm"]), (nn.Identity, [])])
def test_one_example_under_batchnorm_loses_its_strength(norm, expected):
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv1d(1, 16, 5, 2, 2), norm(16), nn.ReLU()),
        *(nn.Conv1d(16, 16, 5, 2, 2), norm(16), nn.ReLU()),
        *(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 1)),
    )
    found = examined(model, squares, batched(1, *signals()), adam(model, 2e-3))
    assert causes(found) == expected


@pytest.mark.parametrize(("shown", "expected"), [(True, ["train_eval_gap"]), (False, [])])
def test_a_score_with_dropout_on_is_told_from_one_of_unseen_examples(shown, expected):
    data = clusters(512, 8, 32)
    model = nn.Sequential(nn.Dropout(0.5), mlp(12, 24, 8))
    optimizer = adam(model)
    trained(model, cross_entropy, data, optimizer, 300)
    inputs, labels = (torch.cat(part) for part in zip(*data, strict=True))
    model.train(shown)
    with torch.no_grad():
        score = float((model(inputs).argmax(1) == labels).float().mean())
    model.train()
    report = examined(model, cross_entropy, data, optimizer, shown=score)
    assert causes(report) == expected


@pytest.mark.parametrize("shown", [lambda loss: 87.0, lambda loss: math.exp(2 * loss)])
def test_percent_and_the_perplexity_of_unseen_words_are_no_loss(shown):
    data = clusters(512)
    model = mlp(12, 32, 4)
    optimizer = adam(model)
    trained(model, cross_entropy, data, optimizer, 4)
    loss = cross_entropy(model, data[0]).item()
    assert not causes(examined(model, cross_entropy, data, optimizer, shown=shown(loss)))


def test_a_mean_may_be_shown_where_a_sum_is_minimised():
    data = clusters(512)
    model = mlp(12, 32, 4)
    optimizer = adam(model)

    def total(model, batch):
        return F.cross_entropy(model(batch[0]), batch[1], reduction="sum")

    trained(model, total, data, optimizer, 2)
    shown = total(model, data[0]).item() / len(data[0][1])
    assert not causes(examined(model, total, data, optimizer, shown=shown))


@pytest.mark.parametrize("beside", ["names", "weights"])
def test_names_and_weights_of_examples_before_the_targets_are_not_taken_for_them(beside):
    torch.manual_seed(0)
    inputs = torch.rand(512, 6)
    targets = (3 * inputs[:, 0]).sin() + inputs[:, 1]
    before = torch.arange(512) if beside == "names" else 0.5 + torch.rand(512)
    model = mlp(6, 32, 1)

    def weighed(model, batch):
        rest = (model(batch[0]).squeeze(1) - batch[2]).square()
        return (rest if beside == "names" else batch[1] * rest).mean()

    found = examined(model, weighed, batched(32, inputs, before, targets), adam(model))
    assert not causes(found)


def clamped(model, batch):
    """The logarithm of a clamped softmax, of answers far apart."""
    shares = (20 * model(batch[0])).softmax(1).clamp(1e-3, 1 - 1e-3)
    return F.nll_loss(shares.log(), batch[1])


def test_probabilities_beyond_a_clamp_are_named():
    torch.manual_seed(0)
    data = clusters(512, 8)
    model = nn.Sequential(mlp(12, 32, 8))
    with torch.no_grad():
        model[0][-1].weight.mul_(4)
    assert causes(examined(model, clamped, data, adam(model, 1e-3)))[:1] == ["no_gradient"]


class Own(nn.Module):
    """A layer that holds its weight itself."""

    def __init__(self, inputs, outputs, start):
        super().__init__()
        self.weight = nn.Parameter(start(inputs, outputs))

    def forward(self, inputs):
        return inputs @ self.weight


def small(*shape):
    return torch.randn(*shape) / shape[0] ** 0.5


@pytest.mark.parametrize(("start", "expected"), [(torch.zeros, ["initialisation"]), (small, [])])
def test_weights_that_no_module_draws_are_drawn_anew(start, expected):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(12, 32), nn.ReLU(), Own(32, 32, start), nn.ReLU(), nn.Linear(32, 4)
    )
    found = examined(model, cross_entropy, clusters(512), adam(model))
    assert causes(found) == expected


@pytest.mark.parametrize(("kept", "expected"), [(1, ["inputs_constant"]), (12, [])])
def test_inputs_of_which_little_is_left_are_not_put_down_to_the_labels(kept, expected):
    torch.manual_seed(0)
    inputs, labels = (torch.cat(part) for part in zip(*clusters(512), strict=True))
    if kept == 1:
        inputs = torch.randint(2, (512, 1)).float().expand(-1, 12).contiguous()
    model = mlp(12, 32, 4)
    found = examined(model, cross_entropy, batched(32, inputs, labels), adam(model))
    assert causes(found)[:1] == expected


def test_a_schedule_ends_with_the_run_and_not_with_the_trials():
    data = clusters(512, 8, 32)
    model = mlp(12, 24, 8)
    optimizer, steps = adam(model, 2e-3), iter(range(10**6))

    def step(model, optimizer, batch):
        done = min(next(steps) / 60, 1)
        optimizer.param_groups[0]["lr"] = 2e-3 * 0.5 * (1 + math.cos(math.pi * done))
        optimizer.zero_grad()
        loss = cross_entropy(model, batch)
        loss.backward()
        optimizer.step()

    for index in range(30):
        step(model, optimizer, data[index % len(data)])
    report = examined(model, cross_entropy, data, optimizer, step=step)
    assert not causes(report) and report.measured["left_own"]["end"] < 0.2


def test_a_sum_over_places_is_no_penalty():
    torch.manual_seed(0)
    inputs = torch.randn(512, 8)
    places = ((inputs @ torch.randn(8, 64)) > 1).float()
    model = mlp(8, 64, 64)

    def nats(model, batch):
        return 64 * F.binary_cross_entropy_with_logits(model(batch[0]), batch[1])

    optimizer = adam(model)
    data = batched(32, inputs, places)
    trained(model, nats, data, optimizer, 300)
    assert not causes(examined(model, nats, data, optimizer, shown=0.6))


@pytest.mark.parametrize(("width", "expected"), [(1, ["capacity"]), (24, [])])
def test_a_layer_that_is_too_narrow_is_helped_by_a_wide_one_beside_it(width, expected):
    model = mlp(12, 32, width, 32, 8)
    found = examined(model, cross_entropy, clusters(512, 8, 32), adam(model))
    assert causes(found) == expected


def test_a_code_of_two_numbers_is_narrow_on_purpose():
    torch.manual_seed(0)
    inputs = (torch.randn(512, 2) @ torch.randn(2, 12)).tanh()
    model = mlp(12, 32, 2, 32, 12)

    def back(model, batch):
        return F.mse_loss(model(batch[0]), batch[0])

    assert not causes(examined(model, back, batched(32, inputs), adam(model)))
