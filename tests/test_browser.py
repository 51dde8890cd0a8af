"""The lab and the predictions as a reader meets them: JupyterLab in a real browser.

Each lab is opened with the definitions of its notebook alone (nbval runs the whole of it), and used
with the keyboard. Notebook 00 is run from top to bottom, for its predictions and exercises. The
check itself is tried on labs whose controls do nothing: it must then fail.
"""

import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from labs import own_cells
from nbformat.v4 import new_code_cell, new_notebook

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "build"  # lab.png, of notebook 01, is the one that README shows
# As root, as in a container, Chromium runs without its sandbox; the rest keeps it off the network.
FLAGS = """--no-sandbox --disable-gpu --no-first-run --disable-background-networking
--disable-component-update --disable-sync""".split()
MINUTE = 60_000  # milliseconds

LAB = re.compile(r"^(\w+ = )?lab\(", re.MULTILINE)
ASK = re.compile(r"\.ask\(")
EXAMPLE = [
    f"import sys\nsys.path.insert(0, {str(ROOT / 'tests')!r})\nimport lab_example\n"
    "from course_utils.widgets import Predictions, lab\npredictions = Predictions()",
    "predictions.ask('wider', 'Which one learns faster?', ['the narrow one', 'the wide one'])",
    "grid = lab_example.stored_example()\n"
    "knobs = lab('example', lab_example.experiment, grid, axes={'step': 1, 'example': 64})\nknobs",
    "predictions.reveal('wider', 'the wide one')",
]
DISCONNECT = """for control in knobs.controls.values():
    control.unobserve_all()
knobs.run._click_handlers.callbacks.clear()"""


def notebooks_with_a_lab() -> list[Path]:
    """The course's notebooks whose lab the browser has to open."""
    pages = {path: nbformat.read(path, 4) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
    return [
        path
        for path, page in pages.items()
        if any(cell.cell_type == "code" and LAB.search(cell.source) for cell in page.cells)
    ]


# Without these waits, "run all cells" now and then does nothing at all.
OPENED = """async () => {
    const app = window.jupyterapp;
    await app.restored;
    const panel = app.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await panel.sessionContext.session.kernel.info;
}"""
SHOW_CELL = """async (pattern) => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    const cells = Array.from(notebook.widgets, cell =>
        cell.model.type === 'code' ? cell.model.sharedModel.getSource() : '');
    notebook.activeCellIndex = cells.findIndex(text => new RegExp(pattern, 'm').test(text));
    await notebook.scrollToItem(notebook.activeCellIndex, 'start');
}"""
ANSWER = """async (source) => {
    const notebook = window.jupyterapp.shell.currentWidget.content;
    notebook.activeCellIndex = notebook.widgets.findIndex(cell =>
        cell.model.sharedModel.getSource().includes("exercises.check("));
    notebook.activeCell.model.sharedModel.setSource(source);
    await notebook.scrollToItem(notebook.activeCellIndex, 'start');
}"""
EPOCHS = '{"A": 3000 * 32 / 50_000, "B": 500 * 256 / 50_000}'
RUN_CELL = "window.jupyterapp.commands.execute('notebook:run-cell')"
INTERRUPT = "window.jupyterapp.commands.execute('notebook:interrupt-kernel')"
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
    notebooks = folder / "notebooks"
    if (ROOT / "notebooks").exists():
        shutil.copytree(ROOT / "notebooks", notebooks, ignore=shutil.ignore_patterns(".*"))
    notebooks.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    own = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
    own += ("JUPYTERLAB_WORKSPACES_DIR", "JUPYTERLAB_SETTINGS_DIR")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser"]
    command += ["--allow-root", "--IdentityProvider.token=", f"--ServerApp.root_dir={notebooks}"]
    command += [
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.ip=127.0.0.1",
    ]
    quiet = folder / "JUPYTERLAB_SETTINGS_DIR" / "@jupyterlab" / "apputils-extension"
    quiet.mkdir(parents=True)
    no_news = json.dumps({"fetchNews": "false", "checkForUpdates": False})
    (quiet / "notification.jupyterlab-settings").write_text(no_news)
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **{name: str(folder / name) for name in own}},
            stdout=log,
            stderr=log,
        )
        try:
            wait_for(f"{address}/api/status", process, folder / "log")
            yield address, notebooks
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    """Return when the server answers."""
    for _ in range(240):
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.25)
    raise RuntimeError(f"JupyterLab does not start:\n{log.read_text()[-2000:]}")


