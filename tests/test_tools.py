"""The tools that run notebooks: what goes wrong in a notebook is named, and never passed over."""

import json
import shutil

import execution
import nbformat
import pytest
import replicate
import run_notebooks

# A stand-in for course_utils.claims that needs no torch: two claims about the seeds of the run.
# "small" holds for seeds below 100; the other one always holds.
CLAIMS = """import json, os, pathlib
class ClaimFailed(Exception): pass
def report(notebook):
    first, dash, last = os.environ.get("COURSE_SEEDS", "0-4").partition("-")
    seeds = range(int(first), int(last or first) + 1)
    records = [
        {"notebook": notebook, "claim": claim, "sentence": f"seeds are {claim}", "at_least": 1.0,
         "values": {str(seed): seed for seed in seeds}, "seeds": len(seeds),
         "seeds_held": sum(held(seed) for seed in seeds), "held": all(map(held, seeds))}
        for claim, held in [("small", lambda seed: seed < 100), ("whole", lambda seed: True)]
    ]
    if "COURSE_CLAIMS" in os.environ:
        file = pathlib.Path(os.environ["COURSE_CLAIMS"]) / f"{notebook}.json"
        file.write_text(json.dumps(records))
    short = [record["claim"] for record in records if not record["held"]]
    if short:
        raise ClaimFailed(f"does not hold: {short}")
    print("small and whole hold")"""
FAILING = CLAIMS.replace("seed < 100", "seed < 3")
PICTURE = """from IPython.display import display
display({"image/png": "iVBORw0KGgo=", "text/plain": "a figure"}, raw=True,
        metadata={"image/png": {"alt": "two falling curves"}})"""


@pytest.fixture
def call(tmp_path, capfd):
    """A function that calls a tool on the temporary notebooks: its status and what it printed."""

    def run(main, *arguments: str) -> tuple[int, str]:
        folders = ["--folder", f"{tmp_path / 'notebooks'}", "--build", f"{tmp_path / 'build'}"]
        return main([*arguments, *folders]), capfd.readouterr().out

    return run


def test_course_writes_pages_and_names_the_claim_that_fails(notebook, call, tmp_path):
    good = ("# Good", CLAIMS, "report('01_good')", PICTURE)
    notebook("01_good", *good)
    notebook("02_bad", "# Bad", FAILING, "report('02_bad')", "print('still', 'run')")
    status, printed = call(run_notebooks.main, "course")
    assert status == 1
    named = "02_bad, cell 2 `report('02_bad')`: ClaimFailed: does not hold: ['small']"
    assert named in printed and "01_good," not in printed
    page = (tmp_path / "build" / "01_good.html").read_text(encoding="utf-8")
    assert 'alt="two falling curves"' in page and "torch" in page  # provenance
    assert "require" not in page
    assert "still run" in (tmp_path / "build" / "02_bad.html").read_text(encoding="utf-8")
    status, printed = call(run_notebooks.main, "course", "01")
    assert (status, printed.splitlines()[-1]) == (0, "course: 1 notebook, 2 claims")


def test_a_page_needs_no_widget_manager_and_links_to_pages(notebook):
    source = "import ipywidgets\nipywidgets.IntSlider()"
    path = notebook("01_lab", "# Lab\n[next](02_next.ipynb#Part)", source)
    page = run_notebooks.html(execution.execute(path, execution.environment("verify")))
    assert "Interactive: open the notebook" in page and "widget-view+json" not in page
    assert 'href="02_next.html#Part"' in page


def test_errors_end_their_notebook_and_no_other(notebook, call, tmp_path):
    notebook("01_error", "# Error", "1 / 0", "print('not', 'run')")
    notebook("02_announced", "# Error", "1 / 0", tags={"1 / 0": "raises-exception"})
    status, printed = call(run_notebooks.main, "course")
    assert status == 1
    assert "01_error, cell 1 `1 / 0`: ZeroDivisionError: division by zero" in printed
    assert "02_announced," not in printed
    assert "not run" not in (tmp_path / "build" / "01_error.html").read_text(encoding="utf-8")


