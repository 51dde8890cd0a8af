"""What arithmetic, not chance, decides in notebook 01; the take-home functions of 00 and 01."""

import copy
import functools
import math
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from execution import ROOT
from scipy.integrate import quad
from torch import nn

from course_utils._runs import isolated
from course_utils.measures import weight_norm
from course_utils.models import count_parameters, initial_variance, kernels

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def run(page, monkeypatch):
    """Three steps of the notebook's experiment, from the same first weights each time."""
    monkeypatch.setattr(page, "STEPS", 3)

    def from_the_same_weights(**settings) -> xr.Dataset:
        with isolated(0):
            return page.experiment(4, 0, **settings)

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
    """Means over all initialisations: of |x|, √(2/π); of the largest, the integral of P(> x)."""
    drawn = [(w.numel(), initial_variance(w, scheme) ** 0.5) for w in kernels(model)]

    def largest(count):
        return quad(lambda x: 1 - math.erf(x / math.sqrt(2)) ** count, 0, 10)[0]

    return {
        "l2": page.expected_penalty(model, 1.0, scheme),
        "l1": sum(count * spread * math.sqrt(2 / math.pi) for count, spread in drawn),
        "max": sum(spread * largest(count) for count, spread in drawn),
    }


@pytest.mark.parametrize(["width", "depth"], [(1, 2), (4, 8), (32, 8)])
def test_the_penalty_of_he_initialisation_counts_output_channels(page, width, depth):
    owed = page.expected_penalty(page.make_model(width, depth), 1e-3, "kaiming")
    assert owed == pytest.approx(2e-3 * (depth * width + 1))
    assert owed == pytest.approx(page.formula(width, 1e-3, depth))


@pytest.mark.parametrize("scheme", ["kaiming", "fixed"])
def test_fresh_networks_have_the_norms_of_the_closed_forms(page, scheme):
    found = page.start(4, scheme, 0)
    for norm, expected in expected_norms(page, page.make_model(4), scheme).items():
        assert found[norm] == pytest.approx(expected, rel=0.1), norm


def test_the_exponents_of_the_norms(page, monkeypatch):
    """Of closed forms, over the notebook's widths; a fixed depth leaves them a little off."""
    models = [page.make_model(width) for width in page.WIDTHS]
    sizes = np.array([count_parameters(model) for model in models])
    monkeypatch.setattr(page, "parameters", xr.DataArray(sizes, dims="width"), raising=False)

    def exponent(values):
        return page.slope(xr.DataArray(np.array(values), dims="width")).item()

    assert exponent(7.0 * sizes**0.3) == pytest.approx(0.3)
    he, fixed = (
        [expected_norms(page, model, scheme) for model in models] for scheme in ("kaiming", "fixed")
    )
    assert exponent([one["l2"] for one in he]) == pytest.approx(0.5, abs=0.03)
    assert exponent([one["l2"] for one in fixed]) == pytest.approx(1.0, abs=0.03)
    assert exponent([one["l1"] for one in he]) == pytest.approx(0.75, abs=0.03)
    assert exponent([one["max"] for one in he]) < -0.05


def test_a_penalty_is_optimised_if_it_is_in_the_loss_and_reported_if_it_is_said(run):
    inside, off, shown = run(), run(kind="penalty off"), run(kind="reported only")
    np.testing.assert_array_equal(shown["data_loss"], off["data_loss"])
    assert (shown["penalty"] > 0).all() and (inside["reported_loss"] > inside["data_loss"]).all()
    assert not np.array_equal(inside["data_loss"], off["data_loss"])  # optimised, it counts
    for found in (off, run(kind="weight_decay")):
        np.testing.assert_array_equal(found["reported_loss"], found["data_loss"])


def test_weight_decay_in_sgd_is_the_gradient_of_the_penalty(run, exact):
    kinds = ("in the loss", "weight_decay", "penalty off")
    inside, decayed, off = (run(kind=kind, strength=0.1)["data_loss"] for kind in kinds)
    np.testing.assert_allclose(decayed, inside, rtol=1e-6)
    assert abs(off - inside).max() > 1e-3  # without decay it is another path


def test_other_penalties_are_what_their_names_say(page, monkeypatch):
    """Per weight, the widest owes less than a fifth of what four channels owe, by the formula."""
    monkeypatch.setattr(page, "STEPS", 3)
    with isolated(0):
        model = page.make_model(8)
    counts = [sum(w.numel() for w in kernels(one)) for one in (page.make_model(4), model)]
    expected = {
        "L1": 1e-4 * weight_norm(model, "l1").item(),
        "per weight": 1e-3 * counts[0] / counts[1] * weight_norm(model).item(),
        "AdamW": 0.0,
    }
    for kind, owed in expected.items():
        with isolated(0):
            found = page.other_penalty(8, kind, 0)["penalty"]
        assert float(found[0]) == pytest.approx(owed)
    assert counts[0] / sum(w.numel() for w in kernels(page.make_model(32))) < 1 / 5 / 8


@pytest.mark.parametrize("scale", [3.0, 0.25])
def test_rescaled_convolutions_at_matched_rate_are_the_same_function(page, run, exact, scale):
    """Van Laarhoven 2017; the convolutions' penalty, though, goes with the square of the scale."""
    plain = run(kind="reported only")
    scaled = run(kind="reported only", scale=scale)
    np.testing.assert_allclose(scaled["data_loss"], plain["data_loss"], rtol=1e-5)
    with isolated(0):
        unmatched = page.at_the_same_rate(scale, 0, width=4, steps=3)
    assert abs(unmatched["data_loss"] - plain["data_loss"]).max() > 1e-3  # from the second step on
    with isolated(0):
        head = weight_norm(page.make_model(4)[-1]).item() * page.STRENGTH
    squares = (scaled["penalty"][0] - head) / (plain["penalty"][0] - head)
    assert float(squares) == pytest.approx(scale**2, rel=1e-5)


TAKE_HOME = {
    "00": lambda page, *batch: page.which_loss(*batch, F.cross_entropy),
    "01": lambda page, *batch: page.split_loss(*batch, F.cross_entropy, 0.1),
    "04": lambda page, *batch: page.is_it_learning(*batch, [0.7, 0.6]),
}


@pytest.mark.parametrize("number", TAKE_HOME)
def test_a_take_home_function_leaves_the_model_alone(defined, monkeypatch, number):
    """What they print of the notebooks' own models is in the committed outputs."""
    (path,) = ROOT.glob(f"notebooks/{number}_*.ipynb")
    page = defined(path)
    monkeypatch.setattr(page, "show", lambda *_: None, raising=False)
    model = nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    before = copy.deepcopy(model.state_dict())
    TAKE_HOME[number](page, model, torch.randn(64, 16), torch.arange(64) % 2)
    assert model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
