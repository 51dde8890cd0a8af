"""Generated and bundled data, and the batches drawn from them: what they promise."""

import math

import numpy as np
import pytest
import torch

from course_utils.datasets import (
    Examples,
    batches,
    digits,
    held_out_seed,
    lines,
    load,
    nuclei,
    volumes,
)


def ranks(score: torch.Tensor, targets: torch.Tensor) -> float:
    """How often a member of class 1 scores above one of class 0 (0.5: the score tells nothing)."""
    above = score[targets == 1][:, None] > score[targets == 0][None, :]
    return above.double().mean().item()


# Volumes


def test_volumes_are_what_their_docstring_says():
    inputs, targets, classes = volumes(0)
    assert inputs.shape == (512, 1, 8, 8, 8) and inputs.dtype == torch.float32
    assert targets.dtype == torch.int64 and targets.bincount().tolist() == [256, 256]
    assert classes == ("solid ball", "hollow shell")
    assert inputs.mean().item() == pytest.approx(0, abs=1e-5)
    assert inputs.std().item() == pytest.approx(1, abs=1e-5)
    assert volumes(0, examples=6, size=12).inputs.shape == (6, 1, 12, 12, 12)


def test_brightness_tells_nothing_but_the_shape_does():
    inputs, targets, _ = volumes(1, examples=2000)
    centre, volume = inputs[:, 0, 3:5, 3:5, 3:5].mean((1, 2, 3)), inputs.mean((1, 2, 3, 4))
    assert ranks(volume, targets) == pytest.approx(0.5, abs=0.04)  # 3 standard errors of a coin
    assert ranks(-centre, targets) > 0.95
    # Without noise nothing hides a difference: all bodies are equally bright.
    assert volumes(1, noise=0).inputs.mean((1, 2, 3, 4)).std().item() < 1e-5
    # The control: under a thousand times the noise, the shape tells nothing either.
    drowned, targets, _ = volumes(1, examples=2000, noise=250)
    centre = drowned[:, 0, 3:5, 3:5, 3:5].mean((1, 2, 3))
    assert ranks(-centre, targets) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("size", [6, 8, 16])
def test_every_shell_is_hollow_and_closed_and_no_ball_is(size):
    """The oracle counts connected regions of emptiness: the outside, and a shell's hollow."""
    from scipy.ndimage import label

    inputs, targets, _ = volumes(2, examples=60, size=size, noise=0)
    bodies = (inputs[:, 0] > 0).numpy()
    for body, target in zip(bodies, targets.tolist(), strict=True):
        _, regions = label(np.pad(~body, 1, constant_values=True))
        assert regions == 1 + target


def test_bodies_have_the_size_and_place_of_the_recipe():
    inputs, targets, _ = volumes(3, examples=2000, noise=0)
    bodies = (inputs[:, 0] > 0).double()  # voxels of 1
    voxels, axis = bodies.sum((1, 2, 3)), torch.arange(8).double()
    # A ball has 4/3 pi r^3 voxels, a shell 4 pi r^2 1.6 + 8/3 pi 0.8^3; r uniform in 2.24 .. 3.2.
    square, cube = (3.2**3 - 2.24**3) / (3 * 0.96), (3.2**4 - 2.24**4) / (4 * 0.96)
    ball, shell = 4 / 3 * math.pi * cube, math.pi * (6.4 * square + 8 / 3 * 0.512)
    assert voxels[targets == 0].mean().item() == pytest.approx(ball, rel=0.03)
    assert voxels[targets == 1].mean().item() == pytest.approx(shell, rel=0.03)
    for layer in (bodies.sum((2, 3)), bodies.sum((1, 3)), bodies.sum((1, 2))):
        centre = (layer @ axis / voxels)[targets == 0]  # uniform in 2.7 .. 4.3
        assert centre.mean().item() == pytest.approx(3.5, abs=0.05)
        assert centre.std().item() == pytest.approx(1.6 / math.sqrt(12), rel=0.05)


def test_the_seed_alone_decides_the_volumes():
    torch.manual_seed(1)
    first = volumes(3).inputs
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    assert torch.equal(first, volumes(3).inputs)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not torch.equal(first, volumes(4).inputs)


