"""What arithmetic, not chance, decides in notebook 02.

The closed forms of the initialisation; networks that are another one with its units renumbered; the
deep network that is built out of a shallow one; gradients that are given the size of the weights.
"""

import math

import pytest
import torch
from execution import ROOT

from course_utils._runs import isolated

NOTEBOOK = ROOT / "notebooks" / "02_deeper_but_worse.ipynb"
SCHEMES = ["torch", "glorot", "kaiming"]
VARIANCES = {"torch": 1 / 3, "glorot": 1.0, "kaiming": 2.0}  # of a weight, times the fan-in
DEPTH = 8


@pytest.fixture(scope="module")
def lesson(defined):
    return defined(NOTEBOOK)


@pytest.fixture
def double():
    """Everything that is made meanwhile is made in double precision."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    with isolated(0):
        yield
    torch.set_default_dtype(usual)


def untrained(lesson, scheme, precision="float64"):
    with isolated(0):
        return lesson.start(scheme, precision, 0)


def per_layer(values):
    """Change from the first layer to the last, as a factor for each."""
    ends = float(values.isel(layer=-1) / values.isel(layer=0))
    return ends ** (1 / (values.sizes["layer"] - 1))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_table_of_factors_is_the_root_of_half_of_n_times_the_variance(lesson, scheme):
    with isolated(0):
        layer = lesson.initialised(lesson.relu_stack(1, width=512), scheme)[0]
    found = 512 * layer.weight.detach().square().mean().item()
    assert found == pytest.approx(VARIANCES[scheme], rel=0.02)
    assert lesson.FACTORS[scheme] == pytest.approx(math.sqrt(VARIANCES[scheme] / 2))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_spread_and_gradient_change_by_that_factor_at_every_layer(lesson, scheme):
    found = untrained(lesson, scheme)
    factor = math.sqrt(VARIANCES[scheme] / 2)
    assert found.sizes["layer"] == lesson.LAYERS == 32
    assert 1 / per_layer(found["gradient"]) == pytest.approx(factor, rel=0.06)
    # ReLU also turns all directions towards each other: a little faster, never slower
    assert 0.85 * factor < per_layer(found["spread"]) < 1.02 * factor


def test_in_single_precision_rounding_is_all_that_a_dead_stack_puts_out(lesson):
    ends = {
        (scheme, precision): float(untrained(lesson, scheme, precision)["spread"][-1])
        for scheme in ("torch", "kaiming")
        for precision in ("float32", "float64")
    }
    assert ends["torch", "float64"] < 1e-12
    assert ends["torch", "float32"] > 100 * ends["torch", "float64"]
    # the control: a stack that is alive has no use for the further digits
    assert ends["kaiming", "float32"] == pytest.approx(ends["kaiming", "float64"], rel=0.01)


def renumbered(lesson, model, turns):
    """`model` with its units after block k in the order that ``turns[k]`` gives them, no paths."""
    twin = lesson.make_stack(depth=len(model.weights))
    twin.load_state_dict(model.state_dict())
    with torch.no_grad():
        for block, (before, after) in enumerate(zip(turns, turns[1:], strict=False)):
            twin.weights[2 * block] = before.T @ model.weights[2 * block]
            twin.weights[2 * block + 1] = model.weights[2 * block + 1] @ after
        twin.head.weight.copy_(model.head.weight @ turns[-1])
    return twin


def matrices_of(model):
    """The fixed matrix of each path."""
    return [path(torch.eye(model.weights.shape[-1])) for path in model.paths]


def losses(lesson, model, inputs, targets, steps=6):
    """Loss before each of a few steps of the notebook's optimiser, and at last."""
    stepper, found = lesson.make_optimizer(model, "SGD", lesson.RATE), []
    for _ in range(steps + 1):
        loss = lesson.cross_entropy(model, inputs, targets)
        found.append(loss.item())
        stepper.zero_grad()
        loss.backward()
        stepper.step()
    return found


@pytest.fixture
def digits(lesson, double):
    (inputs, targets), _ = lesson.digits_of(0)
    return inputs[:256].double(), targets[:256]


@pytest.mark.parametrize(["kind", "same"], [("permutation", True), ("orthogonal", False)])
def test_a_permutation_around_each_block_is_the_identity_renumbered(lesson, digits, kind, same):
    """And an orthogonal matrix is not: ReLU does not commute with it."""
    model = lesson.make_stack(depth=DEPTH, skip=kind)
    turns = [torch.eye(lesson.WIDTH)]
    for path in matrices_of(model):
        turns.append(path.T @ turns[-1])
    twin = renumbered(lesson, model, turns)
    twin.paths = lesson.make_paths("identity", DEPTH // 2, 1.0)
    close = torch.allclose(model(digits[0]), twin(digits[0]), rtol=0, atol=1e-9)
    assert close is same
    if same:
        ours, theirs = (losses(lesson, network, *digits) for network in (model, twin))
        assert ours == pytest.approx(theirs, rel=1e-6)
        assert ours[-1] < 0.9 * ours[0]  # it has learned something meanwhile


@pytest.mark.parametrize(["start", "same"], [("permutation", True), ("orthogonal", False)])
def test_a_start_at_permutations_is_one_at_the_identity_renumbered(lesson, digits, start, same):
    model = lesson.make_stack(depth=DEPTH, start=start)
    turn = torch.eye(lesson.WIDTH)
    for weight in model.weights.detach():
        turn = weight.T @ turn
    twin = lesson.make_stack(depth=DEPTH, start="identity")
    twin.stem.load_state_dict(model.stem.state_dict())
    twin.head.load_state_dict(model.head.state_dict())
    with torch.no_grad():
        twin.head.weight.copy_(model.head.weight @ turn)
    close = torch.allclose(model(digits[0]), twin(digits[0]), rtol=0, atol=1e-9)
    assert close is same
    if same:
        ours, theirs = (losses(lesson, network, *digits) for network in (model, twin))
        assert ours == pytest.approx(theirs, rel=1e-6)
        assert ours[-1] < 0.9 * ours[0]


@pytest.mark.parametrize(["inserted", "same"], [("identity", True), ("noise", False)])
def test_the_constructed_network_is_the_shallow_one(lesson, digits, inserted, same):
    shallow = lesson.make_stack(depth=4)
    losses(lesson, shallow, *digits)  # trained a little, so that no scale is one
    deep = lesson.deepened(shallow, digits[0], inserted)
    assert len(deep.weights) == 32 and not deep.paths
    furthest = (deep(digits[0]) - shallow(digits[0])).abs().max().item()
    assert (furthest < 1e-9) is same


def test_normalised_gradients_have_the_size_of_each_layers_weights(lesson, digits):
    model = lesson.make_stack(depth=DEPTH)
    lesson.cross_entropy(model, *digits).backward()
    before = model.weights.grad.clone()
    lesson.normalise_gradients(model)
    for name in ("weights", "scales"):
        weight = getattr(model, name)
        sizes = weight.detach().flatten(1).norm(dim=1)
        torch.testing.assert_close(weight.grad.flatten(1).norm(dim=1), sizes, rtol=1e-6, atol=0)
    shifts = model.shifts.grad.norm(dim=1)  # which begin at 0: a tenth at least
    torch.testing.assert_close(shifts, torch.full((DEPTH,), 0.1), rtol=1e-6, atol=0)
    # the size alone: the direction is the gradient's own
    along = torch.cosine_similarity(before.flatten(1), model.weights.grad.flatten(1))
    torch.testing.assert_close(along, torch.ones(DEPTH))
