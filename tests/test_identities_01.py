"""What arithmetic, not chance, decides in notebook 01: sizes at the start, and what is reported."""

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
from course_utils.measures import weight_norm, weight_penalty
from course_utils.models import count_parameters, initial_variance, kernels

pytestmark = pytest.mark.usefixtures("one_thread")

NOTEBOOK = (
    Path(__file__).resolve().parent.parent / "notebooks" / "01_bigger_model_higher_loss.ipynb"
)


@pytest.fixture(scope="module")
def page(defined) -> ModuleType:
    module = defined(NOTEBOOK)
    module.make_optimizer(module.make_model(1), 0.0, "penalty off", 1.0).step()  # imports the slow
    return module


@pytest.fixture
def short(page, monkeypatch) -> None:
    """Runs of three steps."""
    monkeypatch.setattr(page, "STEPS", 3)


@pytest.fixture
def exact(page, monkeypatch, short) -> None:
    """Short runs in float64 with an ε of BatchNorm near 0: nothing but rounding is left."""
    make_model, volumes = page.make_model, page.volumes

    def exact_model(*arguments):
        model = make_model(*arguments).double()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm3d):
                module.eps = 1e-30  # 0 is refused
        return model

    def exact_volumes(seed):
        data = volumes(seed)
        return data._replace(inputs=data.inputs.double())

    monkeypatch.setattr(page, "make_model", exact_model)
    monkeypatch.setattr(page, "volumes", exact_volumes)


def run(page: ModuleType, width: int = 4, **settings) -> xr.Dataset:
    """A run of the notebook's experiment whose first weights are those of the other runs."""
    with isolated(0):
        return page.experiment(width, 0, **settings)


def expected_l1(model: nn.Module, scheme: str) -> float:
    """Mean of the sum of absolute values: a normal variable's is √(2/π) of its spread."""
    spreads = ((w.numel(), initial_variance(w, scheme) ** 0.5) for w in kernels(model))
    return sum(count * spread * math.sqrt(2 / math.pi) for count, spread in spreads)


def expected_largest(model: nn.Module, scheme: str) -> float:
    """Mean of the sum of each layer's largest weight: the integral of P(largest > x)."""

    def in_spreads(count):
        return quad(lambda x: 1 - math.erf(x / math.sqrt(2)) ** count, 0, 10)[0]

    spreads = ((w.numel(), initial_variance(w, scheme) ** 0.5) for w in kernels(model))
    return sum(spread * in_spreads(count) for count, spread in spreads)


def exponent(page: ModuleType, monkeypatch, of) -> float:
    """The notebook's `slope` of a function of the model over its widths."""
    models = [page.make_model(width) for width in page.WIDTHS]
    sizes = np.array([count_parameters(model) for model in models])
    monkeypatch.setattr(page, "parameters", sizes, raising=False)
    values = xr.DataArray([[of(model)] for model in models], dims=("width", "seed"))
    return page.slope(values).item()


def test_the_slope_of_a_power_law_is_its_exponent(page, monkeypatch):
    found = exponent(page, monkeypatch, lambda model: 7.0 * count_parameters(model) ** 0.3)
    assert found == pytest.approx(0.3)


@pytest.mark.parametrize("width", [1, 4, 32])
@pytest.mark.parametrize("depth", [2, 8])
def test_the_penalty_of_he_initialisation_counts_output_channels(page, width, depth):
    owed = page.expected_penalty(page.make_model(width, depth), 1e-3, "kaiming")
    assert owed == pytest.approx(page.formula(width, 1e-3, depth))
    assert owed == pytest.approx(2e-3 * (depth * width + 1))


def test_fresh_networks_owe_what_the_formula_says(page):
    """Eight networks of 4 channels: their mean has a spread of about 1 %."""
    owed = [weight_penalty(page.make_model(4), page.STRENGTH).item() for _ in range(8)]
    assert np.mean(owed) == pytest.approx(page.formula(4), rel=0.1)


def test_fresh_networks_have_the_norms_of_the_closed_forms(page):
    """As `start` measures them, under both schemes, at the narrowest width: eight networks each."""
    model = page.make_model(4)
    for scheme in ("kaiming", "fixed"):
        found = page.start(4, scheme, 0)
        l2 = page.expected_penalty(model, 1.0, scheme)
        assert found["l2"] == pytest.approx(l2, rel=0.1), scheme
        assert found["l1"] == pytest.approx(expected_l1(model, scheme), rel=0.05), scheme
        assert found["max"] == pytest.approx(expected_largest(model, scheme), rel=0.1), scheme


