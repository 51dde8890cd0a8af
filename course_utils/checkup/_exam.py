"""One examination: what is known of the run so far, and the order of the tests."""

import sys
import time
import warnings

import torch

from . import _answers, _data, _gradients, _learners, _loop, _outputs, _penalty, _screen, _trials
from ._batches import axis_of, examples, few, rebuilt, renumbered, replaced, tensors
from ._copies import one_thread, random_state_kept, seed_everything
from ._findings import Finding, Report, ranked
from ._run import SEED, Run
from ._task import Task, same_leaf, task_of
from ._watch import watched


class Exam:
    """What has been measured and found of a run."""

    def __init__(self, run: Run):
        self.run = run
        self.measured: dict = {}
        self.findings: list[Finding] = []
        self.untested: list[str] = []
        self.notes: list[str] = [run.note] if run.note else []
        self.advice = ""
        self.random_answers = False  # they differ from one evaluation to the next
        self.stopped = False  # a finding explains everything that would follow
        self.gradient: dict = {}
        self.missing: list[str] = []
        self.input_oddity = ("", 0.0)
        self.constant = self.floor = self.constant_of_all = None
        self.paths: dict = {}
        self.heart = few(run.batches)
        self.look()

    def look(self) -> None:
        """The first pass, in training mode, on which most of the rest rests."""
        self.twin = self.run.twin()
        self.twin.model.train()
        batch = self.run.batches[0]
        started = time.perf_counter()
        self.seen = watched(self.twin, batch)
        self.seconds_of_a_step = 3 * (time.perf_counter() - started)  # backward: twice forward
        self.beside = frozenset()
        self.task = self.task_among(batch)
        if self.task.call is None and self.task.kind == "classes" and not self.names_matter(batch):
            self.task = Task("unknown", self.task.answers, None)
        leaves = [same_leaf(batch, tensor) for tensor in self.seen.inputs]
        found = [leaf for leaf in leaves if leaf is not None and leaf != self.task.leaf]
        self.answers_itself = self.task.leaf in leaves and not found  # an autoencoder
        rest = [i for i in range(len(tensors(batch))) if i != self.task.leaf]
        self.input_leaves = list(dict.fromkeys(found)) or rest[:1]

    def task_among(self, batch) -> Task:
        """The task; names and weights of examples that stand before the targets are passed over."""
        first = task = task_of(self.seen, batch)
        passed: set[int] = set()
        while task.call is None and task.leaf is not None and self.seen.forwards == 1:
            if self.is_target(batch, task):
                self.beside = frozenset(passed)
                return task
            passed.add(task.leaf)
            task = task_of(self.seen, batch, passed)
        return first

    def is_target(self, batch, task: Task) -> bool:
        """Whether the loss changes if it is dealt out anew, and not only in proportion to it."""
        leaf = tensors(batch)[task.leaf]
        dealt = leaf.flip(axis_of(leaf, examples(batch)))
        twin = self.run.twin()
        twin.answer_with(rebuilt(self.seen.output, jittered))
        losses = []
        for other in (leaf, dealt, 2 * leaf if leaf.is_floating_point() else dealt):
            seed_everything(SEED)
            try:
                losses.append(twin.loss(replaced(batch, task.leaf, other)).detach())
            except Exception:
                return True  # a loss that refuses other numbers there reads them as targets
        now, anew, doubled = losses
        if torch.allclose(now, anew, rtol=1e-6, atol=0):
            return False
        weighs = task.kind == "values" and leaf.is_floating_point() and bool((leaf >= 0).all())
        return not (weighs and any(torch.allclose(doubled, n, rtol=1e-4) for n in (now, 2 * now)))

    def names_matter(self, batch) -> bool:
        """Whether the loss changes with the classes' numbers; not if it only compares labels.

        Any answers in place of the model's own, which may be the same for all classes.
        """
        targets, losses = self.task.targets, []
        if targets.is_floating_point() or int(targets.min()) < 0 or len(targets.unique()) < 2:
            return True
        if self.seen.forwards != 1:
            return True
        other = renumbered(batch, self.task.leaf, torch.arange(int(targets.max()) + 1).roll(1))
        twin, answer = self.run.twin(), rebuilt(self.seen.output, noise)
        twin.answer_with(answer)
        for part in (batch, other):
            seed_everything(SEED)
            losses.append(twin.loss(part).detach())
        return not torch.allclose(losses[0], losses[1], rtol=1e-5, atol=0)

    def add(self, cause: str, sure: str, measured: str, threshold: str, **values) -> None:
        """One more finding."""
        self.findings.append(Finding(cause, sure, measured, threshold, values))

    def found(self, *causes: str) -> bool:
        """Whether one of these has been found."""
        return any(finding.cause in causes for finding in self.findings)

    def explained(self) -> bool:
        """Whether a certain finding, of a kind that stops all learning, has been made."""
        return any(f.sure == "certain" and f.cause != "number_on_screen" for f in self.findings)

    def pass_of(self, twin, batch):
        """A recorded pass of a copy."""
        return watched(twin, batch)

    def same_task(self, seen, batch):
        """The task in another pass."""
        task = task_of(seen, batch, self.beside)
        return task if task.kind == self.task.kind else None

    def float_inputs(self) -> list[torch.Tensor]:
        """The floating inputs, of as many batches as are alike; else of the first."""
        seen = [tensor for tensor in self.seen.inputs if tensor.is_floating_point()]
        leaves = [
            i for i in self.input_leaves if tensors(self.run.batches[0])[i].is_floating_point()
        ]
        if len(leaves) != len(seen):
            return seen
        parts = [[tensors(batch)[i] for batch in self.run.batches] for i in leaves]
        try:
            return [torch.cat(part) for part in parts]
        except RuntimeError:
            return seen

    def first_bad_input(self, tensor: torch.Tensor, batch: int = 0) -> None:
        """A finding: some number in the data is none, and the run does not bear it."""
        if self.bears(([*self.run.batches, *self.run.beyond])[batch]):
            return
        bad = int((~torch.isfinite(tensor)).sum())
        self.add(
            "inputs_not_finite",
            "certain",
            f"{bad} of {tensor.numel()} numbers in batch {batch} are not finite",
            "none",
            numbers=bad,
        )
        self.stopped = True

    def bears(self, batch) -> bool:
        """Whether loss and gradient are finite all the same: masks and fillings are meant."""
        twin = self.run.twin()
        twin.model.train()
        loss = twin.loss(batch)
        if not bool(torch.isfinite(loss)) or not loss.requires_grad:
            return False
        loss.backward()
        grads = [p.grad for p in twin.model.parameters() if p.grad is not None]
        return bool(grads) and all(bool(torch.isfinite(grad).all()) for grad in grads)

    def logits_of(self, seen) -> torch.Tensor | None:
        """The first floating output of a pass."""
        return seen.outputs[0] if seen.outputs else None

    def before_squashing(self, seen) -> torch.Tensor | None:
        """The first output before a last softmax or sigmoid."""
        answers = self.logits_of(seen)
        for _ in range(3):
            maker = None if answers is None else seen.maker(answers)
            if maker is None or maker.name not in ("softmax", "log_softmax", "sigmoid", "tanh"):
                break
            answers = maker.args[0]
        return answers


