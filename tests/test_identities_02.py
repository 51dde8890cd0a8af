"""What arithmetic, not chance, decides in notebook 02: closed forms, and networks that are one."""

import math

import pytest
import torch
import torch.nn.functional as F

from course_utils._runs import isolated

DEPTH = 8
START = {"PyTorch": "torch", "Glorot (Keras)": "glorot", "Kaiming": "kaiming"}


@pytest.fixture
def digits(page):
    """256 images, from one start; everything made meanwhile is in double precision."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    with isolated(0):
        (inputs, targets), _ = page.digits_of(0)
        yield inputs[:256].double(), targets[:256]
    torch.set_default_dtype(usual)


def slopes(page, outputs, head):
    """Norm of a loss's gradient with respect to each of `outputs`."""
    loss = F.cross_entropy(head(outputs[-1]), torch.arange(len(outputs[-1])) % 2)
    return [g.norm().item() for g in torch.autograd.grad(loss, outputs)]


@pytest.mark.parametrize("start", START)
def test_spread_and_gradient_change_by_the_root_of_half_of_n_times_the_variance(page, start):
    """He et al. 2015, "Delving deep into rectifiers", sec. 2.2."""
    factor = math.sqrt(page.GAIN[start] / 2)
    with isolated(0):
        layer = page.nn.Linear(page.UNITS, page.UNITS)
        if START[start] != "torch":  # with which PyTorch's layers come
            page.initialise(layer, START[start])
        found = page.random_layers(torch.randn(256, page.UNITS).requires_grad_(), page.GAIN[start])
        gradient = slopes(page, found, torch.nn.Linear(page.UNITS, 2))
    assert page.UNITS * layer.weight.square().mean().item() == pytest.approx(
        page.GAIN[start], rel=0.03
    )
    assert len(found) == page.LAYERS + 1 == 33
    assert (gradient[0] / gradient[-1]) ** (1 / 32) == pytest.approx(factor, rel=0.06)
    # ReLU also turns all directions towards each other: a little faster, never slower
    spread = [page.spread(h).item() for h in found]
    assert 0.85 * factor < (spread[-1] / spread[1]) ** (1 / 31) < 1.02 * factor


@pytest.mark.parametrize("width", [128, 256])
def test_with_batchnorm_the_gradient_grows_by_a_factor_that_no_width_changes(page, width):
    """Yang et al. 2019: the root of pi / (pi - 1)."""
    with isolated(0):
        (inputs, _), _ = page.digits_of(0)
        net = page.make_net(depth=16, width=width)
        gradient = slopes(page, page.activations(net, inputs), net[-1])
    expected = math.sqrt(math.pi / (math.pi - 1))
    assert (gradient[0] / gradient[-1]) ** (1 / 16) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(["start", "linear"], [("looks linear", True), ("orthogonal", False)])
def test_the_looks_linear_start_acts_through_the_rectifiers(page, digits, start, linear):
    """Balduzzi et al. 2017: the difference of the two halves is a linear map of the input."""
    net = page.make_net(depth=DEPTH, start=start, norm=False)

    def difference(inputs):
        last = page.activations(net, inputs)[-1]
        return last[:, : page.WIDTH // 2] - last[:, page.WIDTH // 2 :]

    one, other = digits[0][:128], digits[0][128:]
    together = difference(one) + difference(other)
    assert torch.allclose(difference(one + other), together, atol=1e-9) is linear
    assert together.abs().max() > 0.1


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


def permutation(width):
    return torch.eye(width)[torch.randperm(width)]


@torch.no_grad()
def renumbered(page, model, place, draw):
    """`model` with `draw`n matrices as skips or as start, and the identity's renumbered by them."""
    twin, turn = page.copy.deepcopy(model), torch.eye(page.WIDTH)
    for block, other in zip(model[1:-1], twin[1:-1], strict=True):
        if place == "skip":
            other.linear_1.weight.copy_(block.linear_1.weight @ turn)
            block.skip = draw(page.WIDTH)
            turn = block.skip.T @ turn
            other.linear_2.weight.copy_(turn.T @ block.linear_2.weight)
        else:
            for layer in (block.linear_1, block.linear_2):
                layer.weight.copy_(draw(page.WIDTH))
                turn = layer.weight @ turn
    twin[-1].weight.copy_(model[-1].weight @ turn)
    return model, twin


@pytest.mark.parametrize(["draw", "same"], [(permutation, True), ("orthogonal", False)])
@pytest.mark.parametrize("place", ["skip", "start"])
def test_permutations_are_the_identity_renumbered(page, digits, place, draw, same):
    """Around the blocks or as the first weights; orthogonal ones do not commute with ReLU."""
    net = page.make_net(depth=DEPTH, **{place: "identity"})
    draw = draw if same else lambda width: page.matrix("orthogonal", width)
    model, twin = renumbered(page, net, place, draw)
    assert torch.allclose(model(digits[0]), twin(digits[0]), rtol=0, atol=1e-9) is same
    if same:
        ours, theirs = (losses(page, network, *digits) for network in (model, twin))
        assert ours == pytest.approx(theirs, rel=1e-6)
        assert ours[-1] < 0.9 * ours[0]  # it has learned something meanwhile


@pytest.mark.parametrize(["inserted", "same"], [("identity", True), ("noise", False)])
def test_the_constructed_network_is_the_shallow_one(page, digits, inserted, same):
    shallow = page.make_net(depth=4)
    losses(page, shallow, *digits)  # trained a little, so that no scale is one
    deep = page.deepened(shallow, digits[0], inserted)
    assert len(deep) == 2 + 32 // 2 and all(block.skip is None for block in deep[1:-1])
    furthest = (deep(digits[0]) - shallow(digits[0])).abs().max().item()
    assert (furthest < 1e-9) is same


def test_normalised_gradients_have_the_size_of_each_layers_weights(page, digits):
    model = page.make_net(depth=DEPTH)
    page.cross_entropy(model, *digits).backward()
    before = [weight.grad.clone() for weight in model.parameters()]
    page.normalise_gradients(model)
    for weight, old in zip(model.parameters(), before, strict=True):
        if old.norm() > 1e-6:  # not a bias in front of BatchNorm, whose gradient is rounding
            size = weight.detach().norm().clamp_min(0.1)  # shifts begin at 0
            torch.testing.assert_close(weight.grad.norm(), size, rtol=1e-4, atol=0)
            along = torch.cosine_similarity(weight.grad.flatten(), old.flatten(), 0).item()
            assert along == pytest.approx(1)  # the direction is the gradient's own
