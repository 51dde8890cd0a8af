"""What is measured on models and optimisers: against torch, numpy and closed forms."""

import math
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression
from torch import nn

from course_utils import measures
from course_utils.measures import by_layer, class_numbers, sample_gradients
from course_utils.models import initialise


class Reader(nn.Module):
    """A classifier of sequences, (examples, times, 4): `body`, what is read of it, a head."""

    def __init__(self, body: nn.Module, read=lambda out: out[0][:, -1], size: int = 8):
        super().__init__()
        self.body, self.read, self.head = body, read, nn.Linear(size, 3)

    def forward(self, x):
        return self.head(self.read(self.body(x)))


class Attention(nn.MultiheadAttention):
    def forward(self, x):
        return super().forward(x, x, x, need_weights=False)


def flat(out):
    return out.flatten(1)


def depthwise() -> Reader:
    convolution = nn.Conv1d(5, 5, 3, padding=1, groups=5)
    return Reader(nn.Sequential(convolution, nn.BatchNorm1d(5)), flat, 20).eval()


KINDS = [  # of layers, and the body's multiplications, for each of 5 times
    (lambda: Reader(nn.LSTM(4, 8, 2, True, True, bidirectional=True), size=16), 64 * (12 + 24)),
    (lambda: Reader(nn.GRU(4, 8, 1, True, True), lambda out: out[1][-1]), 24 * (4 + 8)),
    (lambda: Reader(Attention(4, 2, batch_first=True), size=4), 4 * 16 + 2 * 5 * 4),
    (lambda: Reader(nn.ConvTranspose1d(5, 2, 3, padding=1), flat), 2 * 3 * 4),
    (depthwise, 3 * 4),
]


def sequences(count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 5, 4, generator=generator), torch.arange(count) % 3


def small_mlp() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def loss_of(model, inputs, targets):
    return F.cross_entropy(model(inputs), targets)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.complex64])
def test_norms_are_numpys_in_any_precision(dtype):
    layers = nn.Conv1d(2, 8, 3, dtype=dtype), nn.BatchNorm1d(8), nn.Linear(300, 300, dtype=dtype)
    model = nn.Sequential(*layers)
    model[2].weight.data.mul_(300)  # beyond the largest number of float16, squared or summed
    weights = [model[k].weight.detach().to(torch.complex128).numpy().ravel() for k in (0, 2)]
    sizes = abs(np.concatenate(weights))
    for norm, value in {"l2": (sizes**2).sum(), "l1": sizes.sum(), "max": sizes.max()}.items():
        assert measures.weight_norm(model, norm).item() == pytest.approx(value, rel=1e-5)
    penalty = measures.weight_penalty(model, 0.01)  # SGD's weight_decay=0.02
    (gradient,) = torch.autograd.grad(penalty, model[0].weight)
    torch.testing.assert_close(gradient, 0.02 * model[0].weight.detach())


