"""Races: steps to a target, who is sooner on which axis, and when one cannot tell."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from torch import nn

from course_utils.datasets import batches
from course_utils.measures import steps_to
from course_utils.races import AXES, judge, race

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("losses", "target", "window", "steps"),
    [
        ((1, 1, 1, 1, 0, 0, 0, 0, 0), 0.5, 4, 4),  # the mean of steps 2 to 5 (from 0)
        ((1, 1, 1, 1, 0, 0, 0, 0, 0), 0.0, 4, 6),
        ((1, 1, 1, 1, 0, 0, 0, 0, 0), 1.0, 4, 2),
        ((1, 0, 1, 1, 1), 0.4, 2, INF),  # one low loss is not there
        ((1, 1, NAN, NAN), 0.5, 2, INF),
        ((0, 0), 0.5, 3, INF),  # shorter than the window
    ],
)
def test_steps_to_is_the_middle_of_the_first_mean_that_is_there(losses, target, window, steps):
    both = xr.DataArray([losses, [9.0] * len(losses)], dims=("seed", "step"))
    found = steps_to(both, target, window)
    assert found.dims == ("seed",) and found.values.tolist() == [steps, INF]
    for wrong in (both.rename(step="time"), both.isel(step=slice(0))):
        with pytest.raises(ValueError, match="must have a dimension 'step', not empty"):
            steps_to(wrong, target)


def squares(model, inputs, targets):
    return F.mse_loss(model(inputs), targets)


def line(seed):
    """Batches of a linear problem; one of them, where `train` looks, has a loss of 0 by itself."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(64, 1, generator=generator)
    found = list(batches((inputs, 2 * inputs), 8, 60, seed))
    return [*found[:24], (torch.zeros(8, 1), torch.zeros(8, 1)), *found[25:]]