def test_the_number_of_threads_decides_nothing():
    threads = torch.get_num_threads()
    try:
        drawn = []
        for number in (1, 2, 4):
            torch.set_num_threads(number)
            # 1,000: there a single-precision mean does depend on the threads
            drawn.append(volumes(0, examples=1000).inputs)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(drawn[0], drawn[1]) and torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": 1.5}, TypeError, "seed"),
        ({"examples": 1}, ValueError, "examples must be 2 or larger, got 1"),
        ({"examples": 8.0}, TypeError, "examples must be a whole number, got 8.0"),
        ({"size": 5}, ValueError, "size must be 6 or larger, got 5"),
        ({"noise": -0.1}, ValueError, "noise must be between 0 and .*, got -0.1"),
        ({"noise": float("nan")}, ValueError, "noise"),
        ({"noise": "much"}, TypeError, "noise must be a number, got 'much'"),
    ],
)
def test_volumes_refuse_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        volumes(**{"seed": 0} | arguments)


# Digits


def test_digits_are_the_bundled_ones():
    from sklearn.datasets import load_digits

    inputs, targets, classes = digits()
    assert inputs.shape == (1797, 1, 8, 8) and inputs.dtype == torch.float32
    assert np.array_equal(inputs[:, 0].numpy() * 16, load_digits().images)
    assert np.array_equal(targets.numpy(), load_digits().target) and targets.dtype == torch.int64
    assert classes == tuple("0123456789")


def test_digits_of_another_size_and_of_some_classes():
    full, large = digits(), digits(size=16, classes=[7, 3])
    assert large.inputs.shape[1:] == (1, 16, 16) and large.classes == ("7", "3")
    kept = (full.targets == 7) | (full.targets == 3)
    assert torch.equal(large.targets, (full.targets[kept] == 3).long())
    # Twice the size, bilinear: a pixel away from the edge is 9/16, 3/16, 3/16, 1/16 of its four.
    small = full.inputs[kept]
    blend = small[..., 3, 3] * 9 + (small[..., 2, 3] + small[..., 3, 2]) * 3 + small[..., 2, 2]
    torch.testing.assert_close(large.inputs[..., 6, 6], blend / 16)
    assert large.inputs.min() >= 0 and large.inputs.max() <= 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"size": 7}, ValueError, "size must be 8 or larger, got 7"),
        ({"classes": []}, ValueError, "classes must be one or more different digits"),
        ({"classes": [1, 1]}, ValueError, "classes must be one or more different digits"),
        ({"classes": [10]}, ValueError, "classes must be between 0 and 9, got 10"),
        ({"classes": ["1"]}, TypeError, "classes must be a whole number, got '1'"),
    ],
)
def test_digits_refuse_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        digits(**arguments)


# Batches

RAMP = (torch.arange(10.0), torch.arange(10) * 2)


def order(**arguments) -> list[list[float]]:
    arguments = {"batch_size": 3, "steps": 6, "seed": 0} | arguments
    return [inputs.tolist() for inputs, _ in batches(RAMP, **arguments)]


def test_an_epoch_is_a_permutation_without_its_incomplete_batch():
    drawn = order()
    assert [len(batch) for batch in drawn] == [3] * 6
    first, second = sum(drawn[:3], []), sum(drawn[3:], [])
    assert len(set(first)) == len(set(second)) == 9  # of 10: one is left over
    assert first != second and first != sorted(first)
    oracle = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    assert first == oracle[:9].tolist()


def test_without_reshuffling_every_epoch_is_the_first():
    drawn = order(reshuffle=False)
    assert drawn[3:] == drawn[:3] == order()[:3]


def test_inputs_keep_their_targets():
    for inputs, targets in batches(RAMP, 4, 5, seed=1):
        assert torch.equal(inputs * 2, targets.float())


