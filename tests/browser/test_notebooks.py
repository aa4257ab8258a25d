"""Notebooks as a reader has them: JupyterLab on this machine, a real browser, and the keyboard.

Apart from all other tests, which need no browser: `python -m pytest -m browser tests/browser`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from notebooks.refresh import ENVIRONMENT

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TOKEN = "reader"
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # All cells are in the page.
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
IS_DONE = r"""() => {
    const prompts = [...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")];
    return prompts.every((each) => /^\[\d+\]:$/.test(each.textContent));
}"""
FAILURES = (
    '[data-mime-type="application/vnd.jupyter.error"], .jp-RenderedText[data-mime-type*=stderr]'
)
WAIT_MS = 60_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """JupyterLab over copies of the notebooks without outputs, with settings of its own."""
    folder, home = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("jupyter")
    for name in ("00_quickstart", "08_dashboard"):
        notebook = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text("utf-8"))
        for cell in (cell for cell in notebook["cells"] if cell["cell_type"] == "code"):
            cell |= {"outputs": [], "execution_count": None}
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook), "utf-8")
    for name, values in SETTINGS.items():
        path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values), "utf-8")
    own = {
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    options = ["--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"]
    options += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"]
    command = [sys.executable, "-m", "jupyterlab", *options]
    environment = os.environ | ENVIRONMENT | own
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        lines = iter(process.stderr.readline, "")
        said = (re.search(r"http://127\.0\.0\.1:\d+/", line) for line in lines)
        address = next(found[0] for found in said if found)
        reader = threading.Thread(target=process.stderr.read)  # Or it would stand still one day.
        reader.start()
        yield address
        process.terminate()
        reader.join()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def read(server, browser):
    """Open a notebook, run all its cells, and see at the end that nothing has gone wrong."""
    complaints, pages = [], []

    def run(name):
        page = browser.new_page(viewport={"width": 1280, "height": 1200})
        pages.append(page)
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.goto(f"{server}lab/tree/{name}.ipynb?reset&token={TOKEN}")
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.locator('[data-command="runmenu:run-all"]').click()
        page.wait_for_function(IS_DONE)
        return page

    yield run
    assert [page.locator(FAILURES).count() for page in pages] == [0] * len(pages)
    assert complaints == []


@pytest.fixture(scope="module")
def outputs(read):
    """The outputs of the notebook of dashboards, once all its cells have run."""
    return read("08_dashboard").locator(".jp-OutputArea-output")


@pytest.fixture
def dashboard(outputs):
    return outputs.filter(has=outputs.page.locator(".widget-play")).first


def test_the_quickstart_runs_and_shows_its_figures(read):
    page = read("00_quickstart")
    widths = page.locator(".jp-OutputArea img").evaluate_all("all => all.map(i => i.naturalWidth)")
    assert len(widths) >= 2
    assert min(widths) > 300
    assert page.locator(".jp-OutputArea table").count() > 0


def test_arrow_keys_move_the_time_of_a_dashboard_and_its_picture(dashboard):
    from playwright.sync_api import expect

    picture, handle = dashboard.locator("svg").first, dashboard.locator(".noUi-handle")
    seen = []
    for keys, sentence in (
        (["Home"], "At 0 ms node-0 is master; 3 Syncing."),
        (["ArrowRight"] * 3, "At 300 ms node-0 is master; 3 Connected."),
        (["PageUp"] * 6, "At 3,300 ms no master; node-0 is down; 4 Disconnected; active fault: "),
        (["End", "ArrowLeft"], "At 8,000 ms node-1 is master; 3 Connected."),
    ):
        for key in keys:
            handle.press(key)
        expect(picture).to_have_attribute("aria-label", re.compile(f"^{re.escape(sentence)}"))
        expect(dashboard.locator(".widget-readout").first).to_have_text(sentence.split()[1])
        seen.append(picture.screenshot())
    assert len(set(seen)) == 4


def test_buttons_go_from_event_to_event(dashboard):
    from playwright.sync_api import expect

    readout = dashboard.locator(".widget-readout").first
    dashboard.locator(".noUi-handle").press("Home")
    for name, time_ms in (("event ▶", "100"), ("event ▶", "3,000"), ("◀ event", "100")):
        dashboard.get_by_role("button", name=name).click()
        expect(readout).to_have_text(time_ms)


def test_the_fault_lab_tells_by_its_button_that_it_shows_another_choice(outputs):
    from playwright.sync_api import expect

    lab = outputs.filter(has=outputs.page.locator("textarea"))
    button, code = lab.get_by_role("button", name="Simulate"), lab.locator("textarea")
    expect(button).not_to_have_class(re.compile("mod-primary"))
    lab.get_by_label("write concern").select_option("all, applied")
    expect(button).to_have_class(re.compile("mod-primary"))
    button.press("Enter")
    expect(code).to_have_value(re.compile('count="all", stage="applied"'))
    expect(button).not_to_have_class(re.compile("mod-primary"))
