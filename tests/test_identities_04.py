"""What arithmetic, not chance, decides in notebook 04: start, floor, steps, shares, cosines."""

import ast
import math
from itertools import pairwise, permutations
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F
import xarray as xr
from definitions import code
from torch import nn

pytestmark = pytest.mark.usefixtures("one_thread")

NOTEBOOK = Path(__file__).resolve().parent.parent / "notebooks" / "04_too_good_too_fast.ipynb"


@pytest.fixture(scope="module")
def page(defined) -> ModuleType:
    module = defined(NOTEBOOK)
    module.NETS["GoogLeNet-like"](module.HEAD)(module.examples(0)[0][:1])  # imports what is slow
    return module


@pytest.fixture
def even(page, monkeypatch) -> None:
    """Puts small networks with a head of zeros, an exactly even guess, in the place of both."""
    monkeypatch.setattr(page, "NETS", dict.fromkeys(page.NETS, small_and_even))


def small(head: int) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.ReLU(), nn.Linear(8, head))


def small_and_even(head: int) -> nn.Sequential:
    model = small(head)
    nn.init.zeros_(model[-1].weight)
    nn.init.zeros_(model[-1].bias)
    return model


def only_the_bias(logits: torch.Tensor) -> nn.Sequential:
    """A network whose gradient is that of the head's bias: nothing reaches the head's weights."""
    model = small(len(logits))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    model[-1].bias.data = logits
    return model.double()


