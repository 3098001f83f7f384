"""The shelf: a new lab gets its first model by itself and opens with it in chat; another one is got by one press."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import tiny_shelf
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import PATIENCE, guard, wait_filled, watch
from tests.browser.running_app import RunningApp
from tests.models.gguf_files import write_gguf
from tests.models.wheels import NO_INDEX, gguf_entry
from tests.tiny import random_model


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """An app whose shelf holds two tiny models in a folder of wheels, and one that is not there."""
    folder, home = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("home")
    model = random_model(folder / "tiny", chat=True)
    first = gguf_entry(folder, write_gguf(model, folder / "First.F32.gguf"), "First", "first-model")
    second = gguf_entry(folder, write_gguf(model, folder / "Second.Q8_0.gguf", "Q8_0"), "Second", "second-model")
    absent = gguf_entry(folder, write_gguf(model, folder / "Absent.F16.gguf", "F16"), "Absent", "absent-model")
    (folder / "absent_model-1.0-py3-none-any.whl").unlink()
    tiny_shelf.write(folder / "shelf.json", [first, second, absent])
    environment = {**NO_INDEX, "PIP_FIND_LINKS": str(folder), "TINY_SHELF": str(folder / "shelf.json")}
    app = RunningApp(
        home, [home / "models"], GENAI_LAB_SHELF="1", GENAI_LAB_PLUGINS="tests.browser.tiny_shelf", **environment
    )
    yield app
    app.stop()


@pytest.fixture
def page(browser: Browser, app: RunningApp) -> Iterator[Page]:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE)
    page, faults = context.new_page(), list[str]()
    watch(page, app.url, faults)
    guard(page)
    yield page
    context.close()
    assert not faults


def test_a_new_lab_opens_with_its_first_model_in_chat_and_gets_more_by_one_press(page: Page, app: RunningApp) -> None:
    page.goto(f"{app.url}/models")
    wait_filled(page)
    cards = page.locator("#models-shelf li")
    first, second, absent = (cards.filter(has_text=name) for name in ("First", "Second", "Absent"))
    expect(first.locator(".state")).to_have_text("here")
    expect(first).to_contain_text("apache-2.0")

    second.get_by_role("button", name="Get Second").click()
    expect(second.locator(".state")).to_have_text("here")
    second.get_by_role("button", name="Show").click()
    expect(page.locator("#models-detail h2")).to_contain_text("Second")
    expect(page.locator("#models-table tr[data-name^='Second']").first).to_be_visible()

    absent.get_by_role("button", name="Get Absent").click()
    expect(absent.locator(".problem")).to_contain_text("absent-model 1.0 cannot be had from the package index")
    expect(absent.get_by_role("button", name="Go on Absent")).to_be_visible()
    assert_accessible(page)

    page.goto(app.url)
    wait_filled(page)
    expect(page.locator("#pg-model input")).to_have_value(re.compile("^First"))
    expect(page.locator("#pg-mode input[value=chat]")).to_be_checked()
    page.locator("#pg-prompt textarea").fill("Once upon a time")
    page.locator("#pg-prompt textarea").press("Enter")
    expect(page.locator("#pg-stats")).to_contain_text("tokens/s")
    page.wait_for_url("**/?run=*")
    assert "First is here; the playground opens with it." in app.log.read_text()