def test_the_seed_alone_decides_the_batches():
    torch.manual_seed(1)
    first = order()
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    assert order() == first != order(seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert order(steps=2) == first[:2]


def test_batches_take_examples_and_whole_epochs_and_no_steps():
    examples = Examples(*RAMP, classes=())
    assert [len(inputs) for inputs, _ in batches(examples, 10, 3, 0)] == [10] * 3
    assert list(batches(examples, 10, 0, 0)) == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be between 1 and 10, got 0"),
        ({"batch_size": 11}, ValueError, "batch_size must be between 1 and 10, got 11"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be a whole number, got 2.5"),
        ({"steps": -1}, ValueError, "steps must be 0 or larger, got -1"),
        ({"steps": "many"}, TypeError, "steps must be a whole number, got 'many'"),
        ({"seed": None}, TypeError, "seed"),
        ({"examples": RAMP[0]}, TypeError, "examples must be Examples or"),
        ({"examples": (RAMP[0], [1, 2])}, TypeError, "targets must be a tensor"),
        ({"examples": (RAMP[0], RAMP[1][:4])}, ValueError, "equally many.* 10, 4"),
        ({"examples": (RAMP[0][:0], RAMP[1][:0])}, ValueError, "1 or more"),
        ({"examples": Examples(*RAMP, tuple("abc"))}, ValueError, r"0 \.\. 2.*got 0 \.\. 18"),
        ({"examples": Examples(RAMP[0], -RAMP[1], tuple("abc"))}, ValueError, "got -18"),
    ],
)
def test_batches_refuse_bad_arguments_at_the_call(arguments, error, message):
    arguments = {"examples": RAMP, "batch_size": 2, "steps": 1, "seed": 0} | arguments
    with pytest.raises(error, match=message):
        batches(**arguments)  # and not at the first `next`


# One call for all


def test_load_splits_generated_and_bundled_data():
    train, test = load("volumes", seed=5), load("volumes", seed=5, train=False)
    assert torch.equal(train.inputs, volumes(5).inputs)
    assert not torch.equal(train.inputs, test.inputs)
    train, test = load("digits", seed=5), load("digits", seed=5, train=False)
    assert (len(train.inputs), len(test.inputs)) == (1200, 597)
    both = torch.cat([train.inputs, test.inputs]).flatten(1)
    assert torch.equal(*(x.sort(0).values for x in (both, digits().inputs.flatten(1))))
    assert not torch.equal(train.targets, load("digits", seed=6).targets)


def test_load_names_the_data_sets_there_are():
    with pytest.raises(
        ValueError, match="'mnist'; expected one of volumes, lines, nuclei, digits, fashion_mnist"
    ):
        load("mnist")
    with pytest.raises(ValueError, match="unknown data set 3"):
        load(3)


# Lines


def test_lines_are_what_their_docstring_says():
    inputs, targets, classes = lines(0, pairs=50)
    assert inputs.shape == (100, 1, 16, 16) and inputs.dtype == torch.float32
    assert targets.tolist() == [0, 1] * 50 and classes == ("solid", "broken")
    assert inputs.min() == 0 and inputs.max() <= 1
    assert lines(0, pairs=3, size=12).inputs.shape == (6, 1, 12, 12)
    assert lines(0).inputs.shape == (16384, 1, 16, 16)


@pytest.mark.parametrize("size", [12, 16])
def test_every_broken_line_is_its_twin_with_a_gap(size):
    inputs = lines(1, pairs=2000, size=size).inputs[:, 0]
    solid, broken = inputs[0::2], inputs[1::2]
    erased = (solid > 0) & (broken == 0)
    assert torch.equal(torch.where(erased, solid, broken), solid)  # the rest is the same
    # A stripe of 1 pixel across a line of 1 pixel: an area of 1, spread over some pixels.
    lost = (solid - broken).sum((1, 2))
    assert lost.min() > 0.3 and lost.mean().item() == pytest.approx(1, abs=0.05)


def test_a_solid_line_is_one_piece_and_a_broken_one_two():
    from scipy.ndimage import label

    inputs = lines(2, pairs=300).inputs[:, 0].numpy()
    pieces = [label(image > 0.3, np.ones((3, 3)))[1] for image in inputs]
    assert pieces[0::2] == [1] * 300
    assert np.mean(np.array(pieces[1::2]) > 1) > 0.3  # a slanted gap leaves a soft bridge


