"""Kernels and their initialisations: against torch and closed forms."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.models import (
    composed,
    count_parameters,
    fans,
    initial_variance,
    initialise,
    kernels,
)


def network() -> nn.Sequential:
    last = nn.Linear(8, 5, bias=False)
    return nn.Sequential(nn.Conv3d(2, 8, 3), nn.BatchNorm3d(8), nn.Flatten(), last)


def test_kernels_leave_out_biases_and_batchnorm():
    model = network()
    assert [id(w) for w in kernels(model)] == [id(model[0].weight), id(model[3].weight)]
    assert count_parameters(model) == 8 * 2 * 27 + 8 + 2 * 8 + 8 * 5
    assert count_parameters(model[0].requires_grad_(False)) == 0


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
        drawn = initialise(nn.Conv2d(32, 64, 3), scheme).weight.var().item()
        assert drawn == pytest.approx(expected, rel=0.05)


def test_a_transposed_convolution_is_drawn_like_one_that_goes_the_same_way():
    torch.manual_seed(0)
    there = initialise(nn.Conv2d(64, 8, 5, groups=4), "kaiming")
    back = initialise(nn.ConvTranspose2d(64, 8, 5, groups=4), "kaiming")
    assert back.weight.var().item() == pytest.approx(there.weight.var().item(), rel=0.1)


def test_initialise_zeroes_biases_and_knows_its_schemes():
    one = initialise(network(), "glorot")
    assert not one[0].bias.any() and one[1].weight.eq(1).all(), "BatchNorm stays as it was"


@pytest.mark.parametrize("size", [1, 3, 6])
def test_two_convolutions_composed_are_the_two_in_a_row(size):
    """Outputs and gradients, in double precision, with torch's own biases."""
    layers = nn.Sequential(nn.Conv2d(1, 3, size), nn.Conv2d(3, 5, size)).double()
    images = torch.rand(4, 1, 12, 12, dtype=torch.float64)
    plain = layers(images).flatten(2).mT  # (images, places, out)
    filters, bias = composed(*layers)
    ours = F.unfold(images, 2 * size - 1).mT @ filters.T + bias
    torch.testing.assert_close(ours, plain, rtol=1e-9, atol=1e-12)
    gradients = [torch.autograd.grad(y.square().sum(), layers.parameters()) for y in (plain, ours)]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("second", [{"stride": 2}, {"padding": 1}, {"kernel_size": 5}])
def test_composed_refuses_what_it_would_get_wrong(second):
    with pytest.raises(ValueError, match="plain convolutions of one input channel"):
        composed(
            nn.Conv2d(1, 3, 3),
            nn.Conv2d(**{"in_channels": 3, "out_channels": 5} | {"kernel_size": 3} | second),
        )
