"""The lab and the predictions as a reader meets them: JupyterLab in a real browser.

Each lab is opened with the definitions of its notebook alone (nbval runs the whole of it), and used
with the keyboard. Notebook 00 is run from top to bottom, for its predictions and exercises. The
check itself is tried on a lab whose controls do nothing: it must then fail.
"""

import json
import os
import shutil
import statistics
import sys
import time
from pathlib import Path

import lesson_rules
import nbformat
import pytest
from labs import every_lab, own_cells
from nbformat.v4 import new_code_cell, new_notebook
from servers import running

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parent.parent
# As root, as in a container, Chromium runs without its sandbox; the rest keeps it off the network.
FLAGS = """--no-sandbox --disable-gpu --no-first-run --disable-background-networking
--disable-component-update --disable-sync""".split()
# Without a token: for a minute, on this machine only.
SERVER = """--no-browser --expose-app-in-browser --allow-root --IdentityProvider.token=
--ServerApp.ip=127.0.0.1 --ServerApp.port=0""".split()
MINUTE = 60_000  # milliseconds

LAB, ASK, CHECK = r"^(\w+ = )?lab\(", r"\.ask\(", r"exercises\.check\("
REVEAL = r"\.reveal\("
EXAMPLE = [
    f"import sys\nsys.path.insert(0, {str(ROOT / 'tests')!r})\n"
    "import lab_example\nfrom course_utils.widgets import lab",
    "knobs = lab('example', lab_example.experiment, lab_example.stored_example())\nknobs",
    "lab_example.STEPS = 10**5  # the experiment is now an edited one, of minutes",
]
DISCONNECT = """for control in knobs.controls.values():
    control.unobserve_all()
knobs.run._click_handlers.callbacks.clear()"""

# Without these waits, "run all cells" now and then does nothing at all.
OPENED = """async () => {
    const app = window.jupyterapp;
    await app.restored;
    const panel = app.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await panel.sessionContext.session.kernel.info;
}"""
SHOW_CELL = """async ([pattern, source]) => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    const cells = Array.from(notebook.widgets, cell =>
        cell.model.type === 'code' ? cell.model.sharedModel.getSource() : '');
    notebook.activeCellIndex = cells.findIndex(text => new RegExp(pattern, 'm').test(text));
    if (source) notebook.activeCell.model.sharedModel.setSource(source);
    await notebook.scrollToItem(notebook.activeCellIndex, 'start');
}"""
FOLDED = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(cell => [
    cell.model.type === 'code' && cell.inputHidden,
    !!(cell.model.getMetadata('jupyter') || {}).source_hidden,
    !!cell.headingCollapsed && cell.model.sharedModel.getSource()])"""
COMMAND = "command => window.jupyterapp.commands.execute('notebook:' + command)"
ERRORS = """() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells.flatMap(
    cell => (cell.outputs || []).filter(output => output.output_type === 'error')
        .map(output => output.ename + ': ' + output.evalue))"""
# The bytes, because the address of the picture changes whenever anything of its widget does.
BYTES = """async (image) => {
    const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
    return Array.from(new Uint8Array(await crypto.subtle.digest('SHA-1', bytes))).join();
}"""
STOPWATCH = """(image) => {
    window.loaded = [];
    document.addEventListener('keydown', () => { window.pressed = performance.now(); }, true);
    image.addEventListener('load', () => { window.loaded.push(performance.now()); });
}"""
LATENCY = "() => window.loaded.find(time => time > window.pressed) - window.pressed"


def missing(reason: str):
    """Skip for a reason; in CI, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"in CI the browser test must run, but {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser():
    """The system's Chromium, or else playwright's own."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        missing("playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        except Error as error:
            missing(f"no browser starts: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address and folder of a JupyterLab whose settings and files are thrown away."""
    folder = tmp_path_factory.mktemp("jupyter")
    hidden = shutil.ignore_patterns(".*")
    notebooks = shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=hidden)
    quiet = folder / "CONFIG_DIR/lab/user-settings/@jupyterlab/apputils-extension"
    quiet.mkdir(parents=True)
    no_news = json.dumps({"fetchNews": "false", "checkForUpdates": False})
    (quiet / "notification.jupyterlab-settings").write_text(no_news)
    command = [sys.executable, "-m", "jupyterlab", *SERVER, f"--ServerApp.root_dir={notebooks}"]
    with running(command, folder) as (_, url, _):
        yield url, notebooks


