"""The training loop against hand-written ones: same numbers, clear errors, early ends."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from course_utils.training import train

STEPS = 60


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


@pytest.mark.parametrize("first", [0, 3])
def test_a_term_that_is_infinite_for_one_step_is_divergence_and_ends_the_run(first):
    def loss(*batch):
        return {"data_loss": squared_error(*batch), "penalty": next(penalties)}

    # They last as long as the run does: the losses are looked at in step 25.
    penalties = iter([*torch.ones(first), torch.tensor(math.inf), *torch.ones(24)])
    curves = train(**regression(loss=loss))
    assert int(curves["diverged_at"]) == int(curves["steps_done"]) == first
    assert int(curves["data_loss"].count()) == first


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


def test_a_loader_starts_again():
    examples = list(zip(*regression()["batches"][0], strict=True))
    loader = torch.utils.data.DataLoader(examples, batch_size=32)
    assert int(train(**regression(batches=loader, steps=7))["steps_done"]) == 7


def test_the_optimiser_must_hold_something_of_this_model_to_train():
    given = regression()
    frozen, head = (torch.optim.SGD(given["model"][k].parameters(), lr=0.1) for k in (0, 2))
    given["model"][0].requires_grad_(False)
    for right in (given["optimizer"], head):
        assert int(train(**given | {"optimizer": right})["steps_done"]) == STEPS
    for wrong in (regression()["optimizer"], frozen):
        with pytest.raises(ValueError, match="optimizer must hold a parameter of this model"):
            train(**given | {"optimizer": wrong})
    given["loss"] = lambda model, *_: model[0].requires_grad_(True)(torch.ones(4, 3)).mean()
    with pytest.raises(ValueError, match="that the loss depends on"):
        train(**given | {"optimizer": head})
