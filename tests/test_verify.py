"""Verification: what moved is recomputed and recorded, of the rest one run of every store."""

import json

import code_digest
import computed
import execution
import pytest
import run_notebooks
import samples
import verify
import xarray as xr
from definitions import Use
from stand_in import CLAIMS, FAILING

from course_utils import _store as store
from course_utils.sweeps import sweep

pytestmark = pytest.mark.slow


@pytest.fixture
def verified(call, tmp_path, monkeypatch):
    """A function that verifies the temporary notebooks: its status and what it printed."""
    monkeypatch.delenv("CI", raising=False)
    (tmp_path / "proof").mkdir()
    return lambda *more: call(verify.main, "--proof", f"{tmp_path / 'proof'}", *more)


@pytest.fixture
def good(notebook, call):
    path = notebook("01_good", "# Good", CLAIMS, "report('01_good')")
    call(run_notebooks.main, "refresh")
    return path


def test_what_moved_is_recomputed_compared_and_recorded(good, verified, tmp_path):
    status, printed = verified()
    assert status == 0 and printed.splitlines()[-1] == "verify: 1 notebook, 2 claims, all hold"
    record = computed.load("01_good", tmp_path / "proof")["verified"]
    assert record["code"] == code_digest.digest(good)
    assert record["claims"]["small"]["values"] == {"0": 0, "1": 1, "2": 2, "3": 3, "4": 4}
    status, printed = verified()
    assert status == 0 and "not moved: 01_good" in printed and "recomputed" not in printed
    assert "01_good: recomputed, 2 of 2 claims hold" in verified("--all")[1]


def test_what_fails_is_named_and_not_recorded(good, notebook, verified, tmp_path):
    good.write_text(good.read_text().replace("seeds are whole [", "seeds are half ["))
    notebook("02_bad", "# Bad", FAILING, "report('02_bad')")
    status, printed = verified()
    assert status == 1
    assert "01_good.ipynb::Cell 1" in printed and "02_bad.ipynb::Cell 1" in printed
    assert "02_bad, claim small: holds for 2 of 5 seeds: seeds are small" in printed
    assert not list((tmp_path / "proof").iterdir())