@pytest.fixture
def opened(browser, server):
    """A function that opens a notebook, or writes one of `cells`, and mostly runs it: the page."""
    (url, folder), pages = server, []

    def run_all(name: str, cells: list[str] | None = None, run: bool = True):
        if cells:
            written = new_notebook(cells=[new_code_cell(cell) for cell in cells])
            written.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
            nbformat.write(written, folder / name)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, device_scale_factor=1.2)
        pages.append(page)
        page.goto(f"{url}lab/tree/{name}?reset")
        page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext")
        page.evaluate(OPENED)
        page.set_default_timeout(3 * MINUTE)
        assert not run or page.evaluate(COMMAND, "run-all-cells")
        assert page.evaluate(ERRORS) == []
        page.set_default_timeout(MINUTE / 2)
        return page

    yield run_all
    for page in pages:
        page.evaluate("window.jupyterapp.serviceManager.sessions.shutdownAll()")
        page.close()


def run_cell(page, pattern: str, source: str | None = None) -> None:
    """Run the first cell that has the pattern, or `source` in its place."""
    page.evaluate(SHOW_CELL, [pattern, source])
    page.evaluate(COMMAND, "run-cell")


def the_lab(page):
    """The lab of the notebook, scrolled into view, and its picture."""
    page.evaluate(SHOW_CELL, [LAB, None])
    lab = page.locator(".widget-vbox", has=page.locator("img.widget-image")).first
    lab.wait_for()
    lab.scroll_into_view_if_needed()
    return lab, lab.locator("img.widget-image")


def shown(image) -> str | None:
    """A digest of the picture; None if it was replaced while it was fetched."""
    try:
        return image.evaluate(BYTES)
    except Exception as error:
        assert "Failed to fetch" in str(error)