def write(path: Path, sources: list[str]) -> str:
    page = new_notebook(cells=[new_code_cell(source) for source in sources])
    page.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(page, path)
    return path.name


@pytest.fixture
def opened(browser, server):
    """A function that opens a notebook, runs all its cells and returns the page."""
    address, _ = server
    pages = []

    def run_all(name: str):
        page = browser.new_page(viewport={"width": 1280, "height": 900}, device_scale_factor=1.2)
        pages.append(page)
        page.goto(f"{address}/lab/tree/{name}?reset")
        page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext")
        page.evaluate(OPENED)
        page.set_default_timeout(3 * MINUTE)
        succeeded = page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        assert page.evaluate(ERRORS) == []
        assert succeeded
        page.set_default_timeout(MINUTE / 2)
        return page

    yield run_all
    for page in pages:
        page.evaluate("window.jupyterapp.serviceManager.sessions.shutdownAll()")
        page.close()


def the_lab(page):
    """The lab of the notebook, scrolled into view."""
    page.evaluate(SHOW_CELL, LAB.pattern)
    lab = page.locator(".widget-vbox", has=page.locator("img.widget-image")).first
    lab.wait_for()
    lab.scroll_into_view_if_needed()
    return lab


def new_picture(image, before: str, patience: float) -> str:
    """Wait until the picture is another one than `before`."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            now = image.evaluate(BYTES)
        except Exception as error:  # it was replaced while it was fetched
            assert "Failed to fetch" in str(error)
            continue
        if now != before:
            return now
        time.sleep(0.02)
    raise AssertionError(f"the picture has not changed within {patience:.0f} s")


def move_every_control(lab, patience: float = 30.0) -> list[float]:
    """Move each control to both ends; each move must change the picture. Returns milliseconds."""
    image, latencies = lab.locator("img.widget-image"), []
    image.evaluate(STOPWATCH)
    sliders = lab.locator(".widget-slider .noUi-handle")
    assert sliders.count() >= 1
    for index in range(sliders.count()):
        sliders.nth(index).focus()
        sliders.nth(index).press("Home")  # changes nothing if it is there already
        settle(image)
        for key in ("End", "ArrowLeft", "Home", "ArrowRight"):
            before = image.evaluate(BYTES)
            sliders.nth(index).press(key)
            new_picture(image, before, patience)
            latencies.append(lab.page.evaluate(LATENCY))
            settle(image)
    for choice in lab.locator(".widget-toggle-buttons").all():
        buttons = choice.locator("button").all()
        for button in (buttons[-1], buttons[0]) if len(buttons) > 1 else ():
            before = image.evaluate(BYTES)
            button.focus()
            button.press("Space")
            new_picture(image, before, patience)
            latencies.append(lab.page.evaluate(LATENCY))
            settle(image)
    return latencies


def settle(image, quiet: float = 0.25) -> None:
    """Wait until the picture has stayed the same for a while."""
    before, since = image.evaluate(BYTES), time.monotonic()
    while time.monotonic() - since < quiet:
        time.sleep(0.05)
        try:
            now = image.evaluate(BYTES)
        except Exception as error:
            assert "Failed to fetch" in str(error)
            continue
        if now != before:
            before, since = now, time.monotonic()


def run_live(lab, patience: float = 60.0) -> str:
    """Press Run live; the picture must change. Returns what the lab then says."""
    image, button = lab.locator("img.widget-image"), lab.get_by_role("button", name="Run live")
    before = image.evaluate(BYTES)
    button.focus()
    button.press("Space")
    new_picture(image, before, patience)
    said = lab.locator("[role=status]")
    said.filter(has_text="Done").wait_for(timeout=patience * 1000)
    return said.inner_text()


def lock_in_by_keyboard(page) -> None:
    """Ask the first question again, choose its second option and lock it in, without the mouse."""
    page.evaluate(SHOW_CELL, ASK.pattern)
    page.evaluate(RUN_CELL)
    option = page.locator(".widget-toggle-buttons button:enabled").first
    option.focus()
    for key in ("Tab", "Space"):
        page.keyboard.press(key)
    page.get_by_text("Not locked in yet").wait_for()
    button = page.get_by_role("button", name="Lock in").and_(page.locator(":enabled")).first
    while not button.evaluate("button => button === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.get_by_text("Locked in:").wait_for()


def photograph(page, path: Path) -> None:
    """Run the cell of the lab again, move one slider, run live, and keep a picture of that."""
    page.evaluate(SHOW_CELL, LAB.pattern)
    page.evaluate(RUN_CELL)
    lab = the_lab(page)
    assert page.locator("img.widget-image").count() == 1  # the first lab is closed
    image, sliders = lab.locator("img.widget-image"), lab.locator(".widget-slider")
    named = sliders.filter(has_text="width")
    slider = named if named.count() else sliders.first
    before = image.evaluate(BYTES)
    slider.locator(".noUi-handle").press("End")
    new_picture(image, before, patience=30)
    run_live(lab)
    box = lab.bounding_box()
    clip = {"x": box["x"] - 6, "y": box["y"], "width": 730, "height": box["height"]}
    path.parent.mkdir(exist_ok=True)
    page.screenshot(path=path, clip=clip)


@pytest.mark.parametrize("path", notebooks_with_a_lab(), ids=lambda path: path.stem)
def test_a_reader_turns_the_knobs(path, opened, server, record_property):
    page = opened(write(server[1] / f"lab_of_{path.name}", list(own_cells(path))))
    lab = the_lab(page)
    latencies = move_every_control(lab)
    said = run_live(lab)
    assert "equal to the stored curve" in said or "differs from the stored curve" in said
    number = path.name[:2]
    photograph(page, PICTURES / ("lab.png" if number == "01" else f"lab_{number}.png"))
    assert page.evaluate(ERRORS) == []
    assert page.locator(".jupyter-widgets-error-widget").count() == 0
    record_property("key_press_to_picture_ms", latencies)
    print(f"\n{path.name}: key press to picture, median {statistics.median(latencies):.0f} ms,")
    print(f"longest {max(latencies):.0f} ms; {said}")


def test_a_reader_locks_in_a_prediction_and_solves_an_exercise(opened):
    page = opened("00_start_here.ipynb")
    lock_in_by_keyboard(page)
    for answer, said in (('{"A": 1, "B": 1}', "Look again at"), (EPOCHS, "Correct")):
        page.evaluate(ANSWER, f"exercises.check('epochs', {answer})")
        page.evaluate(RUN_CELL)
        page.locator(".jp-Cell.jp-mod-active .jp-OutputArea-output", has_text=said).wait_for()
    assert page.evaluate(ERRORS) == []


def test_the_check_fails_on_a_lab_whose_controls_are_disconnected(opened, server):
    page = opened(write(server[1] / "dead.ipynb", [*EXAMPLE, DISCONNECT]))
    lab = the_lab(page)
    with pytest.raises(AssertionError, match="the picture has not changed"):
        move_every_control(lab, patience=3)
    with pytest.raises(AssertionError, match="the picture has not changed"):
        run_live(lab, patience=3)


def test_an_interrupted_run_keeps_what_it_has(opened, server):
    longer = "lab_example.STEPS = 10**5  # the experiment is now an edited one, of minutes"
    page = opened(write(server[1] / "interrupt.ipynb", [*EXAMPLE, longer]))
    lab = the_lab(page)
    image = lab.locator("img.widget-image")
    before = image.evaluate(BYTES)
    lab.get_by_role("button", name="Run live").click()
    for _ in range(3):  # the curve grows
        before = new_picture(image, before, patience=30)
    page.evaluate(INTERRUPT)
    said = lab.locator("[role=status]").filter(has_text="Interrupted")
    said.wait_for()
    assert "your edited experiment" in said.inner_text()
    lab.locator("button:enabled", has_text="Run live").wait_for()
