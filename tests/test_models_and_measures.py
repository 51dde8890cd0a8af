"""Initialisations, norms, Adam's steps and curvature: against torch, numpy and closed forms."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from course_utils.measures import (
    adam_statistics,
    by_layer,
    linear_probe,
    preconditioned_sharpness,
    weight_norm,
    weight_penalty,
)
from course_utils.models import count_parameters, fans, initial_variance, initialise, kernels


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(2, 8, 3), nn.BatchNorm3d(8), nn.Flatten(), nn.Linear(8, 5, bias=False)
    )


def test_fans_and_variances_are_torchs_own():
    weight = torch.empty(64, 32, 3, 3)
    assert fans(weight) == torch.nn.init._calculate_fan_in_and_fan_out(weight)
    oracles = {
        "kaiming": lambda w: nn.init.kaiming_normal_(w),
        "glorot": lambda w: nn.init.xavier_normal_(w),
        "torch": lambda w: nn.init.kaiming_uniform_(w, a=5**0.5),
        "fixed": lambda w: nn.init.normal_(w, std=0.05),
    }
    torch.manual_seed(0)
    for scheme, oracle in oracles.items():
        expected = oracle(torch.empty_like(weight)).var().item()
        assert initial_variance(weight, scheme) == pytest.approx(expected, rel=0.05)
        drawn = initialise(nn.Conv2d(32, 64, 3), scheme, seed=0).weight.var().item()
        assert drawn == pytest.approx(expected, rel=0.05)


def test_the_norm_at_the_start_counts_output_channels():
    model = initialise(nn.Sequential(nn.Conv2d(3, 400, 5), nn.Linear(400, 300)), "kaiming", seed=0)
    assert weight_norm(model).item() == pytest.approx(2 * (400 + 300), rel=0.02)


def test_initialise_is_decided_by_the_seed_and_zeroes_biases():
    one, two, other = (initialise(network(), "glorot", seed=s) for s in (1, 1, 2))
    assert torch.equal(one[3].weight, two[3].weight)
    assert not torch.equal(one[3].weight, other[3].weight)
    assert not one[0].bias.any() and one[1].weight.eq(1).all(), "BatchNorm stays as it was"


def test_norms_are_numpys_and_leave_out_biases_and_batchnorm():
    model = network()
    flat = np.concatenate([model[0].weight.detach().ravel(), model[3].weight.detach().ravel()])
    assert weight_norm(model, "l2").item() == pytest.approx(float((flat**2).sum()), rel=1e-5)
    assert weight_norm(model, "l1").item() == pytest.approx(float(abs(flat).sum()), rel=1e-5)
    assert weight_norm(model, "max").item() == pytest.approx(float(abs(flat).max()), rel=1e-5)
    assert len(kernels(model)) == 2
    assert count_parameters(model) == flat.size + 8 + 8 + 8  # conv bias, BatchNorm scale and shift


def test_the_penaltys_gradient_is_that_of_weight_decay():
    """Adding s * sum(w ** 2) to the loss is SGD's weight_decay=2s: torch's optimiser agrees."""
    inputs = torch.randn(16, 4)
    torch.manual_seed(3)
    one, two = nn.Linear(4, 2, bias=False), nn.Linear(4, 2, bias=False)
    two.load_state_dict(one.state_dict())
    plain = torch.optim.SGD(one.parameters(), lr=0.1)
    decayed = torch.optim.SGD(two.parameters(), lr=0.1, weight_decay=0.02)
    (one(inputs).square().mean() + weight_penalty(one, 0.01)).backward()
    two(inputs).square().mean().backward()
    plain.step()
    decayed.step()
    torch.testing.assert_close(one.weight, two.weight)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="unknown norm 'l3'; expected one of l2, l1, max"):
        weight_norm(network(), "l3")
    with pytest.raises(ValueError, match="no weight matrix"):
        weight_norm(nn.BatchNorm1d(3))
    for strength in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="strength must be 0 or larger"):
            weight_penalty(network(), strength)
    with pytest.raises(ValueError, match="unknown scheme 'he'; expected one of kaiming, glorot"):
        initialise(network(), "he")
    none = nn.Linear(3, 1)
    none.weight = nn.Parameter(torch.empty(0, 3))
    with pytest.raises(ValueError, match=r"weight has shape \(0, 3\): every width must be 1"):
        initialise(none, "kaiming")


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_adam_statistics_are_the_step_that_adam_took(kind, amsgrad):
    torch.manual_seed(0)
    model = network()
    optimizer = kind(model.parameters(), lr=0.01, weight_decay=0.0, amsgrad=amsgrad, eps=1e-3)
    assert all(math.isnan(value) for value in adam_statistics(optimizer).values())
    for size in (1.0, 30.0, 0.1):
        before = [p.detach().clone() for p in model.parameters()]
        optimizer.zero_grad()
        (size * sum(p.square().sum() for p in model.parameters())).backward()
        optimizer.step()
    moved = [p.detach() - b for p, b in zip(model.parameters(), before, strict=True)]
    steps = torch.cat([m.flatten() for m in moved]) / 0.01
    found = adam_statistics(optimizer)
    assert found["update"] == pytest.approx(steps.square().mean().sqrt().item(), rel=1e-3)
    assert found["largest_update"] == pytest.approx(steps.abs().max().item(), rel=1e-3)


def test_root_v_is_the_size_of_a_steady_gradient():
    weight = nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.Adam([weight], lr=1e-3)
    for _ in range(4):
        optimizer.zero_grad()
        (weight * torch.tensor([0.1, 0.2, 7.0])).sum().backward()
        optimizer.step()
    found = adam_statistics(optimizer)
    assert found["root_v"] == pytest.approx(0.2)
    assert found["m"] == pytest.approx(np.sqrt((0.1**2 + 0.2**2 + 7.0**2) / 3))


@pytest.mark.parametrize("epsilon", [1e-8, 0.5])
def test_preconditioned_sharpness_is_the_largest_eigenvalue(epsilon):
    torch.manual_seed(1)
    w = nn.Parameter(torch.randn(6))
    half = torch.randn(6, 6)
    hessian = half @ half.T
    optimizer = torch.optim.Adam([w], lr=1e-3, eps=epsilon)
    assert math.isnan(preconditioned_sharpness(0.5 * w @ hessian @ w, optimizer))
    for _ in range(3):
        optimizer.zero_grad()
        (0.5 * w @ hessian @ w).backward()
        optimizer.step()
    root = (optimizer.state[w]["exp_avg_sq"] / (1 - 0.999**3)).sqrt() + epsilon
    expected = torch.linalg.eigvals(hessian / root[:, None]).real.max().item()
    before = torch.random.get_rng_state()
    found = preconditioned_sharpness(0.5 * w @ hessian @ w, optimizer, iterations=200)
    assert found == pytest.approx(expected, rel=1e-3)
    assert torch.equal(before, torch.random.get_rng_state())


def test_adam_is_not_measured_on_another_optimiser():
    model = nn.Linear(2, 1)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(TypeError, match="Adam or AdamW, got SGD"):
        adam_statistics(sgd)
    with pytest.raises(TypeError, match="Adam or AdamW, got SGD"):
        preconditioned_sharpness(model(torch.ones(2)).sum(), sgd)
    with pytest.raises(ValueError, match="iterations must be 1 or larger"):
        adam = torch.optim.Adam(model.parameters())
        preconditioned_sharpness(model(torch.ones(2)).sum(), adam, iterations=0)


def relu_stack(depth: int, width: int = 128) -> nn.Sequential:
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(width, 10)).double()


@pytest.mark.parametrize(
    ("scheme", "factor"), [("torch", 6**-0.5), ("glorot", 2**-0.5), ("kaiming", 1.0)]
)
def test_spread_and_gradient_change_by_the_factor_of_the_initialisation(scheme, factor):
    torch.manual_seed(0)
    inputs = torch.randn(200, 128, dtype=torch.float64)
    found = by_layer(initialise(relu_stack(10), scheme), inputs, torch.arange(200) % 10)
    assert list(found.index) == [str(2 * place) for place in range(11)]
    first, last = found.iloc[0], found.iloc[9]
    assert (first["gradient"] / last["gradient"]) ** (1 / 9) == pytest.approx(factor, rel=0.03)
    # ReLU draws directions together, so that the spread falls a little faster.
    assert factor * 0.88 < (last["spread"] / first["spread"]) ** (1 / 9) < factor


@pytest.mark.parametrize("inplace", [False, True])
def test_by_layer_against_hand_made_numbers(inplace):
    torch.manual_seed(0)
    first, second = nn.Linear(3, 4), nn.Linear(4, 2)
    model = nn.Sequential(first, nn.ReLU(inplace=inplace), second)
    inputs, targets = torch.randn(5, 3), torch.tensor([0, 1, 1, 0, 1])
    found = by_layer(model, inputs, targets)
    z = first(inputs).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(
        nn.functional.cross_entropy(second(z.relu()), targets, reduction="sum"), z
    )
    spread = z.detach().numpy().var(0).mean() ** 0.5
    assert found.loc["0", "spread"] == pytest.approx(spread, rel=1e-5)
    assert found.loc["0", "gradient"] == pytest.approx(gradient.square().mean().sqrt().item())


def test_by_layer_leaves_the_model_as_it_was():
    model = network()
    inputs, targets = torch.randn(6, 2, 3, 3, 3), torch.arange(6) % 5
    state = {name: value.clone() for name, value in model.state_dict().items()}
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with torch.no_grad():  # frozen, and under no_grad: as a reader may have left it
        found = by_layer(model, inputs, targets)
    assert found.notnull().to_numpy().all()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_by_layer_names_bad_input():
    with pytest.raises(ValueError, match="2 or more examples to be told apart, got 1"):
        by_layer(nn.Linear(3, 2), torch.ones(1, 3), torch.zeros(1).long())
    with pytest.raises(ValueError, match="no linear or convolutional layer"):
        by_layer(nn.ReLU(), torch.ones(4, 3), torch.zeros(4).long())
    with pytest.raises(ValueError, match=r"loss must be a scalar, got shape \(4, 2\)"):
        by_layer(nn.Linear(3, 2), torch.ones(4, 3), None, loss=lambda outputs, _: outputs)


def test_linear_probe_reads_what_is_linear_and_nothing_else():
    torch.manual_seed(0)
    points, labels = torch.randn(600, 2), torch.arange(600) % 3
    centres = torch.tensor([[9.0, 0.0], [0.0, 9.0], [-9.0, -9.0]])
    assert linear_probe(points + centres[labels], labels) > 0.99
    assert linear_probe(points, labels) < 0.45  # a third, and what six numbers fit by chance
    dead = torch.zeros(600, 5)
    assert linear_probe(torch.cat([points + centres[labels], dead], 1), labels) > 0.99
    assert linear_probe(dead, labels) == pytest.approx(1 / 3)


def test_linear_probe_is_sklearns_ridge_without_its_penalty():
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LinearRegression

    inputs, labels = load_digits(return_X_y=True)
    oracle = LinearRegression().fit(inputs, np.eye(10)[labels]).predict(inputs).argmax(1)
    found = linear_probe(torch.tensor(inputs), torch.tensor(labels))
    assert found == pytest.approx((oracle == labels).mean(), abs=1e-3)


def test_linear_probe_names_bad_input():
    with pytest.raises(ValueError, match="equally many, 1 or more; got 4, 3"):
        linear_probe(torch.ones(4, 2), torch.zeros(3).long())
    with pytest.raises(ValueError, match="features must be finite"):
        linear_probe(torch.full((4, 2), math.nan), torch.zeros(4).long())
