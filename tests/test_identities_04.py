"""What arithmetic, not chance, decides in notebook 04: start, floor, steps, shares, cosines."""

import ast
import copy
import math
from collections.abc import Iterator
from itertools import islice, pairwise

import pytest
import scipy.stats
import torch
import torch.nn.functional as F
import xarray as xr
from definitions import code
from execution import ROOT
from torch import nn

pytestmark = pytest.mark.usefixtures("one_thread")

NOTEBOOK = ROOT / "notebooks" / "04_too_good_too_fast.ipynb"


@pytest.fixture
def even(page, monkeypatch) -> None:
    """Puts small networks with a head of zeros, an exactly even guess, in the place of both."""
    nets = dict.fromkeys(page.NETS, lambda head: only_the_bias(torch.zeros(head), zeros=2))
    monkeypatch.setattr(page, "NETS", nets)


def small(head: int) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.ReLU(), nn.Linear(8, head))


def only_the_bias(logits: torch.Tensor, zeros: int = 4) -> nn.Sequential:
    """A network that gives everything these logits: its last `zeros` parameters are 0, but those.

    If all four are, nothing but the head's bias has a gradient.
    """
    model = small(len(logits)).double()
    for parameter in list(model.parameters())[-zeros:]:
        nn.init.zeros_(parameter)
    model[-1].bias.data = logits.double()
    return model