def test_a_missing_record_is_a_problem(notebook, call):
    notebook("01_silent", "# Silent", "def report(name): pass", "report('01_silent')")
    status, printed = call(run_notebooks.main, "course")
    assert status == 1 and "01_silent: no claim was recorded" in printed


def test_dead_and_endless_kernels_are_noticed(notebook):
    surroundings = execution.environment("read")
    dead = notebook("01_dead", "# Dead", "import os", "os._exit(3)", "print('after')")
    (problem,) = execution.execute(dead, surroundings).problems
    assert problem.cell == "cell 2 `os._exit(3)`" and "the kernel died" in problem.message
    endless = notebook("02_endless", "# Endless", "import time; time.sleep(1000)")
    (problem,) = execution.execute(endless, surroundings, timeout=1).problems
    assert problem.message == "did not finish within 1 s"


def test_the_shell_does_not_decide_what_runs(notebook, monkeypatch):
    for name, value in {"SEEDS": "7", "MODE": "data", "CLAIMS": "somewhere"}.items():
        monkeypatch.setenv(f"COURSE_{name}", value)
    source = "import os; print([k + v for k, v in os.environ.items() if k.startswith('COURSE_')])"
    path = notebook("01_asks", "# Asks", source)
    run = execution.execute(path, execution.environment("verify"))
    assert run.notebook.cells[1].outputs[0].text == "['COURSE_MODEverify']\n"


def test_data_runs_in_its_mode_and_leaves_the_notebook(notebook, call, tmp_path):
    source = "import os; open('store', 'w').write(os.environ['COURSE_MODE'])"
    path = notebook("01_data", "# Data", source)
    before = path.read_bytes()
    assert call(run_notebooks.main, "data")[0] == 0
    assert (path.with_name("store").read_text(), path.read_bytes()) == ("data", before)


def test_refresh_keeps_only_what_does_not_move(notebook, call):
    lab = "import ipywidgets\nipywidgets.IntSlider()"
    path = notebook("01_lab", "# Lab", "1 + 1", lab, "print('é')", "3", tags={lab: "widget"})
    page = nbformat.read(path, as_version=4)
    page.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    page.cells[1].metadata["execution"] = {"iopub.execute_input": "2026-01-01"}
    nbformat.write(page, path)
    assert call(run_notebooks.main, "refresh")[0] == 0
    once = path.read_bytes()
    page = nbformat.read(path, as_version=4)
    assert [cell.get("execution_count") for cell in page.cells] == [None, 1, None, 2, 3]
    assert page.cells[4].outputs[0].execution_count == 3 and not page.cells[2].outputs
    assert "widgets" not in page.metadata and "execution" not in page.cells[1].metadata
    assert "version" not in page.metadata.language_info
    assert once.endswith(b"\n") and "é".encode() in once
    assert call(run_notebooks.main, "refresh")[0] == 0 and path.read_bytes() == once
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_refresh_writes_nothing_after_a_failure(notebook, call):
    path = notebook("01_bad", "# Bad", "print('new output')", FAILING, "report('01_bad')")
    before = path.read_bytes()
    status, printed = call(run_notebooks.main, "refresh")
    assert status == 1 and "cell 3 `report('01_bad')`: ClaimFailed" in printed
    assert path.read_bytes() == before


