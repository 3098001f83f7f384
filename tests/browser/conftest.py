"""The real app in a process of its own, and pages in Chromium that notice every error and every foreign request."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.models import Source
from genai_lab.services import models
from tests.tiny import random_model

ROOT = Path(__file__).resolve().parents[2]
SHARED_MODELS = ROOT / "../shared/data/models"
AXE = ROOT / "node_modules/axe-core/axe.min.js"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {"wide": (1440, 900), "phone": (390, 844)}
PLAYED = "played"
expect.set_options(timeout=100_000)  # for machines that are busy with something else
Opener = Callable[..., Page]


@pytest.fixture(scope="package")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small published model, or with a random one where the shared data are absent."""
    published = SHARED_MODELS / "stories260K-hf"
    return published.resolve() if published.is_dir() else random_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="package")
def app_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="package")
def app_url(app_home: Path, model_folder: Path) -> Iterator[str]:
    """The address of a running app with an empty data home; it is ended by its process id."""
    home = app_home
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {
        **os.environ,
        "GENAI_LAB_HOME": str(home),
        "GENAI_LAB_MODEL_ROOTS": os.pathsep.join([str(home / "models"), str(model_folder.parent)]),
        "GENAI_LAB_PLUGINS": "tests.jobs.bodies,tests.browser.slow",
        "OMP_NUM_THREADS": "2",
        "HF_HUB_OFFLINE": "0",
    }
    env.pop("DATABASE_URL", None)
    with (home / "app.log").open("w") as log:
        command = [sys.executable, "app.py", "--port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, process, home / "app.log")
            yield url
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path, patience: float = 90.0) -> None:
    until = time.monotonic() + patience
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    pytest.fail(f"the app did not open:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed; `make test` installs it")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


# What a page says that is left while it waits for an answer; that the server is well is asked of the server itself.
LEFT_WAITING = ("AbortError", "Unexpected error Connection errored out")


@pytest.fixture(scope="package")
def played(app_url: str, app_home: Path, model_folder: Path) -> None:
    """The model under the name PLAYED in the running app's catalogue, by way of the database."""
    lab = bootstrap.open_lab(Config(home=app_home, model_roots=(model_folder.parent,)))
    models.add(lab, PLAYED, Source("local", str(model_folder)))
    lab.close()


@pytest.fixture(scope="package")
def visitors(browser: Browser) -> Iterator[list[BrowserContext]]:
    """Browsers that keep the scripts of the pages from test to test, and nothing else."""
    made: list[BrowserContext] = []
    yield made
    for one in made:
        one.close()


@pytest.fixture
def open_page(browser: Browser, app_url: str, visitors: list[BrowserContext]) -> Iterator[Opener]:
    """open_page("/models", size="phone", scheme="dark") -> Page, with nothing foreign fetched and no console error.

    Every call in a test is another visitor, who has been nowhere yet.
    """
    opened, faults = [], []

    def watch(page: Page) -> None:
        left = [False]  # a page that is being left gives its session back; what it then says is nobody's fault

        def request(one: Any) -> None:
            left[0] = left[0] or (one.is_navigation_request() and one.frame == page.main_frame)
            if not one.url.startswith((app_url, "data:", "blob:")):
                faults.append(f"foreign request: {one.url}")

        def console(line: Any) -> None:
            if line.type == "error" and not left[0] and not line.text.strip().startswith(LEFT_WAITING):
                faults.append(f"console: {line.text} ({line.location['url']})")

        def arrived(*_: Any) -> None:
            left[0] = False

        page.on("request", request)
        page.on("pageerror", lambda error: faults.append(f"script error: {error}"))
        page.on("console", console)
        page.on("download", arrived)
        page.on("framenavigated", lambda frame: frame == page.main_frame and arrived())

    def opener(path: str = "/", *, size: str = "wide", scheme: str = "light") -> Page:
        width, height = SIZES[size]
        if len(opened) == len(visitors):
            visitors.append(browser.new_context())
            visitors[-1].set_default_timeout(100_000)
        context = visitors[len(opened)]
        page = context.new_page()
        opened.append(page)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        watch(page)
        page.goto(app_url + path, wait_until="domcontentloaded")
        page.locator(".page-head h1").wait_for()
        page.locator("main[data-filled]").wait_for()
        return page

    yield opener
    for page in opened:
        for one in page.context.pages:
            one.close()
        _forget(page.context, app_url)
    assert not faults
    assert httpx.get(app_url, timeout=20).status_code == 200


def _forget(context: BrowserContext, url: str) -> None:
    """Cookies and what pages have stored; the scripts stay."""
    page = context.new_page()
    kinds = "cookies,local_storage,indexeddb,cache_storage,service_workers"
    context.new_cdp_session(page).send("Storage.clearDataForOrigin", {"origin": url, "storageTypes": kinds})
    page.close()


@pytest.fixture(scope="session")
def serious_violations() -> Callable[[Page], list[str]]:
    """What axe-core finds of serious or critical impact, one line each."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed; `make test` installs it")
    script = AXE.read_text()

    def check(page: Page) -> list[str]:
        page.evaluate(script)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        return [
            f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"][:3]
        ]

    return check