@pytest.mark.parametrize("option", ["amsgrad", "foreach", "fused"])
@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_adam_statistics_are_each_step_that_adam_took(kind, option):
    model = small_mlp()
    model[0].bias.requires_grad_(False)
    options = {"lr": 0.01, "betas": (0.9, 0.5), "eps": 1e-3, "weight_decay": 0.0, option: True}
    optimizer = kind(model.parameters(), **options)
    assert all(math.isnan(value) for value in measures.adam_statistics(optimizer).values())
    trained = [p for p in model.parameters() if p.requires_grad]
    for size in (1.0, 30.0, 0.1):
        before = [p.detach().clone() for p in trained]
        optimizer.zero_grad()
        (size * sum(p.square().sum() for p in trained)).backward()
        optimizer.step()
        moved = [(p.detach() - b).flatten() for p, b in zip(trained, before, strict=True)]
        steps, found = torch.cat(moved) / 0.01, measures.adam_statistics(optimizer)
        assert found["update"] == pytest.approx(steps.square().mean().sqrt().item(), rel=1e-3)
        assert found["largest_update"] == pytest.approx(steps.abs().max().item(), rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_m_and_root_v_are_the_size_of_a_steady_gradient(dtype):
    weight = nn.Parameter(torch.zeros(3, dtype=dtype))
    optimizer = torch.optim.Adam([weight], lr=1e-3, eps=1e-4)
    for _ in range(4):
        weight.grad = torch.tensor([0.1, 0.2, 300.0], dtype=dtype)
        optimizer.step()
    found = measures.adam_statistics(optimizer)
    assert found["root_v"] == pytest.approx(0.2, rel=2e-3)
    assert found["m"] == pytest.approx(300 / 3**0.5, rel=2e-3)


@pytest.mark.parametrize("epsilon", [1e-8, 0.5])
def test_preconditioned_sharpness_is_the_largest_eigenvalue_of_what_moves(epsilon):
    torch.manual_seed(1)
    w, linear, frozen = (nn.Parameter(torch.randn(6)) for _ in range(3))
    half = torch.randn(6, 6)
    hessian = half @ half.T
    optimizer = torch.optim.Adam([w, linear, frozen.requires_grad_(False)], eps=epsilon)

    def sharpness(**options):
        loss = 0.5 * w @ hessian @ w + (linear + frozen).sum()
        return measures.preconditioned_sharpness(loss, optimizer, **options)

    assert math.isnan(sharpness())
    for _ in range(3):
        w.grad, linear.grad = torch.randn(2, 6)
        optimizer.step()
    root = (optimizer.state[w]["exp_avg_sq"] / (1 - 0.999**3)).sqrt() + epsilon
    expected = torch.linalg.eigvals(hessian / root[:, None]).real.max().item()
    assert sharpness(iterations=200) == pytest.approx(expected, rel=1e-3)
    for flat_loss in (linear.sum(), 0 * w @ w):
        assert measures.preconditioned_sharpness(flat_loss, optimizer) == 0
    linear.requires_grad_(False)
    assert sharpness(iterations=200) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("scheme", "factor"), [("torch", 6**-0.5), ("glorot", 2**-0.5), ("kaiming", 1.0)]
)
def test_spread_and_gradient_change_by_the_factor_of_the_initialisation(scheme, factor):
    torch.manual_seed(0)
    layers = [layer for _ in range(10) for layer in (nn.Linear(128, 128), nn.ReLU())]
    model = initialise(nn.Sequential(*layers, nn.Linear(128, 10)), scheme).double()
    inputs, targets = torch.randn(200, 128), torch.arange(200) % 10
    found = by_layer(model, inputs.double(), targets)
    first, last = found.iloc[0], found.iloc[9]
    assert (first["gradient"] / last["gradient"]) ** (1 / 9) == pytest.approx(factor, rel=0.03)
    # ReLU draws directions together, so that the spread falls a little faster.
    assert factor * 0.88 < (last["spread"] / first["spread"]) ** (1 / 9) < factor
    np.testing.assert_allclose(by_layer(model.half(), inputs.half(), targets), found, rtol=0.3)


