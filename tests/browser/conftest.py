"""One running app and one Chromium for all browser tests, and pages that notice each error and foreign request."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.models import Source
from genai_lab.services import models
from tests.browser.accessibility import AXE, ROOT, SIZES
from tests.browser.running_app import RunningApp
from tests.tiny import random_model

SHARED_MODELS = ROOT / "../shared/data/models"
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
TINY_MODEL = "played"
PATIENCE = 300_000  # milliseconds after which a page is taken to hang, whatever else the machine does
expect.set_options(timeout=PATIENCE)
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
    """The address of a running app with an empty data home."""
    plugins = "tests.jobs.bodies,tests.browser.slow,tests.forked_workers"
    roots = [app_home / "models", model_folder.parent]
    app = RunningApp(app_home, roots, GENAI_LAB_PLUGINS=plugins, HF_HUB_OFFLINE="0")
    yield app.url
    app.stop()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed; `make test` installs it")
    if not AXE.is_file():
        pytest.skip("axe-core is not installed; `make test` installs it")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def tiny_model(app_url: str, app_home: Path, model_folder: Path) -> str:
    """The name of a small model in the running app's catalogue, which was put there by way of the database."""
    lab = bootstrap.open_lab(Config(home=app_home, model_roots=(model_folder.parent,)))
    models.add(lab, TINY_MODEL, Source("local", str(model_folder)))
    lab.close()
    return TINY_MODEL


@pytest.fixture(scope="package")
def visitors(browser: Browser) -> Iterator[list[BrowserContext]]:
    """Browser contexts that keep the scripts of the pages from test to test, and nothing else."""
    contexts: list[BrowserContext] = []
    yield contexts
    for context in contexts:
        context.close()


# What a page that is being left says while it waits for an answer; that the server is well is asked of the server.
LEAVING = ("AbortError", "Unexpected error Connection errored out")


def watch(page: Page, app_url: str, faults: list[str]) -> None:
    """Adds script errors, console errors and foreign requests of the page to `faults`."""
    leaving = [False]  # a page that is being left ends its session; what it then says is no fault

    def on_request(request: Request) -> None:
        leaving[0] = leaving[0] or (request.is_navigation_request() and request.frame == page.main_frame)
        if not request.url.startswith((app_url, "data:", "blob:")):
            faults.append(f"foreign request: {request.url}")

    def on_console(line: ConsoleMessage) -> None:
        if line.type == "error" and not leaving[0] and not line.text.strip().startswith(LEAVING):
            faults.append(f"console: {line.text} ({line.location['url']})")

    def on_arrival(*_: Any) -> None:
        leaving[0] = False

    page.on("request", on_request)
    page.on("pageerror", lambda error: faults.append(f"script error: {error}"))
    page.on("console", on_console)
    page.on("download", on_arrival)
    page.on("framenavigated", lambda frame: frame == page.main_frame and on_arrival())


def guard(page: Page) -> None:
    """From here on each action on the page waits while an answer that fills its form is on the way.

    The page takes no typing of its reader meanwhile, but what a script types would be overwritten.
    """
    page.add_locator_handler(page.locator("main[inert]"), lambda _: None)


def wait_filled(page: Page) -> None:
    """Waits until a page of the lab is drawn and what its address names has been filled in."""
    page.locator(".page-head h1").wait_for()
    page.locator("main[data-filled]").wait_for()


@contextmanager
def form_filled(page: Page) -> Iterator[None]:
    """What is done inside asks the server to fill fields of the page; waits until they are filled.

    A field that a test changes earlier would be overwritten by the answer.
    """
    main = page.locator("main")
    main.and_(page.locator("[data-filled]")).wait_for()
    before = main.get_attribute("data-filled") or ""
    yield
    expect(main).not_to_have_attribute("data-filled", before)


@pytest.fixture
def open_page(browser: Browser, app_url: str, visitors: list[BrowserContext]) -> Iterator[Opener]:
    """open_page("/models", size="phone", scheme="dark") -> Page, with nothing foreign fetched and no console error.

    Each call in a test is another visitor, who has been nowhere yet.
    """
    opened: list[Page] = []
    faults: list[str] = []

    def opener(path: str = "/", *, size: str = "wide", scheme: Any = "light") -> Page:
        width, height = SIZES[size]
        if len(opened) == len(visitors):
            visitors.append(browser.new_context())
            visitors[-1].set_default_timeout(PATIENCE)
            visitors[-1].new_page()  # keeps the window open, whose own parts Chromium would load again for each page
        page = visitors[len(opened)].new_page()
        opened.append(page)
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        watch(page, app_url, faults)
        guard(page)
        page.goto(app_url + path, wait_until="domcontentloaded")
        wait_filled(page)
        return page

    yield opener
    for page in opened:
        for other in page.context.pages[1:]:
            other.close()
        clear_storage(page.context, app_url)
    assert not faults
    assert httpx.get(f"{app_url}/health").status_code == 200


def clear_storage(context: BrowserContext, url: str) -> None:
    """Removes cookies and what pages have stored; cached scripts stay."""
    kinds = "cookies,local_storage,indexeddb,cache_storage,service_workers"
    session = context.new_cdp_session(context.pages[0])
    session.send("Storage.clearDataForOrigin", {"origin": url, "storageTypes": kinds})
    session.detach()