def test_verify_compares_outputs_and_claims(notebook, call, tmp_path):
    path = notebook("01_good", "# Good", CLAIMS, "report('01_good')")
    call(run_notebooks.main, "refresh")
    old = tmp_path / "build" / "claims" / "01_other.json"
    old.parent.mkdir(parents=True)
    old.write_text("[]")
    status, printed = call(run_notebooks.main, "verify")
    assert printed.splitlines()[-1] == "verify: 1 notebook, 2 claims, all hold"
    assert status == 0 and not old.exists()
    path.write_text(path.read_text().replace("whole hold\\n", "whole hold!\\n"))
    notebook("02_bad", "# Bad", FAILING, "report('02_bad')")
    status, printed = call(run_notebooks.main, "verify")
    assert status == 1
    assert "01_good.ipynb::Cell 1" in printed and "02_bad.ipynb::Cell 1" in printed
    assert "02_bad, claim small: holds for 3 of 5 seeds: seeds are small" in printed


def test_nbval_notices_a_dead_kernel(notebook, call, monkeypatch):
    path = notebook("01_dead", "# Dead", "import os; os._exit(3)")
    shutil.copy(execution.ROOT / "conftest.py", path.parent)  # as it applies to our own notebooks
    monkeypatch.setattr(run_notebooks, "CELL_TIMEOUT", 60)
    status, printed = call(run_notebooks.main, "verify")
    assert status == 1 and "the kernel died, out of memory?" in printed


def test_replicate_counts_per_claim(notebook, call, tmp_path):
    notebook("01_good", "# Good", CLAIMS, "report('01_good')")
    status, printed = call(replicate.main, "--seeds", "96-99")
    assert status == 0 and "4/4  51% to 100%" in printed
    status, printed = call(replicate.main, "--seeds", "98-101", "--notebooks", "01")
    assert status == 1
    lines = {line.split()[0]: line for line in printed.splitlines() if "/4" in line}
    assert "2/4" in lines["small"] and "FELL SHORT (needs 100%)" in lines["small"]
    assert "4/4" in lines["whole"] and "FELL" not in lines["whole"]
    kept = json.loads((tmp_path / "build" / "replicate" / "98-101_01.json").read_text())
    assert kept["claims"][0]["values"] == {"98": 98, "99": 99, "100": 100, "101": 101}
    assert "torch" in kept["provenance"]


@pytest.mark.parametrize(
    "sources, message",
    [
        (["1 / 0"], "ZeroDivisionError"),
        (["print('no claims')"], "no claim was recorded"),
        ([CLAIMS.replace('"COURSE_SEEDS", "0-4"', '"X", "0-4"'), "report('01_bad')"], "judged on"),
    ],
    ids=["error", "nothing claimed", "other seeds"],
)
def test_replicate_is_not_green_when_nothing_was_replicated(notebook, call, sources, message):
    notebook("01_bad", "# Bad", *sources)
    status, printed = call(replicate.main, "--seeds", "101-102")
    assert status == 1 and message in printed


@pytest.mark.parametrize(
    "main, arguments, message",
    [
        (replicate.main, ["--seeds", "5-1"], "runs backwards"),
        (
            replicate.main,
            ["--seeds", "1", "--notebooks", "9"],
            "notebook '9' means 0 of: 01_a, 02_",
        ),
        (run_notebooks.main, ["course", "0"], "notebook '0' means 2 of: 01_a, 02_b"),
        (run_notebooks.main, ["refresh", "--folder", "nowhere"], "there is no notebook in nowhere"),
    ],
)
def test_bad_input_is_named(notebook, tmp_path, capsys, main, arguments, message):
    notebook("01_a", "# A")
    notebook("02_b", "# B")
    with pytest.raises(SystemExit) as stop:
        main(["--folder", f"{tmp_path / 'notebooks'}", *arguments])
    assert stop.value.code == 2 and message in capsys.readouterr().err


def test_select_takes_numbers_names_and_paths(notebook):
    first, second, third = notebook("01_a", "# A"), notebook("02_b", "# B"), notebook("02_bc", "#")
    for names in (["01"], ["01_a"], ["01_a.ipynb"], [f"{first}"]):
        assert execution.select(first.parent, names) == [first]
    assert execution.select(first.parent, ["02_b"]) == [second]  # although 02_bc begins like it
    assert execution.select(first.parent, []) == [first, second, third]
