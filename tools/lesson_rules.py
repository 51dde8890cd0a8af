"""What a notebook in the mould keeps to (CONTRIBUTING, "The mould"): a lesson that can be finished.

A lesson is what stands before the heading "## The full trial". `measured` counts, `broken` compares
with `LIMITS`. Notebooks that are not rebuilt yet are not in `CONVERTED`.
"""

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

CONVERTED = (
    *("01_bigger_model_higher_loss", "02_deeper_but_worse"),
    *("05_adam_explosion", "06_your_own_run"),
)
TRIAL = "## The full trial"
LIMITS = {
    "open cells": 45,  # that are read: not folded, no notes, no set-up
    "lines of code": 400,
    "open lines of code": 150,
    "words": 2000,
    "open lines before the first live figure": 40,
    "words before something to do": 60,  # the title and two sentences
    "words from one thing to do to the next": 900,
    "cells of the trial": 30,
    "claims": 15,
}
TEXT = re.compile(r"""\s*f?(["']).*\1,?$""")  # a line that is nothing but a string
MORE = {
    # Two diseases, in two acts: each has its network, its data and its trial, and the second
    # a constructed solution.
    "02_deeper_but_worse": {
        "open cells": 52,
        "lines of code": 870,
        "open lines of code": 275,
        "words": 2850,
        "claims": 17,
    },
    # Six runs are six experiments, in full, each has its repair, and a lab tries all advice on all.
    "06_your_own_run": {
        "lines of code": 420,
        "open lines of code": 201,
        "open lines before the first live figure": 46,
    },
    # One experiment serves thirteen treatments and four disturbances, there are two labs, and
    # Adam's own instability is shown twice: on a parabola, and in the network.
    "05_adam_explosion": {"lines of code": 660, "open lines of code": 210, "words": 2300},
}


def measured(path: Path) -> dict[str, int]:
    """The measures of `LIMITS` of the notebook at `path`."""
    cells = nbformat.read(path, as_version=4).cells
    end = next((n for n, cell in enumerate(cells) if is_trial(cell)), len(cells))
    lesson, trial = cells[:end], cells[end:]
    read = [cell for cell in lesson if not folded(cell) and not is_apart(cell)]
    code = [cell for cell in lesson if cell.cell_type == "code" and "setup" not in tags(cell)]
    text = [cell for cell in read if cell.cell_type == "markdown"]
    to_do = words_between_things_to_do(lesson)
    open_code = [cell for cell in read if cell.cell_type == "code"]
    return {
        "open cells": len(read),
        "lines of code": sum(map(lines, code)),
        "open lines of code": sum(map(lines, open_code)),
        "words": sum(map(words, text)),
        "open lines before the first live figure": before_first_live_figure(lesson),
        "words before something to do": to_do[0],
        "words from one thing to do to the next": max(to_do[1:], default=0),
        "cells of the trial": len(trial),
        "claims": sum(len(re.findall(r"\b(?:Claim|nats)\(", cell.source)) for cell in cells),
    }


def broken(path: Path) -> list[str]:
    """What of the mould the notebook at `path` does not keep to; empty if it is in order."""
    cells = nbformat.read(path, as_version=4).cells
    limits, found = LIMITS | MORE.get(path.stem, {}), measured(path)
    problems = [f"{found[key]} {key}, {most} at most" for key, most in limits.items()
                if found[key] > most]  # fmt: skip
    for number, cell in enumerate(cells, start=1):
        if 0 < len(marks(cell)) < 3:
            problems.append(f"cell {number} is folded by {', '.join(marks(cell))} only")
        if folded(cell) and re.search(r"\btrain\(", cell.source):
            problems.append(f"cell {number} folds an experiment")
    trial = [cell for cell in cells if is_trial(cell)]
    if len(trial) != 1 or not trial[0].metadata.get("jp-MarkdownHeadingCollapsed"):
        problems.append(f"no cell, or several, is the collapsed heading {TRIAL!r}")
    return problems + solutions_too_early(cells) + slides_of_the_trial(cells)


def marks(cell: NotebookNode) -> list[str]:
    """The marks that fold a cell's source: in JupyterLab, in Colab, in pages."""
    found = {
        "source_hidden": cell.metadata.get("jupyter", {}).get("source_hidden"),
        "cellView": cell.metadata.get("cellView") == "form" and cell.source.startswith("# @title"),
        "hide-input": "hide-input" in tags(cell),
    }
    return [mark for mark, there in found.items() if there]


def folded(cell: NotebookNode) -> bool:
    return bool(marks(cell))


def is_trial(cell: NotebookNode) -> bool:
    return cell.cell_type == "markdown" and cell.source.startswith(TRIAL)


def is_apart(cell: NotebookNode) -> bool:
    """Whether a reader passes over the cell: notes for instructors, set-up."""
    return cell.metadata.get("slideshow", {}).get("slide_type") == "notes" or "setup" in tags(cell)


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def lines(cell: NotebookNode) -> int:
    """Lines of code; what a figure says in words (alternative text, caption) is none."""
    return sum(not TEXT.match(line) for line in cell.source.splitlines() if line.strip())


def words(cell: NotebookNode) -> int:
    """Words of a text: addresses do not count, a formula counts as one."""
    text = re.sub(r"\$\$.*?\$\$|\$.*?\$", " x ", cell.source, flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return len(re.findall(r"\w[\w'’.-]*", text))


def before_first_live_figure(lesson: list[NotebookNode]) -> int:
    """Open lines up to the second picture; the first one is the puzzle, from the store."""
    count = pictures = 0
    for cell in lesson:
        if cell.cell_type == "code" and not folded(cell) and not is_apart(cell):
            count += lines(cell)
        pictures += any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
        if pictures == 2:
            break
    return count


def words_between_things_to_do(lesson: list[NotebookNode]) -> list[int]:
    """Words up to the first question, exercise or lab, from there to the next, and so on."""
    counts = [0]
    for cell in lesson:
        if cell.cell_type == "markdown" and not is_apart(cell):
            counts[-1] += words(cell)
        elif re.search(r"\.ask\(|^lab\(|= \.\.\.", cell.source, re.MULTILINE):
            counts.append(0)
    return counts


def solutions_too_early(cells: list[NotebookNode]) -> list[str]:
    """Solutions that stand before the dots that the reader replaces."""
    problems = []
    for number, cell in enumerate(cells, start=1):
        for key in re.findall(r"exercises\.check\(\s*[\"'](\w+)[\"'],\s*(\w+)\)", cell.source):
            asked = [n for n, one in enumerate(cells, 1) if f"{key[1]} = ..." in one.source]
            if not asked or asked[0] >= number:
                problems.append(f"the solution of {key[0]!r} stands before its question")
    return problems


def slides_of_the_trial(cells: list[NotebookNode]) -> list[str]:
    """Slides end before the trial."""
    trial = [n for n, cell in enumerate(cells) if is_trial(cell)]
    return [
        f"cell {number + 1} of the trial is a slide"
        for number in range(trial[0] if trial else len(cells), len(cells))
        if cells[number].metadata["slideshow"]["slide_type"] not in ("skip", "notes")
    ]