@pytest.mark.parametrize("inplace", [False, True])
def test_by_layer_against_hand_made_numbers(inplace):
    model, inputs, targets = small_mlp(), sequences()[0][:, 0], sequences()[1]
    first, model[1].inplace, second = model[0], inplace, model[2]
    z = first(inputs).detach().requires_grad_()
    F.cross_entropy(second(z.relu()), targets, reduction="sum").backward()
    expected = [z.detach().numpy().var(0).mean() ** 0.5, z.grad.square().mean().sqrt().item()]
    for frozen in (False, True):
        with torch.set_grad_enabled(not frozen):  # as a reader may have left it
            found = by_layer(model.requires_grad_(not frozen), inputs, targets)
        assert list(found.loc["0"]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("make", [make for make, _ in KINDS])
def test_alike_examples_have_no_spread_and_a_gradient_at_every_layer(make):
    inputs, targets = sequences()
    found = by_layer(make(), inputs[:1].repeat(6, 1, 1), targets)
    assert len(found) == 2 and found["spread"].max() < 1e-6 and (found["gradient"] > 1e-6).all()


def test_time_may_come_first_and_a_reused_layer_has_a_row_for_each_use():
    shared, encoder = nn.Linear(4, 4), nn.TransformerEncoderLayer(4, 2, 8, 0.0)
    model = Reader(nn.Sequential(shared, shared, encoder), lambda out: out.flatten(0, 1), 4)

    def measured(inputs, targets, batch_axis=1):  # (times, examples, 4)
        def loss(scores, targets):
            return F.cross_entropy(scores.unflatten(0, (5, -1)).mean(0), targets)

        return by_layer(model, inputs, targets, loss, batch_axis=batch_axis)

    inputs, targets = sequences()
    alike = inputs[:1].repeat(6, 1, 1).transpose(0, 1)
    found = measured(alike, targets)
    of_encoder = [f"body.2.{name}" for name in ("self_attn", "linear1", "linear2")]
    assert list(found.index) == ["body.0", "body.0 (2)", *of_encoder, "head"]
    assert found["spread"][:-1].max() < 1e-6 and math.isnan(found["spread"]["head"])
    fewer, same = measured(alike[:, ::3], targets[::3]), measured(alike, 0 * targets)  # of class 0
    np.testing.assert_allclose(fewer["gradient"], same["gradient"], rtol=1e-4)
    with pytest.raises(ValueError, match="pass batch_axis=1"):
        measured(alike, targets, batch_axis=0)
    with pytest.raises(ValueError, match="body.0's output.*give another number of examples"):
        measured(torch.randn(5, 5, 4), targets[:5])


@pytest.mark.parametrize("measure", [by_layer, sample_gradients])
def test_other_outputs_and_targets_go_through_the_loss(measure):
    """One logit z, and an object, give the numbers of the two-class cross-entropy of (0, z)."""

    class Wrap(nn.Module):
        def forward(self, x):
            return SimpleNamespace(logits=x)

    def two_classes(z, t):
        return F.cross_entropy(torch.cat([torch.zeros_like(z), z], 1), t)

    inputs, targets = sequences()[0][:, 0], sequences()[1] % 2
    plain = nn.Linear(4, 1)
    wrapped = nn.Sequential(plain, Wrap())
    binary = measure(plain, inputs, targets[:, None].float(), F.binary_cross_entropy_with_logits)
    np.testing.assert_allclose(binary, measure(plain, inputs, targets, two_classes), rtol=1e-5)
    found = measure(wrapped, inputs, targets, lambda out, t: two_classes(out.logits, t))
    np.testing.assert_allclose(found, binary, rtol=1e-5)
    for model, got in ((plain, r"\(\d, 1\)"), (wrapped, "SimpleNamespace")):
        with pytest.raises(ValueError, match=f"model returns {got}: pass a loss"):
            measure(model, inputs, targets)


def test_linear_probe_is_sklearns_regression_and_refuses_to_read_noise():
    inputs, labels = load_digits(return_X_y=True)  # with pixels that are never used
    oracle = LinearRegression().fit(inputs, np.eye(10)[labels]).predict(inputs).argmax(1)
    labels = torch.tensor(labels)
    found = measures.linear_probe(torch.tensor(inputs), labels)
    assert found == pytest.approx((oracle == labels.numpy()).mean(), abs=1e-3)
    assert measures.linear_probe(torch.zeros(600, 5), torch.arange(600) % 3) == pytest.approx(1 / 3)
    for count in (20, 30):  # of 29 numbers and a constant
        with pytest.raises(ValueError, match="give more than 30 examples"):
            measures.linear_probe(torch.randn(count, 29), labels[:count])


@pytest.mark.parametrize("make", [make for make, _ in KINDS])
def test_sample_gradients_are_those_of_single_examples(make):
    model = make()
    next(model.parameters()).requires_grad_(False)
    trained = [p for p in model.parameters() if p.requires_grad]
    for row, *pair in zip(sample_gradients(model, *sequences()), *sequences(), strict=True):
        one = loss_of(model, *(part[None] for part in pair))
        expected = torch.cat([g.flatten() for g in torch.autograd.grad(one, trained)])
        torch.testing.assert_close(row, expected)


@pytest.mark.parametrize(
    "mixing",
    [
        nn.Sequential(nn.Dropout(), nn.BatchNorm1d(5)),
        nn.BatchNorm1d(5, track_running_stats=False).eval(),
        nn.TransformerEncoderLayer(4, 2, 8, 0.0),  # takes the examples for times
    ],
)
def test_examples_that_are_mixed_have_no_gradients_of_their_own(mixing):
    with pytest.raises(ValueError, match="mixes the examples"):
        sample_gradients(Reader(mixing, flat, 20), *sequences())


def test_dropout_draws_for_each_example_and_puts_the_random_state_back():
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(50, 2))
    before = torch.get_rng_state()
    found = sample_gradients(model, torch.ones(2, 50), torch.tensor([0, 0]))
    assert not torch.equal(found[0] == 0, found[1] == 0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("size", [1, 1e-4, 1e4])  # whose squares float16 does not hold
def test_cosines_and_noise_scale_in_half_precision(size):
    rows = size * torch.tensor([[1.0, 1.0], [0.0, 0.0], [-2.0, 2.0]])
    found = measures.cosines(rows.half())
    assert found[:, 1].isnan().all(), "a zero gradient has no cosine"
    torch.testing.assert_close(found[0, [0, 2]], torch.tensor([1.0, 0.0]), atol=1e-3, rtol=0)
    pair = size * torch.tensor([[3.0], [1.0]])
    assert measures.noise_scale(pair.half()) == pytest.approx(2 / 3, rel=1e-2)


def test_noise_scale_recovers_variance_over_squared_mean():
    generator = torch.Generator().manual_seed(0)
    gradients = 2 + 3 * torch.randn(4000, 20, generator=generator)
    assert measures.noise_scale(gradients) == pytest.approx(9 / 4, rel=0.03)
    # Without bias: the mean over many small samples is right, too.
    signals = [1 / (1 + measures.noise_scale(part)) for part in gradients.split(50)]
    assert sum(signals) / len(signals) == pytest.approx(4 / 13, rel=0.05)
    assert measures.noise_scale(torch.ones(4, 3)) == 0
    assert measures.noise_scale(torch.tensor([[1.0], [-1.0]])) == math.inf
    assert math.isnan(measures.noise_scale(torch.zeros(4, 3)))


@pytest.mark.parametrize(("make", "multiplications"), KINDS)
def test_flops_are_three_times_those_of_the_forward_pass(make, multiplications):
    model = make().eval().requires_grad_(False)  # where torch would take a path of its own
    by_hand = 3 * 2 * 6 * (5 * multiplications + 3 * model.head.in_features)
    assert measures.step_flops(model, *sequences(), loss_of) == by_hand


@pytest.mark.parametrize(
    "measure",
    [
        lambda model, batch, *_: by_layer(model, *batch),
        lambda model, batch, *_: sample_gradients(model, *batch),
        lambda model, batch, *_: measures.step_flops(model, *batch, loss_of),
        lambda model, batch, optimizer, loss: measures.adam_statistics(optimizer),
        lambda model, batch, *adam: measures.preconditioned_sharpness(*adam[::-1]),
    ],
)
def test_nothing_changes_by_being_measured(measure):
    """Of a model with a layer that works in place, averages, random draws and a frozen part."""
    batch, recurrent = sequences(), nn.LSTM(4, 8, batch_first=True)
    body = nn.ReLU(inplace=True), nn.BatchNorm1d(5), nn.Dropout(), recurrent
    model = Reader(nn.Sequential(*body))
    recurrent.bias_hh_l0.requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters())
    loss_of(model, batch[0].clone(), batch[1]).backward()
    optimizer.step()

    def snapshot():
        tensors = [*model.state_dict().values(), *batch, torch.get_rng_state()]
        tensors += [p.grad for p in model.parameters() if p.grad is not None]
        modules = [(m.training, len(m._forward_hooks)) for m in model.modules()]
        flags = [p.requires_grad for p in model.parameters()]
        state = len(optimizer.state), str(optimizer.state_dict())
        return [tensor.tolist() for tensor in tensors], modules, flags, state

    for training in (True, False):
        model.train(training)
        loss = loss_of(model, batch[0].clone(), batch[1])
        before = snapshot()
        with suppress(ValueError if training else ()):  # BatchNorm mixes examples
            measure(model, batch, optimizer, loss)
        assert snapshot() == before


