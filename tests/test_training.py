"""The training loop against hand-written ones: same numbers, clear errors, early ends."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from course_utils.training import train, watch

STEPS = 60


def regression(seed: int = 0):
    torch.manual_seed(seed)
    inputs = torch.randn(64, 3)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    return model, inputs, inputs.sum(1, keepdim=True)


def squared_error(model, inputs, targets):
    return nn.functional.mse_loss(model(inputs), targets)


def test_it_is_the_bare_loop():
    model, inputs, targets = regression()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    bare = []
    for _ in range(STEPS):
        loss = squared_error(model, inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        bare.append(loss.item())
    model, inputs, targets = regression()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    curves = train(model, [(inputs, targets)], squared_error, optimizer, STEPS)
    np.testing.assert_array_equal(curves["data_loss"].values, np.float32(bare))
    assert curves["step"].values.tolist() == list(range(STEPS))
    assert int(curves["diverged_at"]) == -1 and int(curves["steps_done"]) == STEPS


def test_terms_add_up_and_a_detached_one_is_not_optimised():
    def loss(detached):
        def terms(model, inputs, targets):
            penalty = sum(p.square().sum() for p in model.parameters())
            data_loss = squared_error(model, inputs, targets)
            return {"data_loss": data_loss, "penalty": penalty.detach() if detached else penalty}

        return terms

    runs = {}
    for name, function in {"plain": squared_error, "on": loss(False), "off": loss(True)}.items():
        model, inputs, targets = regression()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        runs[name] = train(model, [(inputs, targets)], function, optimizer, STEPS)
    np.testing.assert_allclose(
        runs["on"]["reported_loss"], runs["on"]["data_loss"] + runs["on"]["penalty"], rtol=1e-6
    )
    np.testing.assert_array_equal(runs["off"]["data_loss"], runs["plain"]["data_loss"])
    assert float(abs(runs["on"]["data_loss"] - runs["plain"]["data_loss"]).max()) > 0.01


def test_divergence_is_a_result():
    model, inputs, targets = regression()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e6)
    curves = train(model, [(inputs, targets)], squared_error, optimizer, STEPS)
    diverged_at = int(curves["diverged_at"])
    losses = curves["data_loss"].values
    assert 0 < diverged_at < STEPS and int(curves["steps_done"]) == diverged_at
    assert np.isfinite(losses[:diverged_at]).all() and np.isnan(losses[diverged_at:]).all()


def test_a_loss_that_is_nan_from_the_start_is_a_result_too():
    model, inputs, targets = regression()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    curves = train(model, [(inputs * torch.nan, targets)], squared_error, optimizer, STEPS)
    assert int(curves["diverged_at"]) == 0 and curves["data_loss"].isnull().all()


def test_it_stops_when_told_to_and_says_where():
    model, inputs, targets = regression()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    curves = train(
        model, [(inputs, targets)], squared_error, optimizer, 1000,
        stop_when=lambda losses: losses[-5:].mean() < 0.1,
    )  # fmt: skip
    done = int(curves["steps_done"])
    assert done < 1000 and float(curves["data_loss"][done - 5 : done].mean()) < 0.1
    assert curves["data_loss"][done:].isnull().all()


def test_measures_see_gradients_and_change_nothing():
    def gradient_norms(model, inputs, targets):
        torch.rand(3)  # a measure that draws must not shift the run's own draws
        return torch.stack([p.grad.norm() for p in model.parameters()])

    def noisy_error(model, inputs, targets):
        return squared_error(model, inputs + 0.1 * torch.randn(inputs.shape), targets)

    runs = []
    for measure in (None, {"gradient": gradient_norms, "bias": lambda m, x, y: m[0].bias[0]}):
        model, inputs, targets = regression()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        runs.append(
            train(model, [(inputs, targets)], noisy_error, optimizer, 25, measure=measure, every=10)
        )
    np.testing.assert_array_equal(runs[0]["data_loss"], runs[1]["data_loss"])
    assert runs[1]["gradient"].dims == ("measured_step", "gradient_index")
    assert runs[1]["gradient"].shape == (3, 4) and bool((runs[1]["gradient"] > 0).all())
    assert runs[1]["bias"].dims == ("measured_step",)
    assert runs[1]["measured_step"].values.tolist() == [0, 10, 20]


def test_a_watcher_sees_the_end_even_of_an_interrupted_run():
    def interrupting(model, inputs, targets):
        interrupting.calls += 1
        if interrupting.calls == 31:
            raise KeyboardInterrupt
        return squared_error(model, inputs, targets)

    interrupting.calls, seen = 0, []
    model, inputs, targets = regression()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(seen.append), pytest.raises(KeyboardInterrupt):
        train(model, [(inputs, targets)], interrupting, optimizer, STEPS)
    assert int(seen[-1]["steps_done"]) == 30
    seen.clear()
    train(model, [(inputs, targets)], squared_error, optimizer, 5)
    assert not seen, "outside the block nobody watches"


def test_the_terms_of_a_loss_stay_the_same():
    def changing(model, inputs, targets):
        name = "first" if not changing.calls else "second"
        changing.calls += 1
        return {name: squared_error(model, inputs, targets)}

    changing.calls = 0
    model, inputs, targets = regression()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="same terms as before, .*first.*second"):
        train(model, [(inputs, targets)], changing, optimizer, 3)


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (
            (torch.ones(4, 99), torch.ones(4, 1)),
            r"at step 0; inputs: torch.float32 \(4, 99\) on cpu",
        ),
        ((torch.ones(4, 99, device="meta"), None), "on meta; targets: a NoneType; the model is on"),
    ],
)
def test_an_error_within_the_loss_says_what_the_batch_was(batch, words):
    model, _, _ = regression()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(RuntimeError) as caught:
        train(model, [batch], squared_error, optimizer, 3)
    assert re.search(words, "\n".join(caught.value.__notes__)), caught.value.__notes__


def test_batches_start_again_and_an_exhausted_iterator_is_an_error():
    model, inputs, targets = regression()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(inputs, targets), batch_size=32
    )
    curves = train(model, loader, squared_error, optimizer, 7)
    assert int(curves["steps_done"]) == 7
    with pytest.raises(ValueError, match="ended before the last step"):
        train(model, iter([(inputs, targets)]), squared_error, optimizer, 2)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"steps": -1}, ValueError, "steps must be between 1 and 10000000, got -1"),
        ({"steps": 2.5}, TypeError, "steps must be a whole number, got 2.5"),
        ({"every": 0, "measure": {}}, ValueError, "every must be 1 or larger, got 0"),
        ({"measure": {"norm": "l2"}}, TypeError, "measure 'norm' must be a function"),
        ({"optimizer": "SGD"}, TypeError, "optimizer must be a torch.optim.Optimizer"),
        ({"loss": None}, TypeError, "loss must be a function"),
        ({"loss": lambda m, x, y: m(x)}, ValueError, "'data_loss' must be a scalar tensor"),
        ({"loss": lambda m, x, y: 1.0}, TypeError, "loss must return a scalar tensor or a dict"),
        ({"measure": {"w": lambda m, x, y: m[0].weight}}, ValueError, "measure 'w' must return"),
        ({"measure": {"w": lambda m, x, y: "big"}}, TypeError, "measure 'w' must return a number"),
        ({"measure": {"data_loss": lambda m, x, y: 1.0}}, ValueError, "the name of a loss"),
        ({"measure": {"steps_done": lambda m, x, y: 1.0}}, ValueError, "measure 'steps_done'"),
        ({"loss": lambda m, x, y: {"reported_loss": m(x).sum()}}, ValueError, "reported_loss"),
        ({"loss": lambda m, x, y: {"diverged_at": m(x).sum()}}, ValueError, "'diverged_at'"),
        ({"loss": lambda m, x, y: m(x).sum().detach()}, ValueError, "no graph"),
        ({"batches": [3]}, TypeError, "batches must yield pairs .*, got 3"),
        ({"batches": [(torch.ones(2), torch.ones(2), 1)]}, TypeError, "batches must yield pairs"),
    ],
)
def test_bad_input_is_named(change, error, words):
    model, inputs, targets = regression()
    arguments = {
        "model": model,
        "batches": [(inputs, targets)],
        "loss": squared_error,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "steps": 3,
    } | change
    with pytest.raises(error, match=words):
        train(**arguments)