def jittered(leaf):
    """Floating numbers a little off, so that no two answers are equal."""
    floating = isinstance(leaf, torch.Tensor) and leaf.is_floating_point()
    if not floating:
        return leaf
    return leaf.detach() * (1 + 0.1 * torch.rand_like(leaf)) + 1e-3 * torch.rand_like(leaf)


def noise(leaf):
    """Random numbers in place of floating ones."""
    floating = isinstance(leaf, torch.Tensor) and leaf.is_floating_point()
    return torch.randn_like(leaf) if floating else leaf


TESTS = {
    "inputs": _data.inputs,
    "labels": _data.labels,
    "equal inputs": _data.equal_inputs,
    "mixture of the batches": _data.mixture,
    "gradients": _gradients.gradients,
    "unregistered layers": _gradients.unregistered,
    "shapes in the loss": _outputs.shapes,
    "answers that are squashed": _outputs.squashed,
    "cosines of classes": _outputs.between_classes,
    "reach of the answers": _outputs.reach,
    "targets among the inputs": _data.copied,
    "numbers of classes": _outputs.class_numbers,
    "loss in both modes": _screen.evaluate,
    "clips in the loss": _gradients.at_a_clip,
    "constant answers": _answers.constant_and_floor,
    "each example its own answer": _answers.own_answers,
    "each label its own answer": _answers.own_label,
    "a straight line": _answers.affine,
    "dead units": _gradients.dead_units,
    "widths and depth": _gradients.build,
    "graph": _gradients.cut,
    "zeros": _gradients.all_zero,
    "own step": _loop.own_step,
    "number on the screen": _screen.shown,
    "penalty": _penalty.penalty,
    "company of the examples": _answers.mixing,
    "a line that is bent": _answers.straight,
    "trials": _trials.trials,
}


FIRST_TRIAL = "penalty"


def examined(run: Run, progress: bool = True) -> Report:
    """All tests in their order; whatever happens, the original is as it was afterwards."""
    exam = None
    with random_state_kept(), one_thread(run.model), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seed_everything(SEED)
        try:
            exam = Exam(run)
            for name, test in TESTS.items():
                if exam.stopped:
                    exam.untested.append(f"{name} and what comes after it")
                    break
                if progress:
                    say(exam, name)
                attempt(exam, name, test)
        except KeyboardInterrupt:
            if exam is None:
                raise
            exam.notes.append("you stopped it: what was found by then stands")
        finally:
            if progress:
                print("\r" + " " * 60, end="\r", file=sys.stderr, flush=True)
            moved = run.put_back()
    if moved:
        exam.notes.append(
            "the loss or the step reaches the original model or optimiser beside its arguments; "
            "they were put back as they were"
        )
    return Report(ranked(exam.findings), exam.advice, exam.measured, exam.notes, exam.untested)


def say(exam: Exam, name: str) -> None:
    """What is being done, on the error stream; before the trials what they cost."""
    if name == FIRST_TRIAL:
        seconds = _learners.LEAST * exam.seconds_of_a_step
        print(
            f"\rcheckup: the trials train copies for {_learners.LEAST} steps, about "
            f"{seconds:.0f} s, and for some times as many where these go badly; Ctrl-C keeps what "
            "was found",
            file=sys.stderr,
        )
    print(f"\rcheckup: {name:<40}", end="", file=sys.stderr, flush=True)


def attempt(exam: Exam, name: str, test) -> None:
    """One test; an error within it is no finding, and ends nothing."""
    try:
        test(exam)
    except Exception as error:
        if DEBUG:
            raise
        first = (str(error).splitlines() or [""])[0][:80]
        exam.untested.append(f"{name} ({type(error).__name__}: {first})")


DEBUG = False  # True lets errors within a test through, for whoever works on one