def test_ink_tells_little():
    inputs, targets, _ = lines(3, pairs=2000)
    assert 0.5 < ranks(-inputs.sum((1, 2, 3)), targets) < 0.75
    assert lines(3, pairs=9).inputs.equal(lines(3, pairs=9).inputs)
    assert not lines(3, pairs=9).inputs.equal(lines(4, pairs=9).inputs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed"),
        ({"pairs": 0}, "pairs"),
        ({"size": 5}, "size"),
        ({"pairs": 2.5}, "pairs"),
    ],
)
def test_impossible_lines_are_refused(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        lines(**{"seed": 0, **options})


# Nuclei


def statistics(inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """What can be had of each nucleus (examples,) without a look at neighbouring pixels."""
    images = inputs.flatten(1).double()
    inside = images > 0
    pixels = images.where(inside, math.nan)
    mean = pixels.nanmean(1)
    deviation = (pixels - mean[:, None]).square().nanmean(1).sqrt()
    skew = ((pixels - mean[:, None]) / deviation[:, None]).pow(3).nanmean(1)
    median, upper = (pixels.nanquantile(q, 1) for q in (0.5, 0.9))
    return {"mean": mean, "deviation": deviation, "skew": skew, "median": median, "upper": upper,
            "area": inside.sum(1).double()}  # fmt: skip


def roughness(inputs: torch.Tensor) -> torch.Tensor:
    """Mean square difference of neighbours inside the nucleus, (examples,)."""
    image = inputs[:, 0].double()
    both = (image[:, :, 1:] > 0) & (image[:, :, :-1] > 0)
    return ((image[:, :, 1:] - image[:, :, :-1]) ** 2 * both).sum((1, 2)) / both.sum((1, 2))


def test_nuclei_are_what_their_docstring_says():
    inputs, targets, classes = nuclei(0)
    assert inputs.shape == (3000, 1, 24, 24) and inputs.dtype == torch.float32
    assert targets.tolist() == [0, 1] * 1500 and classes == ("fine", "coarse")
    inside = inputs > 0
    assert inputs.max() <= 255 and inputs[inside].min() >= 1
    assert not inside[..., 0, 0].any() and inside[..., 12, 12].all()
    assert inputs[inside].mean().item() == pytest.approx(127.5, rel=0.01)
    assert nuclei(0, examples=4, size=16).inputs.shape == (4, 1, 16, 16)
    assert torch.equal(nuclei(3, 20).inputs, nuclei(3, 20).inputs)
    assert not torch.equal(nuclei(3, 20).inputs, nuclei(4, 20).inputs)


def test_a_nucleus_is_an_ellipse_of_the_recipe():
    areas = statistics(nuclei(1, examples=2000).inputs)["area"]
    # pi a b, with a uniform in 0.32 .. 0.44 sizes and b = a times 0.8 .. 1
    expected = math.pi * 0.9 * 24**2 * (0.44**3 - 0.32**3) / (3 * 0.12)
    assert areas.mean().item() == pytest.approx(expected, rel=0.02)


def test_statistics_tell_little_and_the_grain_much():
    inputs, targets, _ = nuclei(2, examples=4000, contrast=0.45)
    found = {name: ranks(score, targets) for name, score in statistics(inputs).items()}
    for name in ("deviation", "skew", "area"):
        assert found[name] == pytest.approx(0.5, abs=0.03), name  # 3 standard errors of a coin
    for name in ("mean", "median", "upper"):
        assert 0.52 < found[name] < 0.62, name
    assert ranks(-roughness(inputs), targets) > 0.8
    # The control: without a contrast the grain tells nothing either.
    inputs, targets, _ = nuclei(2, examples=4000, contrast=0)
    assert ranks(-roughness(inputs), targets) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("contrast", "kind", "sign"), [(0.0, 0, 0), (0.4, 0, -1), (0.2, 1, 1)])
def test_the_correlation_length_is_that_of_the_recipe(contrast, kind, sign):
    """Oracle: neighbours in a smoothed field differ by 2 var (1 - exp(-1 / 4 length^2))."""
    inputs = nuclei(5, examples=4000, contrast=contrast).inputs[kind::2] / 255
    length = 1.2 * math.exp(sign * contrast)
    expected = 2 * 0.13**2 * (1 - math.exp(-1 / (4 * length**2))) + 2 * 0.03**2
    assert roughness(inputs).median().item() == pytest.approx(expected, rel=0.17)


def test_training_and_test_nuclei_differ():
    train, test = load("nuclei", seed=5), load("nuclei", seed=5, train=False)
    assert torch.equal(train.inputs, nuclei(5).inputs)
    assert torch.equal(test.inputs, nuclei(held_out_seed(5)).inputs)
    assert not torch.equal(train.inputs, test.inputs)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed"),
        ({"examples": 1}, "examples must be 2 or larger, got 1"),
        ({"size": 7}, "size must be 8 or larger, got 7"),
        ({"contrast": -0.1}, "contrast must be between 0 and 10, got -0.1"),
        ({"contrast": "high"}, "contrast must be a number, got 'high'"),
    ],
)
def test_impossible_nuclei_are_refused(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        nuclei(**{"seed": 0, **options})
