"""The history in a browser: found, selected, exported, deleted and brought back, opened."""

import json
from pathlib import Path

import pytest
from gradio_client import Client
from playwright.sync_api import expect

from tests.browser.conftest import Opener


@pytest.fixture(scope="module")
def runs(app_url: str, tiny_model: str) -> list[int]:
    client = Client(app_url, verbose=False)
    try:
        results = [
            client.predict(tiny_model, prompt, "", {"max_new_tokens": 3, "seed": 1}, api_name="/generate")
            for prompt in (*(f"kept apart {n} <b>bold</b>" for n in (1, 2, 3)), "found by no search here")
        ]
    finally:
        client.close()
    return [result["run"] for result in results[:3]]


def test_runs_are_found_exported_deleted_and_brought_back(open_page: Opener, runs: list[int]) -> None:
    page = open_page("/history")
    search, table = page.locator("#history-search input, #history-search textarea"), page.locator("#history-table")
    expect(table).to_contain_text("newest first")
    search.fill("kept apart")
    expect(table).to_contain_text("Runs 1 to 3 of 3")
    expect(table.locator("tbody tr").first).to_contain_text("kept apart 3 <b>bold</b>")

    page.get_by_label(f"Select run {runs[0]}", exact=True).check()
    page.get_by_label(f"Select run {runs[1]}", exact=True).check()
    selected = page.locator("#history-picked")
    expect(selected).to_contain_text("2 runs selected")
    with page.expect_download() as download:
        page.locator("#history-jsonl").click()
    lines = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
    assert {line["run"] for line in lines} == set(runs[:2])

    page.locator("#history-delete").click()
    page.locator("#history-confirm-yes").click()
    expect(table).to_contain_text("Runs 1 to 1 of 1")
    page.locator("#history-undo").click()
    expect(table).to_contain_text("Runs 1 to 3 of 3")

    page.get_by_label("Select every run of this page").check()
    expect(selected).to_contain_text("3 runs selected")
    search.fill("no such words anywhere")
    expect(table).to_contain_text("Nothing found")


def test_a_run_opens_in_the_playground(open_page: Opener, runs: list[int]) -> None:
    page = open_page("/history")
    page.get_by_label(f"Open run {runs[0]}", exact=True).click()
    expect(page.locator("#pg-note")).to_contain_text(f"Run {runs[0]},")
    expect(page.locator("#pg-prompt textarea")).to_have_value("kept apart 1 <b>bold</b>")


def test_nothing_selected_is_one_sentence(open_page: Opener, runs: list[int]) -> None:
    page = open_page("/history")
    expect(page.locator("#history-table")).to_contain_text("newest first")
    page.locator("#history-delete").click()
    expect(page.get_by_role("alert")).to_contain_text("No run is selected; select at least one to delete.")