def test_targets_are_class_numbers_as_people_have_them():
    for targets in ([1, 0, -100], [[1], [0], [-100]], [1.0, 0.0, -100.0]):
        found = class_numbers(torch.tensor(targets), torch.zeros(3, 2))
        assert found.tolist() == [1, 0, -100] and found.dtype == torch.int64
    assert class_numbers(torch.eye(3)[[2, 0]], torch.zeros(2, 3)).tolist() == [2, 0]
    for wrong in ([0, 2], [0.5, 1], [[1, 1], [0, 1]], [0, 1, 1]):
        with pytest.raises(ValueError, match="targets must be a class from 0 to 1 for each of 2"):
            class_numbers(torch.tensor(wrong), torch.zeros(2, 2))


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_the_path_is_the_sum_of_all_steps_that_an_optimiser_took(kind):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    optimizer = kind(model.parameters(), lr=0.1)
    walked, expected = measures.path_length(optimizer), 0.0
    assert walked() == 0
    for _ in range(4):
        before = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
        optimizer.zero_grad()
        model(torch.randn(5, 3)).square().sum().backward()
        optimizer.step()
        after = torch.cat([p.detach().flatten() for p in model.parameters()])
        expected += (after - before).square().mean().sqrt().item()
    assert walked() == pytest.approx(expected, rel=1e-6) and expected > 0.1


AS_GIVEN = "as probabilities"
LOST, KEPT = torch.tensor([[-20.0, -18.0]]), torch.tensor([[-20.0, 4.0]])  # class 1 is right


@pytest.mark.parametrize(
    ["outputs", "below"],
    [
        (LOST, {"softmax": False, "sigmoids": True}),
        (LOST.sigmoid(), {AS_GIVEN: True}),
        (KEPT.softmax(1), {AS_GIVEN: False}),
        (LOST[:, 1], {"sigmoid": True}),
        (KEPT[:, 1:], {"sigmoid": False}),
        (LOST[:, 1:].sigmoid(), {AS_GIVEN: True}),
    ],
)
def test_the_right_probability_is_read_from_logits_probabilities_and_single_outputs(outputs, below):
    readings = measures.right_probabilities(outputs, torch.tensor([1]))
    assert {way: bool(p < 1e-7) for way, p in readings.items()} == below
