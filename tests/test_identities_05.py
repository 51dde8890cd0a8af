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
    _, honest = loss_and_pull(page.make_loss("logits", 16.0), BEYOND)
    assert (clipped == 0).all()
    torch.testing.assert_close(honest, torch.ones_like(honest), rtol=1e-6, atol=0)


def test_keras_clip_is_that_of_the_margin_at_16(page):
    """In double precision at ln 1e7 = 16.118, on both sides; inside it clips nothing."""
    edge = math.log(1e7)
    for reach, other in ((24, page.make_loss("clipped", edge)), (16, F.cross_entropy)):
        z = torch.linspace(-reach, reach, 97, dtype=torch.float64)
        ours, theirs = loss_and_pull(page.keras_loss, z), loss_and_pull(other, z)
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ["name", "flat_if_wrong", "flat_if_right"],
    [("clipped", True, True), ("clipped if wrong", True, False), ("clipped if right", False, True)],
)
def test_a_one_sided_clip_is_flat_on_its_side_only(page, name, flat_if_wrong, flat_if_right):
    z = torch.tensor([-20.0, -15.9, 15.9, 20.0], dtype=torch.float64)
    _, pull = loss_and_pull(page.make_loss(name, 16.0), z)
    moved = torch.tensor([not flat_if_wrong, True, True, not flat_if_right])
    torch.testing.assert_close(pull, moved * torch.sigmoid(-z), rtol=1e-9, atol=0)


def test_logcosh_is_bounded_and_lets_go_of_confident_examples(page):
    values, pull = loss_and_pull(page.logcosh, torch.linspace(-60, 60, 121, dtype=torch.float64))
    assert 0 <= values.min() and values.max() <= math.log(math.cosh(1)) + 1e-12 < 0.44
    assert pull[0] < 1e-20 < 0.1 < pull[55:66].max()


def test_the_composed_network_is_the_plain_one(page):
    plain, composed = page.LineNet().double(), page.Composed().double()  # with torch's own biases
    composed.load_state_dict(plain.state_dict())
    images = torch.rand(8, 1, page.SIZE, page.SIZE, dtype=torch.float64)
    targets = F.one_hot(torch.arange(8) % 2, 2).double()
    outputs = plain(images), composed(page.as_patches(images))
    torch.testing.assert_close(*outputs, rtol=1e-9, atol=1e-12)
    for output in outputs:
        page.keras_loss(output, targets).backward()
    gradients = ([part.grad for part in model.parameters()] for model in (plain, composed))
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


def test_our_lines_of_adam_are_torchs(page):
    ours, _ = page.adam_on_a_parabola(0, steps=300, curvature=3.0)
    np.testing.assert_allclose(ours, page.torch_parabola(0), rtol=0, atol=1e-9)


def test_steps_of_adam_after_silence_come_close_to_their_bound_and_never_pass_it(page):
    """v's bias correction is the weaker one, so that late steps obey the bound of m and v."""
    bound = 0.1 / math.sqrt(1 - 0.999) / math.sqrt(1 - 0.9**2 / 0.999)  # Cauchy and Schwarz
    assert bound == pytest.approx(7.27, abs=5e-3)
    quiet, burst = [1e-9] * 4000, (1 - 0.9) / math.sqrt(1 - 0.999)
    assert page.largest_step([*quiet, 1.0]) == pytest.approx(burst, abs=0.05)
    growing = [(0.9 / 0.999) ** -k for k in range(60)]
    assert bound - 0.1 < page.largest_step([*quiet, *growing]) < bound
    draw = random.Random(0)
    wild = [draw.gauss(0, 1) * math.exp(draw.gauss(0, 3)) for _ in range(2000)]
    assert 1 <= page.largest_step(wild) < bound


@pytest.mark.parametrize(["amsgrad", "end"], [(False, 1.0), (True, -1.0)])
def test_on_reddis_sequence_adam_ends_at_the_wrong_end(page, amsgrad, end):
    assert page.reddi(amsgrad, seed=0) == pytest.approx(end, abs=0.1)


@pytest.fixture(scope="module")
def parabola(page):
    """`quiet` of each variant on one seed."""
    return {variant: page.quiet(variant, 0) for variant in page.VARIANTS}


def test_adam_jumps_out_of_rest_just_where_38_is_crossed(page, parabola):
    run = parabola["Adam"]
    crossing = run["step"].where(run["ratio"] > 38).min("step")
    assert abs(run["first"] - crossing) < 200
    assert 1e-5 < run["jump"] < 10 * page.QUIET_RATE  # far out of rest, but by a few rates only


def test_the_critical_epsilon_is_rate_times_curvature_over_38(page, parabola):
    critical = page.QUIET_RATE * page.CURVATURE / 38
    assert 2.5e-5 < critical < 2.8e-5
    assert parabola["epsilon 2.5e-5"]["jump"] > 1e-8 > parabola["epsilon 2.8e-5"]["jump"]


def test_amsgrad_cures_a_parabola_and_the_usual_advice_does_not(parabola):
    assert parabola["AMSGrad"]["jump"] < 1e-8
    assert parabola["gradient clipped"]["jump"] > 1e-5
    assert parabola["Adam"]["first"] - parabola["beta2 0.99"]["first"] > 1000


def test_swapping_views_loses_images_and_leaks_them_and_a_permutation_does_not(page):
    """Of 4,096 rows so many are hit that no seed comes near these bounds."""
    broken, right = (page.shuffled(way, 0) for way in ("random.shuffle", "permutation"))
    assert broken["distinct"] < 0.6 and broken["leaked"] > 0.3
    assert right == {"distinct": 1.0, "leaked": 0.0}


PROBABILITIES = "as the probabilities that the outputs are"
LOST, KEPT = torch.tensor([[-20.0, -18.0]]), torch.tensor([[-20.0, 4.0]])  # class 1 is right


@pytest.mark.parametrize(
    ["outputs", "below"],
    [
        (LOST, {"softmax": False, "sigmoids": True}),
        (LOST.sigmoid(), {PROBABILITIES: True}),
        (KEPT.softmax(1), {PROBABILITIES: False}),
        (LOST[:, 1], {"sigmoid": True}),
        (KEPT[:, 1:], {"sigmoid": False}),
        (LOST[:, 1:].sigmoid(), {PROBABILITIES: True}),
    ],
)
def test_the_take_home_reads_logits_probabilities_and_single_outputs(page, outputs, below):
    _, readings = page.right_probabilities(outputs, torch.tensor([1]))
    assert {way: bool(p < 1e-7) for way, p in readings.items()} == below
