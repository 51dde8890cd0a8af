"""Races: steps to a target, who is sooner on which axis, and when one cannot tell."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from torch import nn

from course_utils.datasets import batches
from course_utils.races import AXES, judge, race, step_flops, steps_to


def curve(*losses):
    return xr.DataArray(np.array(losses, dtype=float), dims="step")


def test_steps_to_is_the_middle_of_the_first_window_whose_mean_is_there():
    falling = curve(1, 1, 1, 1, 0, 0, 0, 0, 0)
    assert float(steps_to(falling, 0.5, window=4)) == 4  # the mean of steps 2 to 5 (from 0)
    assert float(steps_to(falling, 0.0, window=4)) == 6
    assert float(steps_to(falling, 1.0, window=4)) == 2


def test_a_single_low_loss_is_not_there_and_a_run_that_never_is_counts_as_infinite():
    assert math.isinf(steps_to(curve(1, 0, 1, 1, 1), 0.4, window=2))
    assert math.isinf(steps_to(curve(1, 1, np.nan, np.nan), 0.5, window=2))
    assert math.isinf(steps_to(curve(0, 0), 0.5, window=3)), "shorter than the window"
    assert math.isinf(steps_to(curve(0, 0), 0.5, window=10**12)), "and at no price in memory"


def test_steps_to_keeps_the_other_dimensions():
    runs = xr.concat([curve(1, 0, 0), curve(1, 1, 1)], "seed")
    found = steps_to(runs, 0.0, window=2)
    assert found.dims == ("seed",)
    assert found.values.tolist() == [2.0, math.inf]
    for wrong in (runs.rename(step="time"), runs.isel(step=slice(0))):
        with pytest.raises(ValueError, match="must have a dimension 'step', not empty"):
            steps_to(wrong, 0.0)


def squares(model, inputs, targets):
    return F.mse_loss(model(inputs), targets)


def total(model, inputs, _targets):
    return model(inputs).sum()


def test_flops_are_three_times_those_of_the_forward_pass():
    def flops(model, *shape):
        return step_flops(model, torch.randn(shape), torch.empty(0), total)

    assert flops(nn.Linear(3, 5), 7, 3) == 3 * (2 * 7 * 3 * 5)
    depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4)
    assert flops(depthwise, 2, 4, 6, 6) == 3 * (2 * 2 * 4 * 9 * 36)


def test_a_large_race_says_how_to_have_it():
    racers = {"a": lambda: nn.Linear(3, 1), "b": lambda: nn.Linear(3, 1)}
    data = lambda seed: [(torch.ones(4, 3), torch.ones(4, 1))]  # noqa: E731
    with pytest.raises(ValueError, match="10 runs are more than limit=9; pass limit=10"):
        race(racers, data, squares, 0.1, [0.1], range(5), limit=9)


def test_counting_leaves_the_model_and_the_random_state_alone():
    model = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Dropout(0.5))
    inputs, state = torch.randn(7, 3), torch.get_rng_state()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    step_flops(model, inputs, torch.empty(0), lambda *batch: {"data_loss": total(*batch)})
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def line(seed):
    """Batches of a linear problem."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(64, 1, generator=generator)
    return batches((inputs, 2 * inputs), 8, 60, seed)


def slope(start):
    """A model of one weight; the further its start, the longer it takes."""

    def make():
        model = nn.Linear(1, 1, bias=False)
        nn.init.constant_(model.weight, start)
        return model

    return make


def sgd(parameters, lr):
    return torch.optim.SGD(parameters, lr=lr)


def run_race(models, rates=(0.02,), seeds=range(5), target=0.01, **options):
    options = {"optimizer": sgd, "steps": 60, "window": 4, "workers": 1} | options
    return race(models, line, squares, target, rates, seeds, **options)


def test_the_model_with_less_to_learn_is_sooner_on_every_axis():
    runs = run_race({"far": slope(-8.0), "near": slope(1.8)}, [0.05])
    assert set(AXES) == set(runs.data_vars)
    np.testing.assert_allclose(runs["example"], 8 * runs["step"])
    np.testing.assert_allclose(runs["FLOP"], 3 * 2 * 8 * runs["step"])
    verdict = judge(runs)
    assert verdict.loc[["step", "example", "FLOP"], "sooner"].tolist() == ["near"] * 3
    assert "5 of 5 there, rate 0.05" in verdict.loc["step", "near"]


def test_a_model_cannot_be_told_from_itself():
    verdict = judge(run_race({"one": slope(0.0), "other": slope(0.0)}, [0.05]))
    assert set(verdict.loc[["step", "example", "FLOP"], "sooner"]) == {"cannot tell"}


