"""The data, generated, bundled or downloaded, and the batches drawn from it.

Every set is one `Examples`: tensors in memory, with the names of its classes. All randomness comes
from a generator made of the seed that is passed, so that the seed alone decides what one gets.
"""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from course_utils import _arguments
from course_utils.models import torchvision

DOWNLOADS = {"fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10"}  # torchvision's names


class Examples(NamedTuple):
    """A labelled data set, whole, in memory.

    inputs : float32, (examples, channels, height, width) or (examples, channels, depth, height,
        width); the unit is in the docstring of the function that made it
    targets : int64, (examples,): index into `classes`; for segmentation (examples, height, width)
    classes : the classes' names in the order of their index; empty if there are none
    """

    inputs: Tensor
    targets: Tensor
    classes: tuple[str, ...]


def volumes(seed: int, examples: int = 512, size: int = 8, noise: float = 0.25) -> Examples:
    """Solid balls (class 0) and hollow shells (class 1) in noise: a small 3D task.

    inputs (examples, 1, size, size, size), in standard deviations of the whole set; targets
    (examples,), the classes in turn. Each volume has a mean of 0.15 before normal noise of
    deviation `noise` is added: the mean intensity tells nothing, its place tells all.
    """
    generator = _generator(seed)
    examples = _arguments.whole_number("examples", examples, 2)
    size = _arguments.whole_number("size", size, 6)  # below, a shell may have no hollow
    noise = _arguments.number("noise", noise, 0)
    targets = torch.arange(examples) % 2
    bodies = _bodies(targets.view(-1, 1, 1, 1) == 1, size, generator)
    noisy = bodies + noise * torch.randn(bodies.shape, generator=generator)
    # In double precision: the last digit of a single-precision sum depends on the thread count.
    mean, deviation = noisy.double().mean().item(), noisy.double().std().item()
    inputs = ((noisy - mean) / deviation).unsqueeze(1)
    return Examples(inputs, targets, ("solid ball", "hollow shell"))


