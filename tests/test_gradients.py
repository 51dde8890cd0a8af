"""Gradients of single examples against autograd in a loop; cosines, noise scale: closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.measures import cosines, noise_scale, sample_gradients


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4)
    ).eval()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(5, 1, 6, 6, generator=generator), torch.tensor([0, 1, 2, 3, 3])


def test_sample_gradients_are_those_of_single_examples():
    model, (inputs, targets) = network(), batch()
    model[0].bias.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = sample_gradients(model, inputs, targets)
    trained = [p for p in model.parameters() if p.requires_grad]
    for row, example, target in zip(found, inputs, targets, strict=True):
        one = F.cross_entropy(model(example[None]), target[None])
        expected = torch.cat([g.flatten() for g in torch.autograd.grad(one, trained)])
        torch.testing.assert_close(row, expected)
    assert all(p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_another_loss_is_used():
    model = nn.Linear(2, 1)
    inputs, targets = torch.tensor([[1.0, 2.0]]), torch.tensor([0.5])
    found = sample_gradients(model, inputs, targets, lambda out, t: (out[:, 0] - t).sum())
    assert found.tolist() == [[1.0, 2.0, 1.0]]


def test_dropout_draws_for_each_example():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(50, 2))
    found = sample_gradients(model, torch.ones(2, 50), torch.tensor([0, 0]))
    assert not torch.equal(found[0] == 0, found[1] == 0)


def test_cosines_of_the_last_bias_are_the_theory():
    """Alike in class 1, else -1 / (classes - 1), where the network guesses evenly."""
    bias_only = nn.Linear(3, 10).requires_grad_(False)
    nn.init.zeros_(bias_only.weight)
    nn.init.zeros_(bias_only.bias).requires_grad_(True)
    found = cosines(sample_gradients(bias_only, torch.randn(3, 3), torch.tensor([4, 4, 7])))
    torch.testing.assert_close(found[0], torch.tensor([1.0, 1.0, -1 / 9]))


def test_a_zero_gradient_has_no_cosine():
    found = cosines(torch.tensor([[1.0, 1.0], [0.0, 0.0], [-2.0, 2.0]]))
    assert found[:, 1].isnan().all()
    torch.testing.assert_close(found[0, [0, 2]], torch.tensor([1.0, 0.0]))


def test_noise_scale_recovers_variance_over_squared_mean():
    generator = torch.Generator().manual_seed(0)
    gradients = 2 + 3 * torch.randn(4000, 20, generator=generator)
    assert noise_scale(gradients) == pytest.approx(9 / 4, rel=0.03)
    # Without bias: the mean over many small samples is right, too.
    signals = [1 / (1 + noise_scale(part)) for part in gradients.split(50)]
    assert sum(signals) / len(signals) == pytest.approx(4 / 13, rel=0.05)


def test_noise_scale_at_its_ends():
    assert noise_scale(torch.ones(4, 3)) == 0
    assert noise_scale(torch.tensor([[1.0], [-1.0]])) == math.inf
    assert math.isnan(noise_scale(torch.zeros(4, 3)))


def test_bad_input_is_named():
    model, (inputs, targets) = network(), batch()
    with pytest.raises(ValueError, match="equally many, 1 or more; got 5, 4"):
        sample_gradients(model, inputs, targets[:4])
    with pytest.raises(ValueError, match="got 0, 0"):
        sample_gradients(model, inputs[:0], targets[:0])
    with pytest.raises(ValueError, match="BatchNorm in training mode mixes the examples"):
        sample_gradients(model.train(), inputs, targets)
    with pytest.raises(ValueError, match="no trainable parameter"):
        sample_gradients(model.eval().requires_grad_(False), inputs, targets)
    with pytest.raises(ValueError, match=r"with 2 or more examples, got \(1, 3\)"):
        noise_scale(torch.ones(1, 3))
    with pytest.raises(ValueError, match=r"shape \(examples, parameters\)"):
        cosines(torch.ones(3))
