"""What `checkup` promises whatever it finds: nothing moves, passes are counted, errors help."""

import copy
import importlib.metadata
import shutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from course_utils import checkup as room
from course_utils.checkup import Report, Unsupported, checkup
from course_utils.checkup._causes import CAUSES


def mlp(features=12, width=16, classes=4) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, width), nn.ReLU(), nn.Linear(width, classes))


def clusters(count=128, features=12, classes=4, size=16) -> list:
    """Batches of points around as many centres as there are classes."""
    chance = torch.Generator().manual_seed(3)
    labels = torch.arange(count) % classes
    centres = 2 * torch.randn(classes, features, generator=chance)
    inputs = centres[labels] + torch.randn(count, features, generator=chance)
    return list(zip(inputs.split(size), labels.split(size), strict=True))


def cross_entropy(model, batch):
    return F.cross_entropy(model(batch[0]), batch[1])


def examined(model, loss=cross_entropy, batches=None, optimizer=None, **more) -> Report:
    return checkup(model, loss, batches or clusters(), optimizer, progress=False, **more)


# Nothing moves


class Recurrent(nn.Module):
    """An LSTM of four steps of three features."""

    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTM(3, 8, batch_first=True), nn.Linear(8, 4)

    def forward(self, inputs):
        return self.head(self.cell(inputs.view(-1, 4, 3))[0][:, -1])


class Attending(nn.Module):
    """One transformer layer over three positions, with dropout."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
        self.head = nn.Linear(4, 4)

    def forward(self, inputs):
        return self.head(self.layer(inputs.view(-1, 3, 4)).mean(1))


class Tied(nn.Module):
    """Two layers that share their weights."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(12, 12), nn.Linear(12, 12), nn.Linear(12, 4)
        self.second.weight = self.first.weight

    def forward(self, inputs):
        return self.head(torch.relu(self.second(torch.relu(self.first(inputs)))))


class TwoHeads(nn.Module):
    """Answers as an object with an auxiliary head, in training only."""

    def __init__(self):
        super().__init__()
        self.body, self.head, self.helper = nn.Linear(12, 8), nn.Linear(8, 4), nn.Linear(8, 4)

    def forward(self, inputs):
        hidden = torch.relu(self.body(inputs))
        if self.training:
            return SimpleNamespace(logits=self.head(hidden), aux_logits=self.helper(hidden))
        return self.head(hidden)


def two_losses(model, batch):
    answers = model(batch[0])
    if isinstance(answers, torch.Tensor):
        return F.cross_entropy(answers, batch[1])
    both = F.cross_entropy(answers.logits, batch[1]), F.cross_entropy(answers.aux_logits, batch[1])
    return both[0] + 0.3 * both[1]


def frozen() -> nn.Module:
    model = mlp()
    model[0].requires_grad_(False)
    return model


def residual_network() -> nn.Module:
    from course_utils._vision import torchvision

    return nn.Sequential(nn.Unflatten(1, (3, 2, 2)), torchvision.models.resnet18(num_classes=4))


MODELS = {
    "mlp": mlp,
    "norm and dropout": lambda: nn.Sequential(
        nn.Linear(12, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 4)
    ),
    "lstm": Recurrent,
    "transformer": Attending,
    "tied": Tied,
    "frozen": frozen,
    "object": TwoHeads,
}
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, 0.05),
    "momentum": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True),
    "Adam": lambda p: torch.optim.Adam(p, 0.01),
    "AdamW": lambda p: torch.optim.AdamW(p, 0.01, amsgrad=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, 0.003, centered=True),
}


