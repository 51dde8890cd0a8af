"""The training loop against hand-written ones: same numbers, clear errors, early ends."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from course_utils.training import train, watch

STEPS, COUNT = 60, itertools.count()


def regression(**options):
    """What `train` takes, for a small net and sums of three numbers."""
    torch.manual_seed(0)
    inputs = torch.randn(64, 3)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    given = {
        "model": model,
        "batches": [(inputs, inputs.sum(1, keepdim=True))],
        "loss": squared_error,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        "steps": STEPS,
    }
    return given | options


def squared_error(model, inputs, targets):
    return nn.functional.mse_loss(model(inputs), targets)


def test_it_is_the_bare_loop():
    model, batches, loss, optimizer, _ = regression().values()
    bare = []
    for _ in range(STEPS):
        value = loss(model, *batches[0])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        bare.append(value.item())
    given = regression()
    curves = train(**given)
    np.testing.assert_array_equal(curves["data_loss"].values, np.float32(bare))
    assert curves["step"].values.tolist() == list(range(STEPS))
    assert int(curves["diverged_at"]) == -1 and int(curves["steps_done"]) == STEPS
    for mine, theirs in zip(given["model"].parameters(), model.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_terms_add_up_and_a_detached_one_is_not_optimised():
    def penalised(model, inputs, targets, detached=False):
        penalty = sum(p.square().sum() for p in model.parameters())
        penalty = penalty.detach() if detached else penalty
        return {"data_loss": squared_error(model, inputs, targets), "penalty": penalty}

    plain, on = train(**regression()), train(**regression(loss=penalised))
    off = train(**regression(loss=lambda *batch: penalised(*batch, detached=True)))
    np.testing.assert_allclose(on["reported_loss"], on["data_loss"] + on["penalty"], rtol=1e-6)
    np.testing.assert_array_equal(off["data_loss"], plain["data_loss"])
    assert float(abs(on["data_loss"] - plain["data_loss"]).max()) > 0.01


def test_divergence_is_a_result_and_ends_the_run():
    given = regression(steps=1000)
    given["optimizer"].param_groups[0]["lr"] = 1e6
    curves = train(**given)
    diverged_at, losses = int(curves["diverged_at"]), curves["data_loss"].values
    assert 0 < diverged_at < STEPS and int(curves["steps_done"]) == diverged_at
    assert np.isfinite(losses[:diverged_at]).all() and np.isnan(losses[diverged_at:]).all()


@pytest.mark.parametrize("first", [0, 3])
def test_a_term_that_is_infinite_for_one_step_is_divergence(first):
    def loss(*batch):
        calls.append(len(calls))
        penalty = torch.tensor(math.inf if calls[-1] == first else 1.0)
        return {"data_loss": squared_error(*batch), "penalty": penalty}

    calls = []
    curves = train(**regression(loss=loss))
    assert int(curves["diverged_at"]) == int(curves["steps_done"]) == first
    assert int(curves["data_loss"].count()) == first and len(calls) < STEPS


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_it_stops_when_told_to_and_says_where(dtype):
    given = regression(loss=lambda *batch: squared_error(*batch).to(dtype), steps=1000)
    curves = train(**given, stop_when=lambda seen: len(seen) >= 50 and seen[-5:].mean() < 0.1)
    done = int(curves["steps_done"])
    assert 50 <= done < 1000 and float(curves["data_loss"][done - 5 : done].mean()) < 0.1
    assert curves["data_loss"][done:].isnull().all() and curves["data_loss"].dtype == np.float32


def test_measures_see_gradients_and_change_nothing():
    def gradient_norms(model, inputs, targets):
        torch.rand(3)  # a measure that draws must not shift the run's own draws
        return torch.stack([p.grad.norm() for p in model.parameters()])

    def noisy_error(model, inputs, targets):
        return squared_error(model, inputs + 0.1 * torch.randn(inputs.shape), targets)

    given = {"loss": noisy_error, "steps": 25}
    plain = train(**regression(**given))
    measure = {"gradient": gradient_norms, "one": lambda *_: 1}
    measured = train(**regression(**given), measure=measure, every=10)
    np.testing.assert_array_equal(plain["data_loss"], measured["data_loss"])
    assert measured["gradient"].sizes == {"measured_step": 3, "gradient_index": 4}
    assert bool((measured["gradient"] > 0).all()) and measured["one"].values.tolist() == [1, 1, 1]
    assert measured["measured_step"].values.tolist() == [0, 10, 20]


def test_what_a_step_changes_is_recorded_as_it_was_before():
    model = regression()["model"]
    model.scale = nn.Parameter(torch.tensor(2.0))
    given = regression(model=model, optimizer=torch.optim.SGD([model.scale], lr=0.5), steps=3)
    given["loss"] = lambda *batch: {"data_loss": squared_error(*batch), "scale": model.scale}
    curves = train(**given, measure={"same": lambda *_: model.scale}, every=1)
    assert curves["scale"].values.tolist() == curves["same"].values.tolist() == [2.0, 1.5, 1.0]


@pytest.mark.parametrize(("pause", "steps"), [(math.inf, [30]), (0, [*range(1, 31), 30])])
def test_a_watcher_sees_the_end_even_of_an_interrupted_run(monkeypatch, pause, steps):
    def interrupting(*batch):
        left.pop()
        if not left:
            raise KeyboardInterrupt
        return squared_error(*batch)

    monkeypatch.setattr("course_utils.training.REDRAW_SECONDS", pause)
    left, seen = [None] * 31, []
    with watch(seen.append), pytest.raises(KeyboardInterrupt):
        train(**regression(loss=interrupting))
    assert [int(curves["steps_done"]) for curves in seen] == steps
    seen.clear()
    train(**regression(steps=5))
    assert not seen, "outside the block nobody watches"


def test_batches_start_again_and_an_exhausted_iterator_is_an_error():
    examples = list(zip(*regression()["batches"][0], strict=True))
    loader = torch.utils.data.DataLoader(examples, batch_size=32)
    assert int(train(**regression(batches=loader, steps=7))["steps_done"]) == 7
    with pytest.raises(ValueError, match="batches ended before the last step"):
        train(**regression(batches=iter(regression()["batches"])))


def test_the_optimiser_must_hold_something_of_this_model_to_train():
    given = regression()
    given["model"][0].requires_grad_(False)
    head = torch.optim.SGD(given["model"][2:].parameters(), lr=0.1)
    for right in (given["optimizer"], head):
        assert int(train(**given | {"optimizer": right})["steps_done"]) == STEPS
    frozen = torch.optim.SGD(given["model"][0].parameters(), lr=0.1)
    for wrong in (regression()["optimizer"], frozen):
        with pytest.raises(ValueError, match="optimizer must hold a parameter of this model"):
            train(**given | {"optimizer": wrong})
    given["model"][0].requires_grad_(True)
    given["loss"] = lambda model, *_: model[2:](torch.ones(4, 8)).mean()
    with pytest.raises(ValueError, match="that the loss depends on"):
        train(**given | {"optimizer": frozen})


def test_an_error_within_the_loss_says_what_the_batch_was():
    with pytest.raises(RuntimeError) as caught:
        train(**regression(batches=[(torch.ones(4, 99, device="meta"), None)]))
    note = caught.value.__notes__[0]
    assert "step 0" in note and "(4, 99), torch.float32, on meta" in note and "NoneType" in note


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"steps": 0}, "steps must be 1 or larger"),
        ({"every": 0}, "every must be 1 or larger"),
        ({"optimizer": torch.optim.SGD}, "optimizer must be a torch.optim.Optimizer"),
        ({"loss": lambda m, x, y: {"a": m(x)}}, r"a real scalar .* \(64, 1\).* as 'a'"),
        ({"loss": lambda m, x, y: (m(x).sum(), m(x))}, "loss must return .* a tuple of 2"),
        ({"loss": lambda m, x, y: m(x).sum() * 1j}, "got a tensor .*complex64"),
        ({"loss": lambda m, x, y: m(x).sum().detach()}, "loss must depend on"),
        ({"measure": {"w": lambda m, x, y: None}}, "measure 'w' must return .* a NoneType"),
        ({"measure": {"w": lambda m, x, y: torch.tensor(1j)}}, "measure 'w' must return a real"),
        ({"measure": {"data_loss": lambda *_: 1.0}}, "'data_loss': choose a name that is free"),
        ({"measure": {"steps_done": lambda *_: 1.0}}, "'steps_done': choose a name that is free"),
        ({"loss": lambda m, x, y: {f"{next(COUNT)}": m(x).sum()}}, "loss must return the terms .*"),
        ({"measure": {"w": lambda *_: torch.ones(next(COUNT))}}, "'w' must return one shape"),
        ({"batches": (torch.ones(4, 3), torch.ones(4, 1))}, "batches must yield pairs .* a tensor"),
        ({"batches": [(torch.ones(4, 3),) * 3]}, "batches must yield pairs .* a tuple of 3"),
    ],
)
def test_what_does_not_fit_is_named_in_one_short_line(change, words):
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        train(**{"every": 1} | regression() | change)
    assert len(str(caught.value)) < 160 and "\n" not in str(caught.value)
