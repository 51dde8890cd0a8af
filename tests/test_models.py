"""Kernels and their initialisations: against torch and closed forms."""

import pytest
import torch
from torch import nn

from course_utils.models import count_parameters, fans, initial_variance, initialise, kernels


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