def new_picture(image, before: str | None, patience: float = 30.0) -> str:
    """Wait until the picture is another one than `before`."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if (now := shown(image)) not in (None, before):
            return now
        time.sleep(0.02)
    raise AssertionError(f"the picture has not changed within {patience:.0f} s")


def settled(image, quiet: float = 0.25) -> str | None:
    """The picture, once it has stayed the same for a while."""
    before, since = shown(image), time.monotonic()
    while time.monotonic() - since < quiet:
        time.sleep(0.05)
        if (now := shown(image)) != before:
            before, since = now, time.monotonic()
    return before


def press(control, key: str) -> None:
    control.focus()
    control.press(key)


def move_every_control(page, patience: float = 30.0) -> list[float]:
    """Move each control to both ends; each move must change the picture. Returns milliseconds."""
    lab, image = the_lab(page)
    image.evaluate(STOPWATCH)
    sliders, moves, latencies = lab.locator(".widget-slider .noUi-handle").all(), [], []
    for slider in sliders:
        press(slider, "Home")  # changes nothing if it is there already
        two = float(slider.get_attribute("aria-valuemax")) == 1  # places: one step is all
        keys = ("End", "Home") if two else ("End", "ArrowLeft", "Home", "ArrowRight")
        moves += [(slider, key) for key in keys]
    for choice in lab.locator(".widget-toggle-buttons").all():
        buttons = choice.locator("button").all()
        moves += [(button, "Space") for button in (buttons[-1], buttons[0]) if len(buttons) > 1]
    assert moves
    for control, key in moves:
        before = settled(image)
        press(control, key)
        new_picture(image, before, patience)
        latencies.append(page.evaluate(LATENCY))
    return latencies


def run_live(page, patience: float = 60.0) -> str:
    """Press Run live; the picture must change. Returns what the lab then says."""
    lab, image = the_lab(page)
    before = settled(image)
    press(lab.get_by_role("button", name="Run live"), "Space")
    new_picture(image, before, patience)
    said = lab.locator("[role=status]")
    said.filter(has_text="Done").wait_for(timeout=patience * 1000)
    return said.inner_text()


@pytest.mark.parametrize(["path", "number"], every_lab())
def test_a_reader_turns_the_knobs(path, number, opened):
    page = opened(f"lab_of_{path.name}", own_cells(path, number))
    latencies = move_every_control(page)
    said = run_live(page)
    assert "equal to the stored curve" in said or "differs from the stored curve" in said
    run_cell(page, LAB)
    assert the_lab(page)[1].count() == page.locator("img.widget-image").count() == 1
    assert page.evaluate(ERRORS) == []
    assert page.locator(".jupyter-widgets-error-widget").count() == 0
    print(f"\n{path.name}: key press to picture, median {statistics.median(latencies):.0f} ms,")
    print(f"longest {max(latencies):.0f} ms; {said}")


def test_a_reader_locks_in_a_prediction_and_solves_an_exercise(opened):
    """Without the mouse, after Run All: the second option, Lock in, the reveal; then an answer."""
    page = opened("00_start_here.ipynb")
    page.evaluate(SHOW_CELL, [ASK, None])
    form = page.locator(".jp-Cell.jp-mod-active")
    form.locator(".widget-toggle-buttons button:enabled").first.focus()
    for key in ("Tab", "Space"):
        page.keyboard.press(key)
    form.get_by_text("Not locked in yet").wait_for()
    button = form.get_by_role("button", name="Lock in").and_(page.locator(":enabled")).first
    while not button.evaluate("button => button === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    form.get_by_text("Locked in:").wait_for()
    page.evaluate(SHOW_CELL, [REVEAL, None])  # Run All left it closed; the answer opens it
    page.locator("[role=status]", has_text="You predicted:").wait_for()
    right = '{"A": 3000 * 32 / 50_000, "B": 500 * 256 / 50_000}'
    for answer, said in (('{"A": 1, "B": 1}', "Look again at"), (right, "Correct")):
        run_cell(page, CHECK, f"exercises.check('epochs', {answer})")
        page.locator(".jp-Cell.jp-mod-active .jp-OutputArea-output", has_text=said).wait_for()
    assert page.evaluate(ERRORS) == []


@pytest.mark.parametrize("name", lesson_rules.CONVERTED)
def test_a_lesson_opens_folded_with_its_questions_and_ends_before_the_trial(name, opened):
    page = opened(f"{name}.ipynb", run=False)
    cells = page.evaluate(FOLDED)
    assert any(folded for folded, _, _ in cells)
    assert [folded for folded, _, _ in cells] == [marked for _, marked, _ in cells]
    collapsed = [heading for *_, heading in cells if heading]
    assert len(collapsed) == 1 and collapsed[0].startswith(lesson_rules.TRIAL)
    assert page.locator(".jp-OutputArea-output", has_text="○").count(), "a question has no options"


def test_an_interrupted_run_keeps_what_it_has_and_a_dead_lab_is_noticed(opened):
    page = opened("interrupt.ipynb", EXAMPLE)
    lab, image = the_lab(page)
    before = shown(image)
    lab.get_by_role("button", name="Run live").click()
    for _ in range(3):  # the curve grows
        before = new_picture(image, before)
    page.evaluate(COMMAND, "interrupt-kernel")
    said = lab.locator("[role=status]").filter(has_text="Interrupted")
    said.wait_for()
    assert "your edited experiment" in said.inner_text()
    lab.locator("button:enabled", has_text="Run live").wait_for()
    run_cell(page, r"^lab_example\.STEPS", DISCONNECT)
    for use in (move_every_control, run_live):
        with pytest.raises(AssertionError, match="the picture has not changed"):
            use(page, patience=3)
