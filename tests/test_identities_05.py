"""What arithmetic, not chance, decides in notebook 05: losses, Adam's steps, a parabola, shuffles.

The parabola of the notebook is a fixed sequence but for noise of 1e-12.
"""

import math
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F

pytestmark = pytest.mark.usefixtures("one_thread")


def loss_and_pull(loss, margins: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss of each margin by itself, and how hard it pulls towards the right."""
    z = margins.clone().requires_grad_()
    logits = torch.stack([-z / 2, z / 2], 1)  # the second output is the right one
    right = torch.tensor([[0.0, 1.0]], dtype=z.dtype)
    values = torch.stack([loss(row[None], right) for row in logits])
    (gradient,) = torch.autograd.grad(values.sum(), z)
    return values.detach(), -gradient


BEYOND = torch.linspace(-60, -17, 20)  # margins wrong by more than any clip of 1e-7


@pytest.mark.parametrize("share", [0.0, 0.23, 0.5, 1.0])
def test_the_plateau_is_16_03_times_the_share_of_wrong_answers(page, share):
    """In single precision: the mean of -ln 1e-7, for the right output, and -ln 2^-23."""
    targets = F.one_hot(torch.arange(200) % 2, 2).float()
    wrong = torch.arange(200) < 200 * share
    logits = 40 * torch.where(wrong[:, None], 1 - targets, targets)
    closed = (-math.log(1e-7) - math.log(2.0**-23)) / 2
    assert closed == pytest.approx(16.03, abs=1e-3)
    assert page.keras_loss(logits, targets).item() == pytest.approx(closed * share, abs=1e-3)


def test_beyond_the_clip_the_gradient_is_exactly_zero_and_that_of_logits_is_one(page):
    _, clipped = loss_and_pull(page.keras_loss, BEYOND)
    _, honest = loss_and_pull(page.LOSSES["logits"], BEYOND)
    assert (clipped == 0).all()
    torch.testing.assert_close(honest, torch.ones_like(honest), rtol=1e-6, atol=0)


def test_keras_clip_is_that_of_the_margin_at_16(page):
    """In double precision at ln 1e7 = 16.118, on both sides; inside it clips nothing."""
    edge = math.log(1e7)
    for reach, other in ((24, page.flat_beyond(-edge, edge)), (16, F.cross_entropy)):
        z = torch.linspace(-reach, reach, 97, dtype=torch.float64)
        ours, theirs = loss_and_pull(page.keras_loss, z), loss_and_pull(other, z)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ["name", "flat_if_wrong", "flat_if_right"],
    [("clipped", True, True), ("flat where wrong", True, False), ("flat where right", False, True)],
)
def test_a_one_sided_clip_is_flat_on_its_side_only(page, name, flat_if_wrong, flat_if_right):
    z = torch.tensor([-20.0, -15.9, 15.9, 20.0], dtype=torch.float64)
    _, pull = loss_and_pull(page.LOSSES[name], z)
    moved = torch.tensor([not flat_if_wrong, True, True, not flat_if_right])
    torch.testing.assert_close(pull, moved * torch.sigmoid(-z), rtol=1e-9, atol=0)


def test_logcosh_is_bounded_and_lets_go_of_confident_examples(page):
    values, pull = loss_and_pull(
        page.LOSSES["logcosh"], torch.linspace(-60, 60, 121, dtype=torch.float64)
    )
    assert 0 <= values.min() and values.max() <= math.log(math.cosh(1)) + 1e-12 < 0.44
    assert pull[0] < 1e-20 < 0.1 < pull[55:66].max()


def test_the_composed_network_is_the_plain_one(page):
    plain, composed = page.LineNet().double(), page.FastNet().double()  # with torch's own biases
    composed.load_state_dict(plain.state_dict())
    images = torch.rand(8, 1, page.SIZE, page.SIZE, dtype=torch.float64)
    targets = F.one_hot(torch.arange(8) % 2, 2).double()
    patches = F.unfold(images, 2 * page.KERNEL - 1).mT
    outputs = plain(images), composed(patches)
    torch.testing.assert_close(*outputs, rtol=1e-9, atol=1e-12)
    for output in outputs:
        page.keras_loss(output, targets).backward()
    gradients = ([part.grad for part in model.parameters()] for model in (plain, composed))
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


def test_the_margins_of_a_table_are_its_cost_and_pull(page):
    """nn.BCELoss clamps ln p at -100; at a margin of -60 single precision has lost its pull."""
    assert page.cost_and_pull(F.cross_entropy, -60) == pytest.approx((60, 1))
    assert page.cost_and_pull(page.keras_loss, -20) == pytest.approx((16.03, 0), abs=1e-2)
    cost, pull = page.cost_and_pull(page.torch_bce, -120)
    assert cost == pytest.approx(100, abs=0.1) and pull == 0
    assert 0 <= page.cost_and_pull(page.torch_bce, -60)[1] < 1e-10


def test_label_smoothing_cannot_pull_beyond_the_clip_either(page):
    _, pull = loss_and_pull(page.LOSSES["smoothed"], BEYOND)
    assert (pull == 0).all()


def torch_path(steps: int, curvature: float) -> np.ndarray:
    """The first steps of `adam_on_a_parabola`, by torch."""
    draw, x = random.Random(0), torch.ones(1, dtype=torch.float64, requires_grad=True)
    adam, path = torch.optim.Adam([x], lr=1e-3), []
    for _ in range(steps):
        x.grad = curvature * x.detach() + 1e-12 * draw.gauss(0, 1)
        adam.step()
        path.append(abs(x.item()))
    return np.array(path)


def test_our_lines_of_adam_are_torchs(page):
    ours = page.adam_on_a_parabola(curvature=3.0, steps=300)
    np.testing.assert_allclose(ours, torch_path(300, 3.0), rtol=0, atol=1e-9)


def largest_step(gradients: list[float]) -> float:
    """Largest step of torch's own Adam, in units of its rate."""
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    adam, sizes = torch.optim.Adam([x], lr=1.0, eps=1e-30), []
    for gradient in gradients:
        before, x.grad = x.item(), torch.tensor([gradient], dtype=torch.float64)
        adam.step()
        sizes.append(abs(x.item() - before))
    return max(sizes)


def test_steps_of_adam_after_silence_come_close_to_their_bound_and_never_pass_it():
    """v's bias correction is the weaker one, so that late steps obey the bound of m and v."""
    bound = 0.1 / math.sqrt(1 - 0.999) / math.sqrt(1 - 0.9**2 / 0.999)  # Cauchy and Schwarz
    assert bound == pytest.approx(7.27, abs=5e-3)
    quiet, burst = [1e-9] * 4000, (1 - 0.9) / math.sqrt(1 - 0.999)
    assert burst == pytest.approx(3.16, abs=5e-3)
    assert largest_step([*quiet, 1.0]) == pytest.approx(burst, abs=0.05)
    growing = [(0.9 / 0.999) ** -k for k in range(60)]
    assert bound - 0.1 < largest_step([*quiet, *growing]) < bound


def jump(path: np.ndarray) -> tuple[float, int]:
    """Largest |x| after it came to rest, and the step at which it leaves it (else the last)."""
    rest = np.minimum.accumulate(path) < 1e-9
    out = np.flatnonzero(rest & (path > 1e-8))
    return path[rest].max(), int(out[0]) if out.size else len(path)


def test_adam_jumps_out_of_rest_and_an_epsilon_above_rate_times_curvature_over_38_prevents_it(page):
    height, first = jump(page.adam_on_a_parabola())
    assert 1e-5 < height < 1e-3 and first > 10_000  # eight orders of magnitude, below the rate
    assert 2.5e-5 < 1e-3 / 38 < 2.8e-5
    assert jump(page.adam_on_a_parabola(epsilon=2.5e-5))[0] > 1e-8
    assert jump(page.adam_on_a_parabola(epsilon=2.8e-5))[0] < 1e-8


def test_amsgrad_cures_a_parabola_and_a_lower_beta2_does_not(page):
    assert jump(page.adam_on_a_parabola(amsgrad=True))[0] < 1e-8
    earlier, usual = (jump(page.adam_on_a_parabola(beta2=b))[1] for b in (0.99, 0.999))
    assert usual - earlier > 1000


def test_swapping_views_loses_images_and_leaks_them_and_a_permutation_does_not(page):
    """Of 4,096 rows so many are hit that no seed comes near these bounds."""
    images, labels = np.arange(4 * 4096.0).reshape(4096, 2, 2), np.arange(4096)
    for shuffle, low, high in ((page.shuffle_both, 0.4, 0.6), (page.solve_shuffle(), 1, 1)):
        first = shuffle(images.copy(), labels.copy(), 0)[0][:, 0, 0]
        assert low <= np.unique(first).size / 4096 <= high
        leaked = np.isin(first[-1024:], first[:-1024]).mean()
        assert 0.35 < leaked < 0.5 if high < 1 else leaked == 0
