"""The models page with a real model: added from a folder, loaded, unloaded, archived, restored; and refusals."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opener
from tests.models.folders import small_llama
from tests.models.servers import SmallEndpoint, serving
from tests.models.test_folders import BAD


def add_folder(page: Page, path: str, name: str) -> None:
    page.get_by_role("tab", name="Local folder").click()
    page.locator("#local-location textarea, #local-location input").fill(path)
    page.locator("#local-name textarea, #local-name input").fill(name)
    page.locator("#local-add").click()


def test_a_local_folder_is_added_loaded_and_put_away(open_page: Opener, model_folder: Path) -> None:
    page = open_page("/models")
    page.locator("#models-table [data-ready]").wait_for()
    add_folder(page, str(model_folder), "stories")
    added = page.locator("#models-table tr[data-name='stories']")
    expect(added).to_contain_text("decoder-only")
    detail = page.locator("#models-detail")
    expect(detail.locator("h2")).to_contain_text("stories")
    expect(detail).to_contain_text("Content hash")

    page.locator("#models-load").click()
    expect(added.locator(".state")).to_have_text("loaded")
    expect(page.locator("#models-budget")).to_contain_text("stories")
    page.locator("#models-unload").click()
    expect(added.locator(".state")).to_have_text("ready")

    page.locator("#models-archive").click()
    page.locator("#models-archive-confirm-yes").click()
    expect(added).to_have_count(0)
    page.get_by_label("Show archived models").check()
    added.get_by_role("button").click()
    page.locator("#models-restore").click()
    expect(added.locator(".state")).to_have_text("ready")

    expect(page).to_have_url(re.compile(r"/models\?model=stories$"))
    page.reload()
    expect(detail.locator("h2")).to_contain_text("stories")
    expect(page.locator("#models-play")).to_have_attribute("href", "/?model=stories")


@pytest.mark.parametrize(
    ("tab", "fields", "button", "message"),
    [
        ("Local folder", {"local-location": "/etc"}, "local-add", "outside|not inside|allowed"),
        ("Local folder", {"local-location": ""}, "local-add", "Folder is empty"),
        (
            "Endpoint",
            {"endpoint-location": "ftp://nowhere", "endpoint-remote-name": "m<b>x</b>"},
            "endpoint-add",
            "http",
        ),
        ("Hub", {"hub-location": "not a hub id"}, "hub-check", "Hub id|not a hub id"),
    ],
)
def test_bad_input_is_one_sentence_and_breaks_nothing(
    open_page: Opener, tab: str, fields: dict[str, str], button: str, message: str
) -> None:
    page = open_page("/models")
    page.locator("#models-table [data-ready]").wait_for()
    count = page.locator("#models-table tr[data-name]").count()
    page.get_by_role("tab", name=tab).click()
    for field, text in fields.items():
        page.locator(f"#{field} textarea, #{field} input").fill(text)
    page.locator(f"#{button}").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(re.compile(message))
    assert "Traceback" not in alert.inner_text()
    expect(page.locator("#models-table tr[data-name]")).to_have_count(count)


FOLDERS = ("pickle only", "own code", "no tokenizer", "cut off", "unfinished", "pictures", "config is text")


def test_every_kind_of_bad_folder_and_endpoint_is_one_sentence_in_one_page(open_page: Opener, app_home: Path) -> None:
    page = open_page("/models")
    page.locator("#models-table [data-ready]").wait_for()
    count = page.locator("#models-table tr[data-name]").count()
    page.get_by_role("tab", name="Local folder").click()
    for case in FOLDERS:
        folder = small_llama(app_home / "models" / case.replace(" ", "-"))
        spoil, message = BAD[case]
        spoil(folder)
        refused(page, {"local-location": str(folder), "local-name": "bad"}, "local-add", message)
    page.get_by_role("tab", name="Endpoint").click()
    endpoint = SmallEndpoint()
    with serving(endpoint.handler()) as address:
        for status, answer, message in (
            (401, {"error": {"message": "no such key"}}, "401|refuses the key|key"),
            (200, b"<html>", "not JSON|JSON|answer"),
        ):
            endpoint.status, endpoint.models = status, answer
            refused(
                page, {"endpoint-location": f"{address}/v1", "endpoint-remote-name": "tiny"}, "endpoint-add", message
            )
    refused(
        page, {"endpoint-location": f"{address}/v1", "endpoint-remote-name": "tiny"}, "endpoint-add", "answer|reach"
    )
    expect(page.locator("#models-table tr[data-name]")).to_have_count(count)


def refused(page: Page, fields: dict[str, str], button: str, message: str) -> None:
    """Types, presses, and takes the sentence away again."""
    for field, text in fields.items():
        page.locator(f"#{field} textarea, #{field} input").fill(text)
    page.locator(f"#{button}").click()
    alert = page.get_by_role("alert").filter(has_text=re.compile(message))
    expect(alert.first).to_be_visible()
    assert "Traceback" not in alert.first.inner_text()
    page.locator(".toast-close").evaluate_all("buttons => buttons.forEach(button => button.click())")
    expect(page.get_by_role("alert")).to_have_count(0)