def test_a_record_written_by_hand_is_found_out(good, verified, tmp_path, monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert [verified()[0], verified()[0]] == [0, 0]

    def verified_with(value, **others):
        file = tmp_path / "proof" / "01_good.json"
        record = json.loads(file.read_text())
        record["verified"] |= others
        whole = record["verified"]["claims"]["whole"]
        whole["values"] = dict.fromkeys(whole["values"], value)
        file.write_text(json.dumps(record))
        return verified()

    status, printed = verified_with(17)
    assert status == 1 and "01_good, claim whole: is recorded as 17 on seed" in printed
    # on another processor digits may move, and claims may not fall
    assert verified_with(17, processor="another")[0] == 0
    status, printed = verified_with(10**6)
    assert status == 1 and "01_good, claim whole: does not hold with seed" in printed


CELLS = [
    "from course_utils.figures import new_figure, show\n"
    "from course_utils.measures import weight_norm",
    "RATE = 0.1\n\n\ndef experiment(width, seed):\n    return {'loss': RATE * width}",
    "figure, (ax,) = new_figure()\nax.plot([1, 2])\nshow(figure, 'a line')",
    "figure, (ax,) = new_figure()\nmost = 3\nshow(figure, 'a figure that computes')",
    "report('01_toy', most)",
]


def test_a_notebook_moves_with_its_code_and_not_with_its_drawing(notebook):
    before = code_digest.digest(notebook("01_toy", "# Toy", *CELLS))
    for old, new, moves in (
        ("0.1", "0.2", True),
        ("RATE = 0.1", "RATE = 0.1  # of SGD", False),
        ("'01_toy', most", "'01_toy', most + 1", True),
        ("[1, 2]", "[1, 3]", False),
        ("most = 3", "most = 4", True),
        ("weight_norm", "weight_norm, weight_penalty", True),
    ):
        changed = [cell.replace(old, new) for cell in CELLS]
        after = code_digest.digest(notebook("01_toy", "# Other words", *changed))
        assert (before != after) == moves, new


def test_a_drawing_computes_nothing_because_an_argument_is_called_like_its_variable(notebook):
    drawing = (
        "figure, (ax,) = new_figure()\nfor loss in (1, 2):\n    ax.plot(loss)\nshow(figure, 'x')"
    )
    path = notebook("01_toy", "# Toy", drawing, "def fit(loss):\n    return loss\n\n\nfit(1)")
    assert [cell.split("(")[0] for cell in code_digest.computing_cells(path)] == ["def fit"]


def test_a_notebook_moves_with_what_it_reaches_of_the_package(notebook, monkeypatch):
    """How far that is, tests/test_fingerprint.py says."""
    path = notebook("01_toy", "# Toy", *CELLS)
    assert set(code_digest.imported(path)) == {"course_utils.measures.weight_norm"}
    before = code_digest.digest(path)
    with monkeypatch.context() as patch:
        patch.setattr("course_utils.measures.weight_norm", verify.same)
        assert code_digest.digest(path) != before
    monkeypatch.setattr(code_digest, "pins", lambda: ["torch==1.0"])
    assert code_digest.digest(path) != before


def test_where_the_checkout_lies_moves_nothing(notebook, monkeypatch):
    sweeps = "from course_utils.sweeps import sweep\n\nsweep(fit, {})"
    path = notebook("01_toy", "# Toy", *CELLS, sweeps)
    before = code_digest.digest(path)
    assert any(name.endswith("._store.__file__") for name in reached(path))
    monkeypatch.setattr("course_utils._store.__file__", "/elsewhere/course_utils/_store.py")
    assert code_digest.digest(path) == before


def reached(path):
    return code_digest.fingerprint.follow(code_digest.imported(path))


TOY = """from course_utils.sweeps import sweep


def experiment(width, seed):
    return {"loss": width * (seed + 1.0)}


runs = sweep(experiment, {"width": [1, 2, 3]}, name="01_toy")"""


@pytest.fixture
def toy(notebook, tmp_path, monkeypatch):
    """A notebook with one stored result; its use, and the folder of the store."""
    path = notebook("01_toy", "# Toy", TOY)
    (tmp_path / "store").mkdir()
    monkeypatch.setattr(store, "store_folder", lambda: tmp_path / "store")
    monkeypatch.setattr(samples, "MADE", tmp_path / "stores.json")
    use = Use(path, "sweep", "experiment", "01_toy")
    experiment = samples.experiment(use)
    store.save("01_toy", sweep(experiment, {"width": [1, 2, 3]}, range(5), workers=1), experiment)
    return use


def test_a_drawn_run_equals_its_stored_twin_bit_for_bit(toy, tmp_path, monkeypatch):
    (sample,) = samples.samples([toy.notebook], "a commit", workers=1)
    assert sample.use == toy and samples.equal(sample)
    drawn = {samples.drawn(f"commit {number}", range(9)) for number in range(9)}
    assert len(drawn) > 1, "the commit decides which"
    wrong = sample._replace(run=sample.run * (1 + 1e-15))
    assert not samples.equal(wrong)
    monkeypatch.setattr(samples, "processor", lambda: "P")
    assert samples.judge([wrong]) == ([], [wrong]), "nobody knows where the stored one was made"
    (tmp_path / "stores.json").write_text('{"01_toy": "P"}')
    (problem,), others = samples.judge([wrong])
    assert "01_toy at {" in problem.message and not others
    assert samples.judge([sample]) == ([], [])
    monkeypatch.setattr(samples, "processor", lambda: "Q")
    assert samples.judge([wrong]) == ([], [wrong])


@pytest.mark.parametrize("labels", [[1, 2, 3], [False, True]])
def test_a_run_from_another_processor_takes_the_place_of_the_stored_one(toy, labels):
    stored = store.load("01_toy").isel(width=slice(len(labels))).assign_coords(width=labels)
    before = stored["loss"].values.copy()
    run = xr.Dataset({"loss": 100.0})
    samples.replace(stored, samples.Sample(toy, {"width": labels[1], "seed": 3}, run))
    before[1, 3] = 100
    assert (stored["loss"].values == before).all()


def test_the_claims_are_judged_with_the_new_run_in_its_place(monkeypatch):
    """Of notebook 00: with runs that are far off one claim falls, with the right ones none does."""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    path = execution.ROOT / "notebooks" / "00_start_here.ipynb"
    use = next(use for use in samples.uses(path) if use.name == "00_lower_rate")
    found = [samples.train(use, {"rate": 0.2, "seed": seed}) for seed in (1, 2, 3)]
    assert list(samples.in_its_place(found)) == []
    for one in found:
        one.run["unseen_loss"] *= 0
    assert ["real" in problem.message for problem in samples.in_its_place(found)] == [True]


def test_values_are_one_but_for_the_last_digits_of_a_mean():
    for was, now in ((0.2, 0.2 + 1e-7), ("nan", "nan"), (0, 1e-9)):
        assert verify.same(was, now)
    assert not verify.same(0.2, 0.21) and not verify.same("inf", 3.0)