def _bodies(hollow: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """(examples, size, size, size): shells where `hollow`, else balls, each of mean 0.15."""
    examples = len(hollow)
    centre = size * (0.4 + 0.2 * torch.rand(examples, 3, 1, generator=generator)) - 0.5  # voxels
    radius = size * (0.28 + 0.12 * torch.rand(examples, 1, 1, 1, generator=generator))  # voxels
    z, y, x = ((torch.arange(size) - centre) ** 2).unbind(1)  # (examples, size) each
    distance = (z[:, :, None, None] + y[:, None, :, None] + x[:, None, None, :]).sqrt()
    shell = (distance - radius).abs() < 0.8  # no gaps, and a hollow even in the smallest
    bodies = torch.where(hollow, shell, distance < radius).float()
    return bodies * (0.15 / bodies.mean((1, 2, 3), keepdim=True))


def lines(seed: int, pairs: int = 8192, size: int = 16) -> Examples:
    """Solid lines (class 0) and the same lines with a gap (class 1): a task of small parts.

    inputs (2 * pairs, 1, size, size), ink from 0 to 1; targets (2 * pairs,), the classes in turn:
    2 i and 2 i + 1 are the same line. Lines and gaps are 1 pixel wide, with soft edges; a line
    crosses the whole image, at most size / 5 from its centre.
    """
    generator = _generator(seed)
    pairs = _arguments.whole_number("pairs", pairs, 1)
    size = _arguments.whole_number("size", size, 6)

    def uniform(limit: float) -> Tensor:
        return limit * (2 * torch.rand(pairs, 1, 1, generator=generator) - 1)

    angle, offset, gap = uniform(math.pi / 2), uniform(size / 5), uniform(size / 3)
    place = torch.arange(size) - (size - 1) / 2  # pixels from the centre
    y, x = place[:, None], place[None, :]
    across = x * angle.sin() - y * angle.cos() - offset  # (pairs, size, size)
    along = x * angle.cos() + y * angle.sin()
    solid = (1 - across.abs()).clamp(0, 1)
    broken = solid * ((along - gap).abs() > 0.5)
    inputs = torch.stack([solid, broken], 1).flatten(0, 1).unsqueeze(1)
    return Examples(inputs, torch.arange(2 * pairs) % 2, ("solid", "broken"))


def nuclei(seed: int, examples: int = 3000, size: int = 24, contrast: float = 0.25) -> Examples:
    """Cell nuclei of finer (class 0) and coarser grain (class 1): a task of texture.

    inputs (examples, 1, size, size), intensity 0 to 255, exactly 0 outside the nucleus; targets
    (examples,), the classes in turn. The grain of a nucleus, an ellipse, is a Gaussian random field
    whose correlation length is log-normal: log(1.2 pixels) -+ `contrast`, deviation 0.5. All grains
    have one histogram, so that without a look at neighbouring pixels only the mean brightness tells
    something, and little.
    """
    generator = _generator(seed)
    examples = _arguments.whole_number("examples", examples, 2)
    size = _arguments.whole_number("size", size, 8)
    contrast = _arguments.number("contrast", contrast, 0)
    targets = torch.arange(examples) % 2
    sign = (2 * targets - 1).view(-1, 1, 1)
    mask = _ellipses(examples, size, generator)

    def normal(*shape: int) -> Tensor:
        return torch.randn(examples, *shape, generator=generator)

    length = (math.log(1.2) + sign * contrast + 0.5 * normal(1, 1)).exp()  # pixels
    grain = _with_normal_quantiles(_smooth(normal(size, size), length), mask)
    brightness = 0.5 + 0.015 * sign + 0.08 * normal(1, 1)
    intensity = brightness + 0.13 * grain + 0.03 * normal(size, size)
    inputs = ((255 * intensity).clamp(1, 255) * mask).unsqueeze(1)
    return Examples(inputs, targets, ("fine", "coarse"))


def _ellipses(examples: int, size: int, generator: torch.Generator) -> Tensor:
    """(examples, size, size), bool: inside of an ellipse of random form, angle and place."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(examples, 1, 1, generator=generator)

    long = uniform(0.32, 0.44) * size  # semi-axis, pixels
    short, angle = uniform(0.8, 1) * long, uniform(0, math.pi)
    place = torch.arange(size) - (size - 1) / 2
    y, x = place[:, None] + uniform(-1, 1), place[None, :] + uniform(-1, 1)
    along = x * angle.cos() + y * angle.sin()
    across = y * angle.cos() - x * angle.sin()
    return (along / long) ** 2 + (across / short) ** 2 < 1


def _smooth(noise: Tensor, length: Tensor) -> Tensor:
    """White noise (examples, size, size) through a periodic Gaussian filter of std `length`."""
    size = noise.shape[-1]
    squares = torch.fft.fftfreq(size)[:, None] ** 2 + torch.fft.rfftfreq(size) ** 2
    transfer = torch.exp(-2 * (math.pi * length) ** 2 * squares)
    return torch.fft.irfft2(torch.fft.rfft2(noise) * transfer, s=(size, size))


def _with_normal_quantiles(field: Tensor, mask: Tensor) -> Tensor:
    """Where `mask`, the normal quantile of each value's rank: all images have one histogram."""
    ranks = field.masked_fill(~mask, math.inf).flatten(1).argsort(1).argsort(1)
    inside = mask.flatten(1).sum(1, keepdim=True)
    share = ((ranks + 0.5) / inside).clamp(max=0.999999)  # outside they go on beyond 1
    return torch.special.ndtri(share).view_as(field)


def digits(size: int = 8, classes: Iterable[int] = range(10)) -> Examples:
    """scikit-learn's bundled handwritten digits, in the order in which they come.

    inputs (examples, 1, size, size), ink from 0 to 1; 8 x 8 as they come, larger ones bilinear.
    targets (examples,), index into `classes`: the digits to keep. All ten: 1,797 examples.
    """
    from sklearn.datasets import load_digits  # slow to import: only when it is asked for

    size = _arguments.whole_number("size", size, 8)
    kept = [_arguments.whole_number("classes", digit, 0, 9) for digit in classes]
    if not kept or len(set(kept)) != len(kept):
        raise ValueError(f"classes must be one or more different digits, got {kept}")
    bundled = load_digits()
    images = torch.from_numpy(bundled.images).float().unsqueeze(1) / 16  # counts of 0 .. 16 pixels
    same = torch.from_numpy(bundled.target)[:, None] == torch.tensor(kept)  # (1797, classes)
    chosen = same.any(1)
    inputs = images[chosen]
    if size != 8:
        inputs = interpolate(inputs, size=(size, size), mode="bilinear")
    return Examples(inputs, same[chosen].int().argmax(1), tuple(map(str, kept)))


def load(
    name: str, *, train: bool = True, root: str | Path = "~/.cache/course_utils", seed: int = 0
) -> Examples:
    """The training (or test) examples of the data set called `name`.

    "volumes", "lines", "nuclei": `volumes(seed)` and so on; the test set is drawn from
    `held_out_seed(seed)`.
    "digits": a random 1,200 of `digits()`, drawn by `seed`; the other 597 are the test set.
    "fashion_mnist": 60,000 (10,000) inputs of (1, 28, 28); "cifar10": 50,000 (10,000) of
    (3, 32, 32), 0.6 GB in memory; intensity from 0 to 1 in both. torchvision downloads these two
    into `root` if they are not there; no notebook needs them.
    """
    generate = {"volumes": volumes, "lines": lines, "nuclei": nuclei}
    _arguments.one_of("name", name, [*generate, "digits", *DOWNLOADS])
    if name in generate:
        return generate[name](seed if train else held_out_seed(seed))
    if name in DOWNLOADS:
        return _downloaded(name, train, Path(root).expanduser())
    inputs, targets, classes = digits()
    order = torch.randperm(len(inputs), generator=_generator(seed))
    chosen = order[:1200] if train else order[1200:]
    return Examples(inputs[chosen], targets[chosen], classes)


def _downloaded(name: str, train: bool, root: Path) -> Examples:
    dataset = getattr(torchvision().datasets, DOWNLOADS[name])
    try:
        read = dataset(root, train=train, download=True)  # only what is not there
    except Exception as error:  # no connection, no room, bad bytes: torchvision raises as it comes
        reason = " ".join(str(error).split())
        raise OSError(
            f"{name} could not be downloaded to {root}, or read there ({reason}): delete what is "
            "there and try again while connected, or use load('digits'), which needs no download"
        ) from error
    images = torch.as_tensor(read.data)  # bytes: (n, height, width) or (n, height, width, 3)
    images = images.unsqueeze(1) if images.ndim == 3 else images.movedim(-1, 1).contiguous()
    return Examples(images.float().div_(255), torch.as_tensor(read.targets), tuple(read.classes))


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(_arguments.seed(seed))


def held_out_seed(seed: int) -> int:
    """The seed of the test set that belongs to `seed`: far from every seed that people use."""
    return _arguments.seed(seed) ^ 2**31


def batches(
    examples: Examples | tuple[Tensor, Tensor],
    batch_size: int,
    steps: int,
    seed: int,
    reshuffle: bool = True,
) -> Iterator[tuple[Tensor, Tensor]]:
    """`steps` batches of (inputs, targets) in an order that `seed` decides.

    Every epoch is a new permutation, or with `reshuffle=False` always the first one. The examples
    left over at the end of an epoch, fewer than a batch, are dropped.
    """
    inputs, targets = examples[:2]
    _arguments.examples("inputs", inputs, "targets", targets)
    batch_size = _arguments.whole_number("batch_size", batch_size, 1, len(inputs))
    steps = _arguments.whole_number("steps", steps, 0)
    generator = _generator(seed)
    starts = range(0, len(inputs) - batch_size + 1, batch_size)

    def drawn() -> Iterator[tuple[Tensor, Tensor]]:  # apart, so that errors come at the call
        for step in range(steps):
            start = starts[step % len(starts)]
            if step == 0 or (start == 0 and reshuffle):
                order = torch.randperm(len(inputs), generator=generator).to(inputs.device)
            chosen = order[start : start + batch_size]
            yield inputs[chosen], targets[chosen]

    return drawn()