def in_double(data: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return data[0].double(), data[1]


@pytest.mark.parametrize(["classes", "head"], [(2, 2), (1, 1000), (10, 1000)])
def test_an_even_guess_pays_ln_c_whatever_the_labels(page, even, classes, head):
    data = page.examples(0, classes)
    curves, _ = page.fit(0, data=data, head=head, steps=1, precision="float64")
    assert float(curves["data_loss"][0]) == pytest.approx(math.log(head), rel=1e-6)


@pytest.mark.parametrize("net", ["AlexNet-like", "GoogLeNet-like"])
def test_an_untrained_network_pays_ln_c_up_to_the_range_of_its_logits(page, net):
    inputs, targets = page.sample(page.examples(0, classes=10), 32)
    model = page.NETS[net](page.HEAD)
    logits = model(inputs).detach()
    distance = abs(page.cross_entropy(model, inputs, targets).item() - math.log(page.HEAD))
    assert distance <= float((logits.amax(1) - logits.amin(1)).max()) + 1e-6
    assert distance < 0.5  # PyTorch's initial head is small; the same weights on every processor


@pytest.mark.parametrize("counts", [[0, 1, 99, 20, 30], [7, 7, 7]])
def test_the_constant_predictor_pays_the_entropy_of_the_labels(page, counts):
    found = page.solve_constant()(torch.tensor(counts))
    assert float(found) == pytest.approx(scipy.stats.entropy(counts), abs=1e-6)


def test_of_one_logit_the_take_home_means_binary_cross_entropy(page):
    score, targets = torch.randn(20), torch.arange(20) % 2
    loss = F.cross_entropy(page.as_logits(score[:, None]), targets)
    torch.testing.assert_close(loss, F.binary_cross_entropy_with_logits(score, targets.float()))


def agreement(page, data, model, *options) -> dict[str, float]:
    return dict(zip(page.AGREEMENT, page.agreement(data, *options)(model).tolist(), strict=True))


@pytest.mark.parametrize("classes", [2, 5])
def test_cosines_of_the_head_at_an_even_guess_and_on_the_plateau(page, classes):
    head = 20
    data = in_double(page.examples(0, classes))
    there = page.sample(data, 40)[1].bincount(minlength=head) > 0
    even, plateau = torch.zeros(head), torch.where(there, 0.0, -100.0)
    for logits, cosine in ((even, -1 / (head - 1)), (plateau, -1 / (classes - 1))):
        measured = agreement(page, data, only_the_bias(logits), head)
        for name, expected in {"bias": cosine, "different": cosine, "same": 1}.items():
            assert measured[name] == pytest.approx(expected, abs=1e-6)
        if logits is even:  # over all pairs, the formula of the text
            assert measured["all"] == pytest.approx(measured["theory"], abs=1e-6)


def test_gradients_of_one_length_have_the_noise_scale_of_their_mean_cosine(page, monkeypatch):
    """tr Σ / |G|² is (1 - c) / c: far below 1 for one class, because all images agree."""
    original = page.sample_gradients
    monkeypatch.setattr(page, "sample_gradients", lambda *a: F.normalize(original(*a)))
    model = page.alexnet_like(page.HEAD).double()
    for classes in (1, 10):
        measured = agreement(page, in_double(page.examples(0, classes)), model)
        closed = (1 - measured["all"]) / measured["all"]
        assert measured["noise_scale"] == pytest.approx(closed, rel=1e-5)


def test_one_image_many_times_takes_the_same_steps_at_every_batch_size(page):
    data = page.examples(0, pictures="one image")
    curves = []
    for batch in (1, 64):
        torch.manual_seed(0)
        run, _ = page.fit(0, data=data, batch=batch, steps=6, precision="float64")
        curves.append(run["data_loss"].values)
    assert curves[0][-1] < curves[0][0]
    assert curves[1] == pytest.approx(curves[0], rel=1e-6)


def test_steps_times_batch_size_are_the_images_read(page, even, monkeypatch):
    """So that with the same steps batch 170 takes 170 times the epochs of batch 1."""
    read, original = [], page.cross_entropy

    def counting(model, inputs, targets):
        read.append(len(targets))
        return original(model, inputs.double(), targets)

    monkeypatch.setattr(page, "cross_entropy", counting)
    (cell,) = [source for source in code(NOTEBOOK) if source.startswith("lab(")]
    (axes,) = [k.value for k in ast.parse(cell).body[0].value.keywords if k.arg == "axes"]
    axes = eval(compile(ast.Expression(axes), "the lab", "eval"), vars(page))
    for batch in page.BATCHES:
        read.clear()
        page.fit(0, batch=batch, steps=5, precision="float64")
        assert sum(read) == 5 * batch == 5 * axes["examples"]({"batch": batch})
        assert sum(read) / 1024 == pytest.approx(5 * axes["epochs"]({"batch": batch}))


def test_steps_to_and_rises_count_as_a_loop_does(page):
    falling = (torch.linspace(0.3, 0, 50) + 0.2 * torch.rand(50)).tolist()
    for losses in (falling, [value + 0.1 for value in falling]):  # these never arrive
        loss = xr.DataArray(losses, {"step": range(50)}, "step")
        first = next((step for step, value in enumerate(losses) if value < 0.1), math.nan)
        assert float(page.steps_to(loss)) == pytest.approx(first, nan_ok=True)
        until = losses if math.isnan(first) else losses[: first + 1]
        assert page.rises(loss) == sum(after > before for before, after in pairwise(until))


def losses_of_the_bias(head: int, rate: float) -> Iterator[float]:
    """u, the lead of the present class, grows by rate C / (C - 1) (1 - p) a step."""
    u = 0.0
    while True:
        p = math.exp(u) / (math.exp(u) + head - 1)
        yield -math.log(p)
        u += rate * head / (head - 1) * (1 - p)


@pytest.mark.parametrize("head", [10, 1000])
def test_the_bias_alone_falls_step_by_step_as_derived(page, even, head):
    curves, _ = page.fit(
        0, head=head, rate=page.BIAS_RATE, momentum=0.0, steps=60, part="head's bias",
        precision="float64",
    )  # fmt: skip
    derived = list(islice(losses_of_the_bias(head, page.BIAS_RATE), 60))
    assert curves["data_loss"].values.tolist() == pytest.approx(derived, rel=1e-5)


@pytest.mark.parametrize("head", [10, 100, 1000])
def test_the_formula_of_the_bias_is_that_recursion_for_small_steps(page, head):
    for rate, tolerance in ((1e-3, 1e-3), (page.BIAS_RATE, 0.05)):  # the latter less small
        losses = losses_of_the_bias(head, rate)
        steps, reached = next((n, loss) for n, loss in enumerate(losses) if loss < 0.1)
        assert page.bias_steps(reached, head, rate) == pytest.approx(steps, rel=tolerance)
    assert page.bias_steps(math.log(head), head, rate) == pytest.approx(0, abs=1e-6)


def test_the_squared_gradients_are_what_each_part_takes_off_the_loss(page):
    """The fall of the loss, in a small step of one part, divided by the rate."""
    inputs, targets = in_double(page.sample(page.examples(0, 2), 16))
    model = page.alexnet_like(page.HEAD).double()
    loss = page.cross_entropy(model, inputs, targets)
    loss.backward()
    for square, part in zip(page.squared_gradients(model), page.SHARES, strict=True):
        moved = copy.deepcopy(model)
        of_part = {"head's weights": slice(-2, -1)}.get(part) or page.PARTS[part]
        with torch.no_grad():
            for new, old in list(zip(moved.parameters(), model.parameters(), strict=True))[of_part]:
                new -= 1e-6 * old.grad
            fall = loss - page.cross_entropy(moved, inputs, targets)
        assert fall.item() / 1e-6 == pytest.approx(square.item(), rel=1e-3)


def test_the_shares_account_for_the_fall(page, monkeypatch):
    """For small steps the squared gradients, times the rate, add up to the fall of the loss."""
    monkeypatch.setattr(page, "NETS", {"small": small})
    found = page.shares("small", 0)
    for when in ("first", "total"):
        assert float(found[when].sum()) == pytest.approx(1, abs=1e-5)
    assert float(found["explained"]) == pytest.approx(1, abs=0.15)