def bits(value):
    """Everything that a value holds, in a form that `==` compares byte for byte."""
    if isinstance(value, torch.Tensor):
        return value.dtype, tuple(value.shape), value.detach().reshape(-1).numpy().tobytes()
    if isinstance(value, dict):
        return {key: bits(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [bits(part) for part in value]
    return value


def whole_state(model, optimizer):
    """Weights, buffers, gradients, modes, the optimiser's state, random states."""
    return bits(
        [
            model.state_dict(),
            [(p.grad, p.requires_grad) for p in model.parameters()],
            [module.training for module in model.modules()],
            optimizer.state_dict(),
            len(optimizer.state),
            torch.get_rng_state(),
            torch.get_num_threads(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002
        ]
    )


def trained(model, loss, optimizer, batches, steps=3):
    for number in range(steps):
        optimizer.zero_grad()
        loss(model, batches[number]).backward()
        optimizer.step()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_bit_moves_whatever_the_optimiser(optimizer):
    model = MODELS["norm and dropout"]()
    own = OPTIMIZERS[optimizer](model.parameters())
    trained(model, cross_entropy, own, clusters())
    before = whole_state(model, own)
    report = examined(model, optimizer=own)
    assert whole_state(model, own) == before
    assert not report.notes, report.notes


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("fresh", [True, False])
def test_no_bit_moves_whatever_the_model(kind, fresh):
    model = MODELS[kind]()
    own = OPTIMIZERS["Adam"]([p for p in model.parameters() if p.requires_grad])
    loss = two_losses if kind == "object" else cross_entropy
    if not fresh:
        trained(model, loss, own, clusters())
    before = whole_state(model, own)
    examined(model, loss, optimizer=own)
    assert whole_state(model, own) == before


@pytest.mark.slow
def test_no_bit_of_a_residual_network_moves(monkeypatch):
    monkeypatch.setattr(room._learners, "STEPS", 4)
    monkeypatch.setattr(room._learners, "ASIDE", 4)
    model = residual_network()
    own = OPTIMIZERS["momentum"](model.parameters())
    trained(model, cross_entropy, own, clusters())
    before = whole_state(model, own)
    examined(model, optimizer=own)
    assert whole_state(model, own) == before


def test_a_step_that_reaches_the_original_is_undone_and_said():
    model = mlp()
    own = OPTIMIZERS["Adam"](model.parameters())

    class Trainer:
        """Holds the model where no copy of a function's arguments can find it."""

        def __call__(self, *_):
            optimizer = hidden[0]
            optimizer.zero_grad()
            cross_entropy(hidden[1], clusters()[0]).backward()
            optimizer.step()

        def __deepcopy__(self, memo):
            return self

    hidden = (own, model)
    trained(model, cross_entropy, own, clusters())
    before = whole_state(model, own)
    report = examined(model, optimizer=own, step=Trainer())
    assert whole_state(model, own) == before
    assert any("put back" in note for note in report.notes)


def test_schedule_scaler_and_counters_of_a_closure_stay_as_they_are():
    model = mlp()
    own = OPTIMIZERS["momentum"](model.parameters())
    schedule = torch.optim.lr_scheduler.LinearLR(own, 0.1, 1.0, 50)
    scaler, counter = torch.amp.GradScaler("cpu"), []

    def step(model, optimizer, batch):
        optimizer.zero_grad()
        scaler.scale(cross_entropy(model, batch)).backward()
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        counter.append(1)

    for batch in clusters()[:3]:
        step(model, own, batch)
    before = whole_state(model, own), bits([schedule.state_dict(), scaler.state_dict()])
    report = examined(model, optimizer=own, step=step)
    assert (whole_state(model, own), bits([schedule.state_dict(), scaler.state_dict()])) == before
    assert len(counter) == 3 and not report.findings, str(report)


# What it costs


class Counted(nn.Module):
    """Counts the forward passes of all of its copies."""

    passes = 0

    def __init__(self):
        super().__init__()
        self.net = MODELS["norm and dropout"]()

    def forward(self, inputs):
        Counted.passes += 1
        return self.net(inputs)


@pytest.mark.parametrize("every", [1, 4])
def test_passes_before_the_trials(monkeypatch, every):
    """At most 40 forward and 20 backward; learning by heart comes on top, and is announced."""
    backward, until = [], {}
    original = torch.Tensor.backward
    monkeypatch.setattr(
        torch.Tensor,
        "backward",
        lambda self, *a, **k: (backward.append(1), original(self, *a, **k)),
    )
    stop = lambda exam: until.setdefault("passes", (Counted.passes, len(backward)))  # noqa: E731
    monkeypatch.setitem(room._exam.TESTS, "penalty", stop)
    monkeypatch.setitem(room._exam.TESTS, "trials", lambda exam: None)
    model, calls = Counted(), []
    own = OPTIMIZERS["Adam"](model.parameters())
    trained(model, cross_entropy, own, clusters())
    Counted.passes = 0
    backward.clear()

    def step(model, optimizer, batch):
        cross_entropy(model, batch).backward()
        calls.append(1)
        if len(calls) % every == 0:
            optimizer.step()
            optimizer.zero_grad()

    # the best answers without the network are moved by backward passes of the loss alone
    monkeypatch.setattr(room._answers, "STEPS", 0)
    examined(model, optimizer=own, step=step)
    assert 10 < until["passes"][0] <= 40 and 5 < until["passes"][1] <= 20, until


def test_it_says_what_the_trials_cost_before_them(capsys):
    model = mlp()
    checkup(model, cross_entropy, clusters(), OPTIMIZERS["Adam"](model.parameters()))
    said = capsys.readouterr()
    assert "780 steps" in said.err and "Ctrl-C" in said.err and not said.out


def test_an_interruption_keeps_what_was_found(monkeypatch):
    def interrupt(exam):
        raise KeyboardInterrupt

    monkeypatch.setitem(room._exam.TESTS, "trials", interrupt)
    one_class = [(inputs, torch.zeros_like(labels)) for inputs, labels in clusters()]
    report = examined(mlp(), batches=one_class)
    assert report.findings[0].cause == "one_class"
    assert any("stopped" in note for note in report.notes)


# What it takes


def test_it_takes_losses_and_batches_as_people_have_them():
    def three(model, inputs, labels):
        return F.cross_entropy(model(inputs), labels)

    def both(model, batch):
        answers = model(batch[0])
        return F.cross_entropy(answers, batch[1]), answers

    def named(model, batch):
        return {"loss": F.cross_entropy(model(batch["inputs"]), batch["labels"])}

    dicts = [{"inputs": x, "labels": y, "id": [str(i) for i in y]} for x, y in clusters()]
    triples = [(x, y, torch.ones(len(y))) for x, y in clusters()]
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(
            *(torch.cat(part) for part in zip(*clusters(), strict=True))
        ),
        16,
        shuffle=True,
    )
    for loss, batches in (
        (three, clusters()),
        (both, clusters()),
        (named, dicts),
        (cross_entropy, triples),
        (cross_entropy, loader),
        (nn.CrossEntropyLoss(), clusters()),
    ):
        model = mlp()
        report = examined(model, loss, batches, OPTIMIZERS["Adam"](model.parameters()))
        assert not report.findings, str(report)


def test_of_an_iterator_it_takes_the_first_and_says_so():
    report = examined(mlp(), batches=iter(clusters(1024) + clusters(1024)))
    assert "iterator" in report.notes[0] and "32" in report.notes[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((lambda x: x, cross_entropy, clusters()), "torch.nn.Module"),
        ((mlp(), 3, clusters()), "not a function"),
        ((mlp(), cross_entropy, []), "empty"),
        ((mlp(), cross_entropy, torch.zeros(3)), "a list or a loader"),
        ((mlp(), lambda model, batch: 1.0, clusters()), "float, not a tensor"),
        ((mlp(), lambda m, b: F.cross_entropy(m(b[0]), b[1], reduction="none"), clusters()), "16"),
        ((mlp(), lambda model, a, b, c: model(a).sum(), clusters()), "4 arguments"),
        ((mlp(), cross_entropy, clusters(), "Adam"), "param_groups"),
        ((mlp(), cross_entropy, clusters(), None, 3), "step is a int"),
        ((mlp(), nn.CrossEntropyLoss(), [torch.zeros(3)]), "pairs"),
    ],
)
def test_what_it_cannot_take_is_said_in_a_sentence(arguments, message):
    with pytest.raises((Unsupported, ValueError, TypeError), match=message) as error:
        checkup(*arguments, progress=False)
    assert len(str(error.value)) < 400


def test_lbfgs_without_a_step_is_refused_with_a_recipe():
    model = mlp()
    with pytest.raises(Unsupported, match="closure"):
        examined(model, optimizer=torch.optim.LBFGS(model.parameters()))


def test_a_model_that_cannot_be_copied_is_refused_with_a_recipe():
    model = mlp()
    model.extra = threading.Lock()
    with pytest.raises(Unsupported, match="load_state_dict"):
        examined(model)


# What people have that gave errors or wrong numbers elsewhere


class Object(nn.Module):
    """Answers as an object, whatever the mode."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(12, 4)

    def forward(self, inputs):
        return SimpleNamespace(logits=self.head(inputs))


class HeadFirst(nn.Module):
    """Attention that is registered after the head that follows it."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(12, 4)
        self.attention = nn.MultiheadAttention(12, 4, batch_first=True)

    def forward(self, inputs):
        tokens = inputs[:, None]
        return self.head(self.attention(tokens, tokens, tokens)[0][:, 0])


def yes_or_no(model, batch):
    return F.binary_cross_entropy_with_logits(model(batch[0]), batch[1])


CENTRE = clusters()
ODD = {
    "one logit, targets (N, 1)": (
        lambda: mlp(classes=1), yes_or_no, [(x, (y > 1).float()[:, None]) for x, y in CENTRE]),
    "one logit, targets (N,)": (
        lambda: nn.Sequential(mlp(classes=1), nn.Flatten(0)), yes_or_no,
        [(x, (y > 1).float()) for x, y in CENTRE]),
    "one-hot": (mlp, cross_entropy, [(x, F.one_hot(y, 4).float()) for x, y in CENTRE]),
    "ignored labels": (mlp, cross_entropy, [(x, y.where(y > 0, -100)) for x, y in CENTRE]),
    "an object": (Object, lambda m, b: F.cross_entropy(m(b[0]).logits, b[1]), CENTRE),
    "a head registered first": (HeadFirst, cross_entropy, CENTRE),
    "a convolution as head": (
        lambda: nn.Sequential(
            nn.Unflatten(1, (1, 12)), nn.Conv1d(1, 8, 3), nn.ReLU(), nn.Conv1d(8, 4, 1),
            nn.AdaptiveAvgPool1d(1), nn.Flatten()), cross_entropy, CENTRE),
    "a frozen embedding": (
        lambda: nn.Sequential(
            nn.Embedding(9, 6).requires_grad_(False), nn.Flatten(), nn.Linear(72, 4)),
        cross_entropy, [((x.abs() * 2).long().clamp(max=8), y) for x, y in CENTRE]),
    "bfloat16": (
        lambda: mlp().bfloat16(), cross_entropy, [(x.bfloat16(), y) for x, y in CENTRE]),
    "time first": (
        lambda: nn.Sequential(nn.Flatten(0, 1), mlp(4, 16, 4), nn.Unflatten(0, (3, -1))),
        lambda m, b: F.cross_entropy(m(b[0]).mean(0), b[1]),
        [(x.view(-1, 3, 4).transpose(0, 1), y) for x, y in CENTRE]),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_no_test_stumbles_over_what_people_have(kind, optimizer):
    build, loss, batches = ODD[kind]
    torch.manual_seed(1)
    model = build()
    own = OPTIMIZERS[optimizer]([p for p in model.parameters() if p.requires_grad])
    report = examined(model, loss, batches, own)
    assert not [text for text in report.untested if "Error" in text], report.untested
    assert not any(finding.sure == "certain" for finding in report.findings), str(report)


# What it says


def test_the_report_is_text_a_table_and_data():
    model = nn.Sequential(mlp(), nn.Softmax(1))
    report = examined(model, optimizer=OPTIMIZERS["Adam"](model.parameters()))
    finding = report.findings[0]
    assert (finding.cause, finding.sure, finding.part) == ("softmax_twice", "certain", "model")
    assert finding.values["floor"] == pytest.approx(np.log(1 + 3 / np.e))
    text = str(report)
    for part in (finding.measured, finding.threshold, finding.means, finding.try_first):
        assert part in text
    table = report._repr_html_()
    assert table.count("<tr>") == 1 + len(report.findings) and "Not tested" in table
    assert report.as_dict()["findings"][0]["try_first"] == finding.try_first


def test_nothing_found_says_what_was_not_tested():
    model = mlp()
    report = examined(model, optimizer=OPTIMIZERS["Adam"](model.parameters()))
    assert str(report).startswith("Nothing found") and "no `shown`" in str(report)
    assert "train longer" in report.advice


def test_every_cause_says_where_what_and_what_first():
    notebooks = {path.stem for path in Path("notebooks").glob("0*.ipynb")}
    for name, cause in CAUSES.items():
        assert cause.means.endswith(".") and cause.try_first.endswith("."), name
        assert not cause.notebook or cause.notebook in notebooks, name


def test_at_most_five_findings_the_surest_first():
    from course_utils.checkup._findings import Finding, ranked

    found = [Finding(cause, "likely", "", "") for cause in list(CAUSES)[:8]]
    found.append(Finding("too_deep", "certain", "", ""))
    found.append(Finding("too_deep", "possible", "", ""))
    causes = [finding.cause for finding in ranked(found)]
    assert causes == ["too_deep", *list(CAUSES)[:4]]


# Alone


def test_it_works_without_the_course(tmp_path):
    """The folder beside a script, torch and numpy, and nothing else that could be imported."""
    shutil.copytree(Path(room.__file__).parent, tmp_path / "checkup")
    allowed = {"torch", "numpy", "checkup"} | required_by("torch") | required_by("numpy")
    script = f"""
import sys, importlib.abc, torch  # which looks for packages that need not be there
class Nothing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top not in {sorted(allowed)} and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"not here: {{name}}")
sys.meta_path.insert(0, Nothing())
from checkup import checkup
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
batches = [(torch.randn(8, 4), torch.zeros(8, dtype=torch.long)) for _ in range(4)]
print(checkup(model, torch.nn.CrossEntropyLoss(), batches).findings[0].cause)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.strip() == "one_class", done.stderr[-800:]


def required_by(package: str) -> set[str]:
    """What a package requires, and what that requires, as importable names."""
    found: set[str] = set()
    queue = [package]
    while queue:
        for line in importlib.metadata.requires(queue.pop()) or ():
            name = line.split(";")[0].split("[")[0].strip(" ()<>=!~,.0123456789").replace("-", "_")
            if name not in found and "extra ==" not in line:
                found.add(name)
                try:
                    importlib.metadata.version(name)
                    queue.append(name)
                except importlib.metadata.PackageNotFoundError:
                    pass
    return found | {
        "torchgen",
        "functorch",
        "jinja2",
        "yaml",
        "opt_einsum",
        "_distutils_hack",
        "setuptools",
        "triton",
    }


def test_a_model_built_for_this_is_not_warned_about():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        examined(copy.deepcopy(mlp()))