def test_what_never_gets_there_is_counted_and_loses():
    runs = run_race({"never": slope(1e6), "near": slope(1.8)}, [0.05])
    assert np.isinf(runs["step"].sel(model="never")).all()
    verdict = judge(runs)
    assert "0 of 5 there" in verdict.loc["step", "never"]
    assert verdict.loc["step", "sooner"] == "near"


def test_a_window_longer_than_the_steps_between_two_looks():
    runs = run_race({"far": slope(-8.0), "near": slope(1.8)}, [0.05], window=40, target=1.0)
    assert np.isfinite(runs["step"].sel(model="near")).all()


def test_if_none_gets_there_one_cannot_tell():
    verdict = judge(run_race({"a": slope(1e6), "b": slope(2e6)}, [0.05]))
    assert verdict.loc["step", "sooner"] == "cannot tell"


def fake(steps):
    """Runs over (model, rate, seed), in which only steps count."""
    models, rates, seeds = np.shape(steps)
    names = ["a", "b", "c"][:models]
    coords = {"model": names, "rate": [0.1, 0.2, 0.3][:rates], "seed": range(seeds)}
    return xr.Dataset({"step": (list(coords), np.array(steps, dtype=float))}, coords)


def test_each_rate_is_chosen_on_the_first_half_and_judged_on_the_second():
    lucky = [1] * 5 + [50] * 5  # wins where rates are chosen, loses where they are judged
    steady = [10] * 10
    other = [20] * 10
    verdict = judge(fake([[lucky, steady], [other, other]]))
    assert "rate 0.1" in verdict.loc["step", "a"]
    assert verdict.loc["step", "a"].startswith("50 ")
    assert verdict.loc["step", "sooner"] == "b"


def test_a_rate_at_the_end_of_those_tried_is_named_so():
    falling = [[[30] * 10, [20] * 10, [10] * 10], [[30] * 10, [10] * 10, [20] * 10]]
    verdict = judge(fake(falling))
    assert verdict.loc["step", "a"].endswith("rate 0.3, the largest tried")
    assert verdict.loc["step", "b"].endswith("rate 0.2")


def test_intervals_that_overlap_decide_nothing():
    apart = judge(fake([[[1, 2, 3, 4, 5]], [[6, 7, 8, 9, 10]]]))
    touching = judge(fake([[[1, 2, 3, 4, 6]], [[6, 7, 8, 9, 10]]]))
    assert apart.loc["step", "sooner"] == "a"
    assert touching.loc["step", "sooner"] == "cannot tell"
    assert apart.loc["step", "a"].startswith("3 [1, 5], 5 of 5 there")


def test_of_three_models_the_winner_must_beat_both():
    assert judge(fake([[[1] * 5], [[2] * 5], [[3] * 5]])).loc["step", "sooner"] == "a"
    assert judge(fake([[[1] * 5], [[1] * 5], [[3] * 5]])).loc["step", "sooner"] == "cannot tell"


def test_a_run_that_is_missing_was_not_there():
    verdict = judge(fake([[[1, 2, np.nan, np.nan, np.nan]], [[6, 7, 8, 9, 10]]]))
    assert "2 of 5 there" in verdict.loc["step", "a"]
    assert verdict.loc["step", "sooner"] == "cannot tell"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": {"one": slope(0.0)}}, "models must be two or more"),
        ({"models": {"a": nn.Linear(1, 1), "b": slope(0.0)}}, "a function that makes a new model"),
        ({"rates": []}, "rates must be one or more"),
        ({"rates": [0.0]}, "rates must be finite and above 0, got 0"),
        ({"rates": ["fast"]}, "rates must be finite and above 0, got 'fast'"),
        ({"seeds": range(4)}, "4 seeds are too few: 5"),
        ({"rates": [0.1, 0.2], "seeds": range(9)}, "9 seeds are too few: 10"),
        ({"target": math.nan}, "target must be a finite number"),
        ({"window": 0}, "window"),
        ({"steps": 0}, "steps"),
    ],
)
def test_what_cannot_be_a_race_is_refused(change, message):
    arguments = {"models": {"a": slope(0.0), "b": slope(1.0)}} | change
    with pytest.raises((TypeError, ValueError), match=message):
        run_race(**arguments)


def test_data_must_be_a_function_of_the_seed():
    with pytest.raises(TypeError, match="data must be a function of the seed"):
        race({"a": slope(0.0), "b": slope(1.0)}, list(line(0)), squares, 0.1, [0.1], range(5))


def test_judge_refuses_what_is_no_race():
    with pytest.raises(ValueError, match="missing: {'rate'}"):
        judge(fake([[[1] * 5], [[2] * 5]]).isel(rate=0, drop=True))
    with pytest.raises(ValueError, match="3 seeds are too few"):
        judge(fake([[[1] * 3], [[2] * 3]]))
