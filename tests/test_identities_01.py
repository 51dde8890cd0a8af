"""What arithmetic, not chance, decides in notebook 01; and the take-home functions of 00 and 01."""

import copy
import functools
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.integrate import quad
from torch import nn

from course_utils._runs import isolated
from course_utils.measures import weight_norm
from course_utils.models import count_parameters, initial_variance, kernels

pytestmark = pytest.mark.usefixtures("one_thread")

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


@pytest.fixture(scope="module")
def page(defined) -> ModuleType:
    return defined(NOTEBOOKS / "01_bigger_model_higher_loss.ipynb")


@pytest.fixture
def run(page, monkeypatch):
    """Three steps of the notebook's experiment, from the same first weights each time."""
    monkeypatch.setattr(page, "STEPS", 3)

    def from_the_same_weights(width: int = 4, **settings) -> xr.Dataset:
        with isolated(0):
            return page.experiment(width, 0, **settings)

    return from_the_same_weights


@pytest.fixture
def exact(page, monkeypatch) -> None:
    """Runs in float64 with an ε of BatchNorm near 0 (which is refused): only rounding is left."""
    make_model, volumes = page.make_model, page.volumes

    def exact_volumes(seed):
        data = volumes(seed)
        return data._replace(inputs=data.inputs.double())

    monkeypatch.setattr(nn, "BatchNorm3d", functools.partial(nn.BatchNorm3d, eps=1e-30))
    monkeypatch.setattr(page, "make_model", lambda *arguments: make_model(*arguments).double())
    monkeypatch.setattr(page, "volumes", exact_volumes)


def expected_norms(page: ModuleType, model: nn.Module, scheme: str) -> dict[str, float]:
    """Means over all initialisations, as `start` names them.

    A normal variable's absolute value is √(2/π) of its spread in the mean; the mean of the largest
    is the integral of P(largest > x).
    """
    drawn = [(w.numel(), initial_variance(w, scheme) ** 0.5) for w in kernels(model)]

    def largest(count):
        return quad(lambda x: 1 - math.erf(x / math.sqrt(2)) ** count, 0, 10)[0]

    return {
        "l2": page.expected_penalty(model, 1.0, scheme),
        "l1": sum(count * spread * math.sqrt(2 / math.pi) for count, spread in drawn),
        "max": sum(spread * largest(count) for count, spread in drawn),
    }


@pytest.mark.parametrize("width", [1, 4, 32])
@pytest.mark.parametrize("depth", [2, 8])
def test_the_penalty_of_he_initialisation_counts_output_channels(page, width, depth):
    owed = page.expected_penalty(page.make_model(width, depth), 1e-3, "kaiming")
    assert owed == pytest.approx(2e-3 * (depth * width + 1))
    assert owed == pytest.approx(page.formula(width, 1e-3, depth))


@pytest.mark.parametrize("scheme", ["kaiming", "fixed"])
def test_fresh_networks_have_the_norms_of_the_closed_forms(page, scheme):
    """Of the narrowest width: eight networks, as `start` measures them."""
    found = page.start(4, scheme, 0)
    for norm, expected in expected_norms(page, page.make_model(4), scheme).items():
        assert found[norm] == pytest.approx(expected, rel=0.1), norm


def test_the_exponents_of_the_norms(page, monkeypatch):
    """Of closed forms, over the notebook's widths; a fixed depth leaves them a little off."""
    models = [page.make_model(width) for width in page.WIDTHS]
    sizes = np.array([count_parameters(model) for model in models])
    monkeypatch.setattr(page, "parameters", sizes, raising=False)

    def exponent(values):
        return page.slope(xr.DataArray(np.array(values)[:, None], dims=("width", "seed"))).item()

    assert exponent(7.0 * sizes**0.3) == pytest.approx(0.3)
    he, fixed = (
        [expected_norms(page, model, scheme) for model in models] for scheme in ("kaiming", "fixed")
    )
    assert exponent([one["l2"] for one in he]) == pytest.approx(0.5, abs=0.03)
    assert exponent([one["l2"] for one in fixed]) == pytest.approx(1.0, abs=0.03)
    assert exponent([one["l1"] for one in he]) == pytest.approx(0.75, abs=0.03)
    assert exponent([one["max"] for one in he]) < -0.05


def test_a_penalty_that_is_only_reported_changes_nothing_but_the_report(run):
    off, shown = run(kind="penalty off"), run(kind="reported only")
    np.testing.assert_array_equal(shown["data_loss"], off["data_loss"])
    assert (shown["penalty"] > 0).all() and (off["penalty"] == 0).all()
    assert not np.array_equal(run()["data_loss"], off["data_loss"])  # optimised, it does