def test_the_exponents_of_the_norms(page, monkeypatch):
    """Of closed forms, over the notebook's widths; a fixed depth leaves them a little off."""

    def squares(scheme):
        return lambda model: page.expected_penalty(model, 1.0, scheme)

    assert exponent(page, monkeypatch, squares("kaiming")) == pytest.approx(0.5, abs=0.03)
    assert exponent(page, monkeypatch, squares("fixed")) == pytest.approx(1.0, abs=0.03)
    absolute = exponent(page, monkeypatch, lambda model: expected_l1(model, "kaiming"))
    assert absolute == pytest.approx(0.75, abs=0.03)
    assert exponent(page, monkeypatch, lambda model: expected_largest(model, "kaiming")) < -0.05


def test_a_penalty_that_is_only_reported_changes_nothing_but_the_report(page, short):
    off, shown = run(page, kind="penalty off"), run(page, kind="reported only")
    np.testing.assert_array_equal(shown["data_loss"], off["data_loss"])
    assert (shown["penalty"] > 0).all() and (off["penalty"] == 0).all()
    assert not np.array_equal(run(page)["data_loss"], off["data_loss"])  # optimised, it does


@pytest.mark.parametrize("kind", ["penalty off", "weight_decay", "AdamW"])
def test_what_acts_in_the_optimiser_is_in_no_reported_loss(page, short, kind):
    found = run(page, kind=kind)
    np.testing.assert_array_equal(found["reported_loss"], found["data_loss"])
    assert (run(page)["reported_loss"] > run(page)["data_loss"]).all()  # in the loss, it is


def test_weight_decay_in_sgd_is_the_gradient_of_the_penalty(page):
    """Weight by weight, after one step and after three, in float64."""
    inputs, targets = torch.randn(8, 1, 8, 8, 8).double(), torch.arange(8) % 2
    ends = {}
    for kind in ("in the loss", "weight_decay", "penalty off"):
        torch.manual_seed(1)
        model = page.make_model(2).double()
        optimizer = page.make_optimizer(model, 0.1, kind, 1.0)
        for _ in range(3):
            optimizer.zero_grad()
            loss = page.cross_entropy(model, inputs, targets) + page.penalty(model, 0.1, kind)
            loss.backward()
            optimizer.step()
            ends.setdefault(kind, []).append([w.detach().clone() for w in kernels(model)])
    for ours, theirs, free in zip(*ends.values(), strict=True):
        for a, b, c in zip(ours, theirs, free, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
            assert (a - c).abs().max() > 1e-4  # without decay they end elsewhere


@pytest.mark.parametrize("width", [4, 8, 32])
def test_per_weight_the_penalty_is_that_of_four_channels_times_the_ratio_of_counts(page, width):
    model, narrow = page.make_model(width), page.make_model(4)
    share = sum(w.numel() for w in kernels(narrow)) / sum(w.numel() for w in kernels(model))
    found = page.penalty(model, 1e-3, "per weight").item()
    assert found == pytest.approx(1e-3 * share * weight_norm(model).item())


def test_per_weight_the_wide_network_owes_less(page):
    """By the closed form less than a fifth of what 4 channels owe; the gap is beyond 0.02."""
    narrow, wide = page.make_model(4), page.make_model(32)
    share = page.kernel_count(narrow) / page.kernel_count(wide)
    assert share * page.formula(32) < page.formula(4) / 5
    assert share * page.formula(32) - page.formula(4) < -0.02


@pytest.mark.parametrize(["width", "scale"], [(4, 3.0), (8, 0.25)])
def test_rescaled_convolutions_at_matched_rate_are_the_same_function(page, exact, width, scale):
    """Three steps: no data loss differs by more than rounding (van Laarhoven 2017)."""
    plain = run(page, width, kind="reported only")
    scaled = run(page, width, kind="reported only", scale=scale)
    np.testing.assert_allclose(scaled["data_loss"], plain["data_loss"], rtol=1e-5)
    unmatched = run(page, width, kind="reported only", scale=scale, match_rate="no")
    apart = abs(unmatched["data_loss"] - plain["data_loss"])
    assert float(apart.max()) > 1e-3  # the rate counts from the second step on


def test_the_penalty_of_the_convolutions_grows_with_the_square_of_their_scale(page, exact):
    """So either order of the reported losses can be had without another function."""
    with isolated(0):
        head = weight_norm(page.make_model(4)[-1]).item() * page.STRENGTH
    plain = float(run(page, kind="reported only")["penalty"][0])
    tripled = float(run(page, kind="reported only", scale=3.0)["penalty"][0])
    assert tripled - head == pytest.approx(9 * (plain - head), rel=1e-5)
