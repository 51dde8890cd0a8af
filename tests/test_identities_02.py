"""What arithmetic, not chance, decides in notebook 02: closed forms, and networks that are one."""

import math

import pytest
import torch

from course_utils._runs import isolated

VARIANCES = {"torch": 1 / 3, "glorot": 1.0, "kaiming": 2.0}  # of a weight, times the fan-in
DEPTH = 8


@pytest.fixture
def digits(page):
    """256 images, from one start; everything made meanwhile is in double precision."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    with isolated(0):
        (inputs, targets), _ = page.digits_of(0)
        yield inputs[:256].double(), targets[:256]
    torch.set_default_dtype(usual)


def start(page, scheme, precision="float64"):
    with isolated(0):
        return page.start(scheme, precision, 0)


@pytest.mark.parametrize("scheme", VARIANCES)
def test_spread_and_gradient_change_by_the_root_of_half_of_n_times_the_variance(page, scheme):
    with isolated(0):
        layer = page.initialised(page.relu_stack(1, width=512), scheme)[0]
    found = 512 * layer.weight.detach().square().mean().item()
    assert found == pytest.approx(VARIANCES[scheme], rel=0.02)
    factor = math.sqrt(VARIANCES[scheme] / 2)
    assert page.FACTORS[scheme] == pytest.approx(factor)
    spread, gradient = (start(page, scheme)[name].values for name in ("spread", "gradient"))
    assert len(spread) == page.LAYERS == 32
    assert (gradient[0] / gradient[-1]) ** (1 / 31) == pytest.approx(factor, rel=0.06)
    # ReLU also turns all directions towards each other: a little faster, never slower
    assert 0.85 * factor < (spread[-1] / spread[0]) ** (1 / 31) < 1.02 * factor


def test_in_single_precision_rounding_is_all_that_a_dead_stack_puts_out(page):
    dead, alive = (
        [start(page, scheme, p)["spread"].values[-1] for p in ("float32", "float64")]
        for scheme in ("torch", "kaiming")
    )
    assert dead[1] < 1e-12 and dead[0] > 100 * dead[1]
    assert alive[0] == pytest.approx(alive[1], rel=0.01)  # no use for the further digits


def losses(page, model, inputs, targets):
    """Loss before each of a few steps of the notebook's optimiser, and at last."""
    stepper, found = page.make_optimizer(model, "SGD", page.RATE), []
    for _ in range(7):
        loss = page.cross_entropy(model, inputs, targets)
        found.append(loss.item())
        stepper.zero_grad()
        loss.backward()
        stepper.step()
    return found


@pytest.mark.parametrize(["kind", "same"], [("permutation", True), ("orthogonal", False)])
@pytest.mark.parametrize("place", ["skip", "start"])
def test_permutations_are_the_identity_renumbered(page, digits, place, kind, same):
    """Around the blocks or as the first weights; orthogonal ones do not commute with ReLU."""
    model, twin = (page.make_stack(depth=DEPTH, **{place: which}) for which in (kind, "identity"))
    same_order = torch.eye(page.WIDTH)
    turns = [same_order]  # how the twin's units are numbered, before each layer
    for number, weight in enumerate(model.weights.detach()):
        if place == "start":
            turns.append(weight.T @ turns[-1])
        elif number % 2 == 0:
            turns.append(same_order)  # inside a block
        else:
            turns.append(model.paths[number // 2](same_order).T @ turns[-2])
    weights = torch.stack(turns[:-1]).mT @ model.weights.detach() @ torch.stack(turns[1:])
    if place == "start":
        torch.testing.assert_close(weights, twin.weights.detach())
    head = model.head.weight.detach() @ turns[-1]
    twin.load_state_dict(model.state_dict() | {"weights": weights, "head.weight": head})
    assert torch.allclose(model(digits[0]), twin(digits[0]), rtol=0, atol=1e-9) is same
    if same:
        ours, theirs = (losses(page, network, *digits) for network in (model, twin))
        assert ours == pytest.approx(theirs, rel=1e-6)
        assert ours[-1] < 0.9 * ours[0]  # it has learned something meanwhile


@pytest.mark.parametrize(["inserted", "same"], [("identity", True), ("noise", False)])
def test_the_constructed_network_is_the_shallow_one(page, digits, inserted, same):
    shallow = page.make_stack(depth=4)
    losses(page, shallow, *digits)  # trained a little, so that no scale is one
    deep = page.deepened(shallow, digits[0], inserted)
    assert len(deep.weights) == 32 and not deep.paths
    furthest = (deep(digits[0]) - shallow(digits[0])).abs().max().item()
    assert (furthest < 1e-9) is same


def test_normalised_gradients_have_the_size_of_each_layers_weights(page, digits):
    model = page.make_stack(depth=DEPTH)
    page.cross_entropy(model, *digits).backward()
    before = model.weights.grad.clone()
    page.normalise_gradients(model)
    for weight in (model.weights, model.scales, model.shifts):
        sizes = weight.detach().flatten(1).norm(dim=1).clamp_min(0.1)  # shifts begin at 0
        torch.testing.assert_close(weight.grad.flatten(1).norm(dim=1), sizes, rtol=1e-6, atol=0)
    along = torch.cosine_similarity(before.flatten(1), model.weights.grad.flatten(1))
    torch.testing.assert_close(along, torch.ones(DEPTH))  # the direction is the gradient's own