def slope(start):
    """A function that makes a model of one weight; the nearer to 2 it starts, the sooner."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, start)
    return lambda: copy.deepcopy(model)


def run_race(models, **options):
    given = {"data": line, "loss": squares, "target": 0.01, "rates": [0.05], "seeds": range(5)}
    given |= {"optimizer": torch.optim.SGD, "steps": 60, "window": 4, "workers": 1}
    return race(models, **given | options)


@pytest.mark.parametrize("window", [4, 40])  # longer than the 25 steps between two looks
def test_the_model_with_less_to_learn_is_sooner_on_every_axis(window):
    runs = run_race({"far": slope(-8.0), "near": slope(1.8)}, window=window, target=0.1)
    assert set(AXES) == set(runs.data_vars) and bool((runs["second"] > 0).all())
    np.testing.assert_allclose(runs["example"], 8 * runs["step"])
    np.testing.assert_allclose(runs["FLOP"], 3 * 2 * 8 * runs["step"])
    verdict = judge(runs)
    assert verdict.loc[["step", "example", "FLOP"], "sooner"].tolist() == ["near"] * 3
    assert "5 of 5 there, rate 0.05" in verdict.loc["step", "near"]


def test_the_target_is_of_the_data_loss_and_a_frozen_layer_stays_out():
    def penalised(*batch):
        return {"data_loss": squares(*batch), "penalty": torch.tensor(1.0)}

    def with_frozen():
        return nn.Sequential(slope(1.0)().requires_grad_(False), slope(0.0)())

    def optimizer(parameters, lr):
        (weight,) = parameters
        return torch.optim.SGD([weight], lr=lr)

    one = run_race({"a": slope(0.0), "b": slope(0.0)})
    other = run_race({"a": slope(0.0), "b": with_frozen}, loss=penalised, optimizer=optimizer)
    assert np.isfinite(one["step"]).all()
    np.testing.assert_array_equal(one["step"], other["step"])
    assert judge(one).loc["step", "sooner"] == "cannot tell", "a model against itself"


def test_what_never_gets_there_has_no_rate_and_loses():
    runs = run_race({"never": slope(1e6), "near": slope(1.8)})
    verdict = judge(runs).loc["step"]
    assert verdict["never"] == "did not arrive: 0 of 5 there" and verdict["sooner"] == "near"
    nobody = judge(fake([[[INF] * 10] * 2] * 2)).loc["step"].tolist()
    assert nobody == [*["did not arrive: 0 of 20 there"] * 2, "cannot tell"]


def fake(steps):
    """Runs over (model, rate, seed), in which only steps count."""
    models, rates, seeds = np.shape(steps)
    coords = {"model": list("abc")[:models], "rate": [0.1, 0.2, 0.3][:rates], "seed": range(seeds)}
    return xr.Dataset({"step": (list(coords), np.array(steps, dtype=float))}, coords)


def test_each_rate_is_chosen_on_the_first_half_and_judged_on_the_second():
    lucky = [1] * 5 + [50] * 5  # wins where rates are chosen, loses where they are judged
    late = [INF] * 5 + [2] * 5  # arrives where it does not count
    runs = fake([[lucky, [10] * 10], [[20] * 10] * 2, [late, [INF] * 10]])
    verdict = judge(runs).loc["step"]
    assert verdict["a"] == "50 [50, 50], 5 of 5 there, rate 0.1, the smallest tried"
    assert verdict["c"] == "did not arrive: 5 of 20 there" and verdict["sooner"] == "cannot tell"
    assert judge(runs.isel(model=[0, 1])).loc["step", "sooner"] == "b"


@pytest.mark.parametrize(
    ("rates", "ending"),
    [
        (([30] * 5, [20] * 5, [10] * 5), "5 of 5 there, rate 0.3, the largest tried"),
        (([30] * 5, [10] * 5, [20] * 5), "5 of 5 there, rate 0.2"),
        (([10] * 5, [10] * 5, [20] * 5), "5 of 5 there, rate 0.2"),  # says nothing of smaller ones
        (([20, 20, *[INF] * 3], [9, *[INF] * 4], [INF] * 5), "rate 0.1, the smallest tried"),
    ],
)
def test_the_best_rate_and_whether_it_lies_at_the_end_of_those_tried(rates, ending):
    assert judge(fake([[2 * steps for steps in rates]] * 2)).loc["step", "a"].endswith(ending)


@pytest.mark.parametrize(
    ("steps", "sooner"),
    [
        ([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]], "a"),
        ([[1, 2, 3, 4, 6], [6, 7, 8, 9, 10]], "cannot tell"),
        ([[1, 2, NAN, NAN, NAN], [6, 7, 8, 9, 10]], "cannot tell"),  # a run that failed
        ([[1] * 5, [2] * 5, [3] * 5], "a"),
        ([[1] * 5, [1] * 5, [3] * 5], "cannot tell"),  # it must beat both
    ],
)
def test_whose_interval_lies_below_all_others_is_sooner(steps, sooner):
    verdict = judge(fake([[model] for model in steps])).loc["step"]
    assert verdict["sooner"] == sooner
    assert f"{sum(step < INF for step in steps[0])} of 5 there" in verdict["a"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": {"a": nn.Linear(1, 1), "b": slope(0.0)}}, "a function that makes a model"),
        ({"rates": [0.0]}, "rates must be above 0"),
        ({"seeds": range(4)}, "4 seeds are too few: 5"),
        ({"rates": [0.1, 0.2], "seeds": range(9)}, "9 seeds are too few: 10"),
        ({"target": NAN}, "target must be finite"),
        ({"window": 61}, "window must be between 1 and 60"),
    ],
)
def test_what_cannot_be_a_race_is_refused(change, message):
    with pytest.raises((TypeError, ValueError), match=message):
        run_race(**{"models": {"a": slope(0.0), "b": slope(1.0)}} | change)


def test_judge_refuses_what_is_no_race():
    runs = fake([[[1] * 5], [[2] * 5]])
    for wrong in (runs.isel(rate=0), runs.isel(seed=[0])):
        with pytest.raises(ValueError, match="missing: {'rate'}|1 seeds are too few"):
            judge(wrong)
