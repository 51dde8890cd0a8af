"""Generated, bundled and downloaded data, and the batches drawn from them: what they promise."""

import math
import subprocess
import sys
import urllib.request
from types import SimpleNamespace
from unittest.mock import Mock
from urllib.error import URLError

import numpy as np
import pytest
import torch
from scipy.ndimage import label

from course_utils import datasets
from course_utils.datasets import batches, digits, held_out_seed, lines, load, nuclei, volumes
from course_utils.models import torchvision

RAMP = (torch.arange(10.0), torch.arange(10) * 2)


def ranks(score: torch.Tensor, targets: torch.Tensor) -> float:
    """How often a member of class 1 scores above one of class 0 (0.5: the score tells nothing)."""
    above = score[targets == 1][:, None] > score[targets == 0][None, :]
    return above.double().mean().item()


@pytest.mark.parametrize(
    ("make", "shape", "classes"),
    [
        (volumes, (512, 1, 8, 8, 8), ("solid ball", "hollow shell")),
        (lines, (16384, 1, 16, 16), ("solid", "broken")),
        (nuclei, (3000, 1, 24, 24), ("fine", "coarse")),
    ],
)
def test_generated_sets_are_balanced_and_decided_by_their_seed_alone(make, shape, classes):
    inputs, targets, names = make(3)
    assert (inputs.shape, inputs.dtype, names) == (shape, torch.float32, classes)
    assert targets.tolist() == [0, 1] * (len(inputs) // 2)
    before = torch.manual_seed(2).get_state()
    assert torch.equal(inputs, make(3).inputs) and torch.equal(before, torch.get_rng_state())
    assert not torch.equal(inputs, make(4).inputs)
    assert make(3, 6, size=12).inputs.shape[2:] == (12,) * (len(shape) - 2)
    train, test = load(make.__name__, seed=5), load(make.__name__, seed=5, train=False)
    assert torch.equal(train.inputs, make(5).inputs)
    assert torch.equal(test.inputs, make(held_out_seed(5)).inputs)


def test_volumes_are_standardised_and_the_number_of_threads_decides_nothing():
    threads, drawn = torch.get_num_threads(), []
    for number in (1, 4, threads):
        torch.set_num_threads(number)
        drawn.append(volumes(0, examples=1000).inputs)  # there a mean in float32 depends on it
    assert torch.equal(drawn[0], drawn[1]) and torch.equal(drawn[0], drawn[2])
    assert drawn[0].mean().item() == pytest.approx(0, abs=1e-5)
    assert drawn[0].std().item() == pytest.approx(1, abs=1e-5)


def test_brightness_tells_nothing_but_the_shape_does():
    inputs, targets, _ = volumes(1, examples=2000)
    drowned, *_ = volumes(1, examples=2000, noise=250)  # the control: no shape is to be seen
    centre, hidden = (x[:, 0, 3:5, 3:5, 3:5].mean((1, 2, 3)) for x in (inputs, drowned))
    assert ranks(-centre, targets) > 0.95
    for nothing in (inputs.mean((1, 2, 3, 4)), -hidden):
        assert ranks(nothing, targets) == pytest.approx(0.5, abs=0.04)  # 3 standard errors
    assert volumes(1, noise=0).inputs.mean((1, 2, 3, 4)).std().item() < 1e-5


@pytest.mark.parametrize("size", [6, 8, 16])
def test_every_shell_is_hollow_and_closed_and_no_ball_is(size):
    """The oracle counts connected regions of emptiness: the outside, and a shell's hollow."""
    inputs, targets, _ = volumes(2, examples=60, size=size, noise=0)
    empty = [np.pad(body <= 0, 1, constant_values=True) for body in inputs[:, 0].numpy()]
    assert [label(where)[1] for where in empty] == (1 + targets).tolist()


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


@pytest.mark.parametrize("size", [12, 16])
def test_every_broken_line_is_its_twin_with_a_gap(size):
    inputs, targets, _ = lines(1, pairs=2000, size=size)
    solid, broken = inputs[0::2, 0], inputs[1::2, 0]
    erased = (solid > 0) & (broken == 0)
    assert torch.equal(torch.where(erased, solid, broken), solid)  # the rest is the same
    # A stripe of 1 pixel across a line of 1 pixel: an area of 1, spread over some pixels.
    lost = (solid - broken).sum((1, 2))
    assert lost.min() > 0.3 and lost.mean().item() == pytest.approx(1, abs=0.05)
    assert inputs.min() == 0 and inputs.max() <= 1
    assert 0.5 < ranks(-inputs.sum((1, 2, 3)), targets) < 0.8  # ink tells little
    pieces = [label(image > 0.3, np.ones((3, 3)))[1] for image in inputs[:600, 0].numpy()]
    assert pieces[0::2] == [1] * 300
    assert np.mean(np.array(pieces[1::2]) > 1) > 0.3  # a slanted gap leaves a soft bridge


def roughness(inputs: torch.Tensor) -> torch.Tensor:
    """Mean square difference of neighbours inside the nucleus, (examples,)."""
    image = inputs[:, 0].double()
    both = (image[:, :, 1:] > 0) & (image[:, :, :-1] > 0)
    return ((image[:, :, 1:] - image[:, :, :-1]) ** 2 * both).sum((1, 2)) / both.sum((1, 2))


def test_what_takes_no_look_at_neighbours_tells_little_and_the_grain_much():
    inputs, targets, _ = nuclei(2, examples=4000, contrast=0.45)
    pixels = inputs.flatten(1).double()
    pixels = pixels.where(pixels > 0, math.nan)
    area, mean = pixels.isfinite().sum(1).double(), pixels.nanmean(1)
    apart = pixels - mean[:, None]
    deviation = apart.square().nanmean(1).sqrt()
    # pi a b, with a uniform in 0.32 .. 0.44 sizes and b = a times 0.8 .. 1
    expected = math.pi * 0.9 * 24**2 * (0.44**3 - 0.32**3) / (3 * 0.12)
    assert area.mean().item() == pytest.approx(expected, rel=0.02)
    assert mean.mean().item() == pytest.approx(127.5, rel=0.01)
    assert inputs.max() <= 255 and inputs[inputs > 0].min() >= 1
    control = roughness(nuclei(2, examples=4000, contrast=0).inputs)
    for nothing in (area, deviation, apart.pow(3).nanmean(1) / deviation**3, control):
        assert ranks(nothing, targets) == pytest.approx(0.5, abs=0.03)  # 3 standard errors
    assert 0.52 < ranks(mean, targets) < 0.62
    assert ranks(-roughness(inputs), targets) > 0.8


@pytest.mark.parametrize(("contrast", "kind", "sign"), [(0.0, 0, 0), (0.4, 0, -1), (0.2, 1, 1)])
def test_the_correlation_length_is_that_of_the_recipe(contrast, kind, sign):
    """Oracle: neighbours in a smoothed field differ by 2 var (1 - exp(-1 / 4 length^2))."""
    inputs = nuclei(5, examples=4000, contrast=contrast).inputs[kind::2] / 255
    length = 1.2 * math.exp(sign * contrast)
    expected = 2 * 0.13**2 * (1 - math.exp(-1 / (4 * length**2))) + 2 * 0.03**2
    assert roughness(inputs).median().item() == pytest.approx(expected, rel=0.17)


def test_digits_are_the_bundled_ones_also_larger_and_fewer_and_split():
    from sklearn.datasets import load_digits

    full, large = digits(), digits(size=16, classes=[7, 3])
    assert np.array_equal(full.inputs[:, 0].numpy() * 16, load_digits().images)
    assert np.array_equal(full.targets.numpy(), load_digits().target)
    assert full.targets.dtype == torch.int64 and full.classes == tuple("0123456789")
    kept = (full.targets == 7) | (full.targets == 3)
    assert large.inputs.shape[1:] == (1, 16, 16) and large.classes == ("7", "3")
    assert torch.equal(large.targets, (full.targets[kept] == 3).long())
    # Twice the size, bilinear: a pixel away from the edge is 9/16, 3/16, 3/16, 1/16 of its four.
    small = full.inputs[kept]
    blend = small[..., 3, 3] * 9 + (small[..., 2, 3] + small[..., 3, 2]) * 3 + small[..., 2, 2]
    torch.testing.assert_close(large.inputs[..., 6, 6], blend / 16)
    train, test = load("digits", seed=5), load("digits", seed=5, train=False)
    both = torch.cat([train.inputs, test.inputs]).flatten(1)
    assert len(train.inputs) == 1200
    assert not torch.equal(train.targets, load("digits", seed=6).targets)
    assert torch.equal(*(x.sort(0).values for x in (both, full.inputs.flatten(1))))


@pytest.mark.parametrize(("size", "per_epoch"), [(3, 3), (5, 2), (10, 1)])
def test_an_epoch_is_a_permutation_without_its_incomplete_batch(size, per_epoch):
    drawn = list(batches(RAMP, size, 2 * per_epoch, seed=0))
    assert all(torch.equal(inputs * 2, targets.float()) for inputs, targets in drawn)
    order = torch.cat([inputs for inputs, _ in drawn]).tolist()
    generator = torch.Generator().manual_seed(0)
    permutations = [torch.randperm(10, generator=generator).tolist() for _ in range(2)]
    oracle = [permutation[: size * per_epoch] for permutation in permutations]
    assert order == sum(oracle, []) and oracle[0] != oracle[1]
    fixed = [inputs for inputs, _ in batches(RAMP, size, 2 * per_epoch, 0, reshuffle=False)]
    assert torch.cat(fixed).tolist() == 2 * oracle[0]


@pytest.mark.parametrize(
    ("name", "data", "targets"),
    [
        ("fashion_mnist", torch.arange(24).byte().view(2, 4, 3), torch.tensor([9, 0])),
        ("cifar10", np.arange(72, dtype=np.uint8).reshape(2, 4, 3, 3), [9, 0]),
    ],
)
def test_a_download_becomes_tensors_with_channels_first(name, data, targets, monkeypatch, tmp_path):
    found = SimpleNamespace(data=data, targets=targets, classes=list("abcdefghij"))
    stand_in = Mock(return_value=found)
    monkeypatch.setattr(torchvision().datasets, datasets.DOWNLOADS[name], stand_in)
    inputs, labels, classes = load(name, root=tmp_path, train=False)
    stand_in.assert_called_once_with(tmp_path, train=False, download=True)
    expected = np.asarray(data).reshape(2, 4, 3, -1).transpose(0, 3, 1, 2)
    assert np.array_equal((inputs * 255).round().numpy(), expected)
    assert (inputs.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert labels.tolist() == [9, 0] and classes == tuple("abcdefghij")


def test_a_download_that_fails_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(urllib.request, "urlopen", Mock(side_effect=URLError("not known")))
    with pytest.raises(OSError, match=r"cifar10 could not .*not known.*load\('digits'\)"):
        load("cifar10", root=tmp_path)


# A torchvision without its compiled half, whatever is installed here, and what it leads to.
TRAP = """
import torch
def refuse(path, load=torch.ops.load_library):
    return exec("raise OSError") if "torchvision" in str(path) else load(path)
torch.ops.load_library = refuse
try:
    import torchvision
except RuntimeError as error:
    assert "torchvision::nms does not exist" in str(error)
else:
    raise AssertionError("there was no trap")
from course_utils._vision import torchvision
from torchvision import datasets, models, transforms
assert models.alexnet(weights=None)(torch.zeros(1, 3, 64, 64)).shape == (1, 1000)
datasets.FakeData(size=1, image_size=(3, 8, 8), transform=transforms.ToTensor())[0]
"""


def test_torchvision_works_beside_a_torch_that_does_not_match():
    subprocess.run([sys.executable, "-W", "error", "-c", TRAP], check=True, timeout=120)


def test_no_test_set_is_another_ones_training_set():
    seeds = range(20_000)
    held_out = {held_out_seed(seed) for seed in seeds}
    assert len(held_out) == len(seeds) and not held_out & set(seeds)
