"""README and its companions: every local link leads somewhere, nothing is left to fill in."""

import re
from pathlib import Path

import measured_page
import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "data" / "README.md")
]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere_and_nothing_is_left_to_fill_in(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert "://" in target or (path.parent / target).exists(), f"{target} does not exist"
    assert not re.findall(r"@\w+@|TODO|TBD", text)


def test_the_readme_is_short_and_names_every_notebook():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) < 700
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"notebooks/{notebook.name}" in text


def test_what_catches_the_fault_of_a_removed_claim_is_there():
    """Claims that went are named with a test or a claim that is left."""
    text = (ROOT / "docs" / "removed_claims.md").read_text(encoding="utf-8")
    files = {path.stem: path.read_text("utf-8") for path in (ROOT / "tests").glob("test_*.py")}
    code, named = "\n".join(files.values()), set(re.findall(r"\b(test_[a-z0-9_]+)\b", text))
    assert named and not [name for name in named - set(files) if f"def {name}(" not in code]
    gone = re.findall(r"^\| (0\d) \| (\S+) \|", text, re.MULTILINE)
    kept = {path.name[:2]: path.read_text("utf-8") for path in ROOT.glob("notebooks/*.ipynb")}
    assert gone and not [one for one in gone if f"HOLDS  {one[1]}: " in kept[one[0]]]


@pytest.mark.skipif(not measured_page.MEASURED.exists(), reason="`make bench` was not run yet")
def test_the_page_of_costs_is_written_from_what_was_measured():
    assert measured_page.PAGE.read_text(encoding="utf-8") == measured_page.page()