def in_double(data: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    return data[0].double(), data[1]


@pytest.mark.parametrize(["classes", "head"], [(1, 2), (2, 2), (1, 1000), (2, 1000), (10, 1000)])
def test_an_even_guess_pays_ln_c_whatever_the_labels(page, even, classes, head):
    data = page.examples(0, classes)
    curves, _ = page.fit(0, data=data, head=head, steps=1, precision="float64")
    assert float(curves["data_loss"][0]) == pytest.approx(math.log(head), rel=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("net", ["AlexNet-like", "GoogLeNet-like"])
def test_an_untrained_network_pays_ln_c_up_to_the_range_of_its_logits(page, net, seed):
    inputs, targets = page.sample(page.examples(seed, classes=10), 32)
    torch.manual_seed(seed)
    model = page.NETS[net](page.HEAD)
    with torch.no_grad():
        logits = model(inputs)
        distance = abs(page.cross_entropy(model, inputs, targets).item() - math.log(page.HEAD))
    assert distance <= float((logits.amax(1) - logits.amin(1)).max()) + 1e-6
    assert distance < 0.5  # PyTorch's initial head is small; the same weights on every processor


def test_no_constant_answer_is_better_than_the_entropy_of_the_labels(page):
    counts = torch.tensor([0, 1, 99, 20, 30])
    targets = torch.arange(len(counts)).repeat_interleave(counts)
    entropy = float(page.solve_constant()(counts))
    frequencies = (counts / counts.sum()).double()
    answers = frequencies + torch.rand(500, len(counts), generator=torch.Generator().manual_seed(0))
    answers = torch.cat([frequencies[None], answers]).clamp_min(1e-300).log()
    losses = [F.cross_entropy(one.expand(len(targets), -1), targets).item() for one in answers]
    assert losses[0] == pytest.approx(entropy, abs=1e-6)
    assert min(losses[1:]) > entropy


def test_equal_frequencies_give_ln_k_and_99_to_1_what_the_table_says(page):
    for classes in (1, 2, 5, 10):
        equal = page.solve_constant()(torch.full((classes,), 7))
        assert float(equal) == pytest.approx(math.log(classes), abs=1e-6)
    assert float(page.solve_constant()(torch.tensor([99, 1]))) == pytest.approx(0.056, abs=5e-4)
    assert "99 to 1: $H$ = 0.056" in NOTEBOOK.read_text(encoding="utf-8")


def test_the_take_home_prints_both_floors(page, monkeypatch, capsys):
    monkeypatch.setattr(page, "show", lambda *_: None)
    targets = torch.tensor([0] * 99 + [1])
    inputs = torch.zeros(100, 1, 16, 16, dtype=torch.float64)
    states = only_the_bias(torch.tensor([0.99, 0.01] + [1e-30] * 98).log())
    page.is_it_learning(states, inputs, targets, [4.6, 0.06])
    said = capsys.readouterr().out
    assert "2 of 100 classes occur: even guess 4.61, constant predictor 0.06, you 0.06" in said
    assert "images: 0.00 of 0.06" in said


@pytest.mark.parametrize("classes", [2, 5])
def test_cosines_of_the_head_at_an_even_guess_and_on_the_plateau(page, classes):
    head = 20
    data = in_double(page.examples(0, classes))
    there = page.sample(data, 40)[1].bincount(minlength=head) > 0
    even, plateau = torch.zeros(head), torch.where(there, 0.0, -100.0)
    for logits, cosine in ((even, -1 / (head - 1)), (plateau, -1 / (classes - 1))):
        found = page.agreement(data, head)(only_the_bias(logits))
        measured = dict(zip(page.AGREEMENT, found.tolist(), strict=True))
        assert measured["bias"] == pytest.approx(cosine, abs=1e-6)
        assert measured["different"] == pytest.approx(cosine, abs=1e-6)
        assert measured["same"] == pytest.approx(1, abs=1e-6)
        if logits is even:  # over all pairs, the formula of the text
            assert measured["all"] == pytest.approx(measured["theory"], abs=1e-6)


@pytest.mark.parametrize(["classes", "head"], [(1, 2), (2, 2), (5, 10)])
def test_the_theory_over_all_pairs_is_that_of_the_text(page, classes, head):
    """1/K - (1 - 1/K) / (C - 1), where 1/K is the share of pairs of one class."""
    targets = page.sample(page.examples(0, classes), 40)[1].tolist()
    pairs = [one == other for one, other in permutations(targets, 2)]
    share = sum(pairs) / len(pairs)
    found = page.agreement(page.examples(0, classes), head)(page.alexnet_like(head))
    theory = float(found[page.AGREEMENT.index("theory")])
    assert theory == pytest.approx(share - (1 - share) / (head - 1), abs=1e-6)


def test_gradients_of_one_length_have_the_noise_scale_of_their_mean_cosine(page, monkeypatch):
    """tr Σ / |G|² is (1 - c) / c: far below 1 for one class, because all images agree."""
    original = page.sample_gradients
    monkeypatch.setattr(page, "sample_gradients", lambda *a: F.normalize(original(*a)))
    model = page.alexnet_like(page.HEAD).double()
    for classes in (1, 10):
        found = page.agreement(in_double(page.examples(0, classes)))(model)
        measured = dict(zip(page.AGREEMENT, found.tolist(), strict=True))
        closed = (1 - measured["all"]) / measured["all"]
        assert measured["noise_scale"] == pytest.approx(closed, rel=1e-5)


def test_one_image_many_times_takes_the_same_steps_at_every_batch_size(page):
    data = page.examples(0, pictures="one image")
    curves = []
    for batch in (1, 4, 64):
        torch.manual_seed(0)
        run, _ = page.fit(0, data=data, batch=batch, steps=6, precision="float64")
        curves.append(run["data_loss"].values)
    assert curves[0][-1] < curves[0][0]
    for other in curves[1:]:
        assert other == pytest.approx(curves[0], rel=1e-6)


def test_steps_times_batch_size_are_the_images_read(page, even, monkeypatch):
    """So that with the same steps batch 170 takes 170 times the epochs of batch 1."""
    read, original = [], page.cross_entropy

    def counting(model, inputs, targets):
        read.append(len(targets))
        return original(model, inputs, targets)

    monkeypatch.setattr(page, "cross_entropy", counting)
    axes = axes_of_the_lab(page)
    for batch in page.BATCHES:
        read.clear()
        page.fit(0, batch=batch, steps=5)
        settings = {"batch": batch}
        assert sum(read) == 5 * batch == 5 * axes["examples"](settings)
        assert sum(read) / 1024 == pytest.approx(5 * axes["epochs"](settings))


def axes_of_the_lab(page):
    """The argument `axes` of the notebook's lab."""
    (cell,) = [source for source in code(NOTEBOOK) if source.startswith("lab(")]
    (axes,) = [k.value for k in ast.parse(cell).body[0].value.keywords if k.arg == "axes"]
    return eval(compile(ast.Expression(axes), "the lab", "eval"), vars(page))


def test_steps_to_and_rises_count_as_a_loop_does(page):
    generator = torch.Generator().manual_seed(0)
    for start in (0.3, 2.0, 60.0):
        falling = torch.linspace(start, 0, 50) + 0.2 * torch.rand(50, generator=generator)
        loss = xr.DataArray(falling.numpy(), {"step": range(50)}, "step")
        first = next((step for step, value in enumerate(falling) if value < 0.1), None)
        if first is None:
            assert math.isnan(page.steps_to(loss))
        else:
            assert page.steps_to(loss) == first
        until = falling[: 50 if first is None else first + 1].tolist()
        assert page.rises(loss) == sum(after > before for before, after in pairwise(until))


@pytest.mark.parametrize("net", ["AlexNet-like", "GoogLeNet-like"])
def test_the_parts_are_the_ones_that_they_are_called(page, net):
    names = [name for name, _ in page.NETS[net](7).named_parameters()]
    last = names[-1].split(".")[0]
    parts = {part: names[chosen] for part, chosen in page.PARTS.items()}
    assert parts["everything"] == names
    assert parts["head"] == [f"{last}.weight", f"{last}.bias"]
    assert parts["head's bias"] == [f"{last}.bias"]
    assert parts["all but the head"] == names[:-2]


@pytest.mark.parametrize("head", [10, 1000])
def test_the_bias_alone_falls_step_by_step_as_derived(page, even, head):
    """u, the lead of the present class, grows by rate C / (C - 1) (1 - p) a step."""
    curves, _ = page.fit(
        0, head=head, rate=page.BIAS_RATE, momentum=0.0, steps=60, part="head's bias",
        precision="float64",
    )  # fmt: skip
    u = 0.0
    for loss in curves["data_loss"].values:
        p = math.exp(u) / (math.exp(u) + head - 1)
        assert loss == pytest.approx(-math.log(p), rel=1e-5)
        u += page.BIAS_RATE * head / (head - 1) * (1 - p)


@pytest.mark.parametrize("head", [10, 100, 1000])
def test_the_formula_of_the_bias_is_that_recursion_for_small_steps(page, head):
    rate, u, p = 1e-3, 0.0, 1 / head
    steps = 0
    while -math.log(p) >= 0.1:
        u, steps = u + rate * head / (head - 1) * (1 - p), steps + 1
        p = math.exp(u) / (math.exp(u) + head - 1)
    assert page.bias_steps(-math.log(p), head, rate) == pytest.approx(steps, rel=1e-3)
    assert page.bias_steps(math.log(head), head, rate) == pytest.approx(0, abs=1e-6)
    # at the rate of the notebook the steps are not small any more, but small enough for its figure
    coarse, u, p = 0, 0.0, 1 / head
    while -math.log(p) >= 0.1:
        u, coarse = u + page.BIAS_RATE * head / (head - 1) * (1 - p), coarse + 1
        p = math.exp(u) / (math.exp(u) + head - 1)
    assert coarse == pytest.approx(page.bias_steps(0.1, head, page.BIAS_RATE), rel=0.05)


def test_the_squared_gradients_are_what_each_part_takes_off_the_loss(page):
    """The fall of the loss, in a small step of one part, divided by the rate."""
    inputs, targets = in_double(page.sample(page.examples(0, 2), 16))
    model = page.alexnet_like(page.HEAD).double()
    loss = page.cross_entropy(model, inputs, targets)
    loss.backward()
    squares = page.squared_gradients(model)
    parts = [slice(-2), slice(-2, -1), slice(-1, None)]
    assert len(parts) == len(page.SHARES) == len(squares)
    step = 1e-6
    for square, part in zip(squares, parts, strict=True):
        moved = page.copy.deepcopy(model)
        with torch.no_grad():
            for new, old in zip(
                list(moved.parameters())[part], list(model.parameters())[part], strict=True
            ):
                new -= step * old.grad
            fall = loss - page.cross_entropy(moved, inputs, targets)
        assert fall.item() / step == pytest.approx(square.item(), rel=1e-3)


def test_the_shares_account_for_the_fall(page, monkeypatch):
    """For small steps the squared gradients, times the rate, add up to the fall of the loss."""

    monkeypatch.setattr(page, "NETS", {"small": small})
    found = page.shares("small", 0)
    for when in ("first", "total"):
        assert float(found[when].sum()) == pytest.approx(1, abs=1e-5)
    assert float(found["explained"]) == pytest.approx(1, abs=0.15)