@pytest.mark.parametrize("kind", ["penalty off", "weight_decay", "AdamW"])
def test_what_acts_in_the_optimiser_is_in_no_reported_loss(run, kind):
    found, penalised = run(kind=kind), run()
    np.testing.assert_array_equal(found["reported_loss"], found["data_loss"])
    assert (penalised["reported_loss"] > penalised["data_loss"]).all()  # in the loss, it is


def test_weight_decay_in_sgd_is_the_gradient_of_the_penalty(page):
    """Weight by weight, after three steps in float64."""
    inputs, targets = torch.randn(8, 1, 8, 8, 8).double(), torch.arange(8) % 2
    ends = []
    for kind in ("in the loss", "weight_decay", "penalty off"):
        torch.manual_seed(1)
        model = page.make_model(2).double()
        optimizer = page.make_optimizer(model, 0.1, kind, 1.0)
        for _ in range(3):
            optimizer.zero_grad()
            loss = page.cross_entropy(model, inputs, targets) + page.penalty(model, 0.1, kind)
            loss.backward()
            optimizer.step()
        ends.append(torch.cat([w.detach().flatten() for w in kernels(model)]))
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-9, atol=1e-12)
    assert (ends[0] - ends[2]).abs().max() > 1e-4  # without decay they end elsewhere


def test_per_weight_the_penalty_is_that_of_four_channels_times_the_ratio_of_counts(page):
    """By the closed form the widest owes less than a fifth of what four channels owe."""
    for model in (page.make_model(width) for width in page.WIDTHS):
        counts = [sum(w.numel() for w in kernels(m)) for m in (page.make_model(4), model)]
        share = counts[0] / counts[1]
        found = page.penalty(model, 1e-3, "per weight").item()
        assert found == pytest.approx(1e-3 * share * weight_norm(model).item())
    assert share * page.formula(32) < page.formula(4) / 5


@pytest.mark.parametrize(["width", "scale"], [(4, 3.0), (8, 0.25)])
def test_rescaled_convolutions_at_matched_rate_are_the_same_function(
    page, run, exact, width, scale
):
    """Van Laarhoven 2017; the convolutions' penalty, though, goes with the square of the scale."""
    plain = run(width, kind="reported only")
    scaled = run(width, kind="reported only", scale=scale)
    np.testing.assert_allclose(scaled["data_loss"], plain["data_loss"], rtol=1e-5)
    unmatched = run(width, kind="reported only", scale=scale, match_rate="no")
    apart = abs(unmatched["data_loss"] - plain["data_loss"])
    assert float(apart.max()) > 1e-3  # the rate counts from the second step on
    with isolated(0):
        head = weight_norm(page.make_model(width)[-1]).item() * page.STRENGTH
    squares = (scaled["penalty"][0] - head) / (plain["penalty"][0] - head)
    assert float(squares) == pytest.approx(scale**2, rel=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_three_losses_of_a_batch_and_a_sum_over_micro_batches(defined, capsys, reduction):
    """Of one logit, with (examples, 1) targets; the model stays as it is, in either mode."""
    page = defined(NOTEBOOKS / "00_start_here.ipynb")
    torch.manual_seed(0)
    layers = nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1)
    model, batch = nn.Sequential(*layers).train(reduction == "sum"), torch.randn(32, 5)
    targets, loss = torch.randint(2, (32, 1)).float(), nn.BCEWithLogitsLoss(reduction=reduction)
    trained_on, state = copy.deepcopy(model).train(), torch.manual_seed(3).get_state()
    trained = loss(trained_on(batch), targets).item()
    torch.manual_seed(3)
    page.which_loss(model, batch, targets, loss, strength=0.5, shown=8 * trained)
    assert torch.equal(torch.get_rng_state(), state) and model.training == (reduction == "sum")
    assert model[1].num_batches_tracked == 0
    said = capsys.readouterr().out
    evaluated, penalty = loss(model.eval()(batch), targets).item(), 0.5 * weight_norm(model).item()
    assert all(f"{n:.3f}".rstrip("0") in said for n in (evaluated, trained, trained + penalty))
    assert "8.0" in said.split("as trained")[1].splitlines()[0]
    assert ("is a sum" in said) == (reduction == "sum")


def test_the_split_of_a_loss_without_a_penalty_and_in_half_precision(page, capsys):
    model = nn.Linear(5, 1, bias=False).half()
    nn.init.constant_(model.weight, 300)  # its square is beyond half precision
    batch = torch.zeros(8, 5).half(), torch.ones(8, 1).half(), nn.BCEWithLogitsLoss()
    page.split_loss(model, *batch, 1e-4)
    assert "data 0.693 + penalty 45.000" in capsys.readouterr().out  # 5 x 300² x 1e-4
    page.split_loss(model, *batch, 0.0)
    assert "No penalty" in capsys.readouterr().out
