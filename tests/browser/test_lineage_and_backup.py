"""Lineage and backup in a browser: from the history to a run's lineage and on, and a backup made, fetched, deleted."""

import re
import tarfile
from pathlib import Path

import pytest
from gradio_client import Client
from playwright.sync_api import expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Opener


@pytest.fixture(scope="module")
def run(app_url: str) -> int:
    client = Client(app_url, verbose=False)
    try:
        settings = {"max_new_tokens": 3, "seed": 1}
        answer = client.predict("fake", "origin <b>bold</b>", "", settings, api_name="/generate")
    finally:
        client.close()
    return int(answer["run"])


def test_a_run_leads_from_the_history_to_its_model_and_back(open_page: Opener, run: int) -> None:
    page = open_page("/history")
    page.get_by_label(f"Lineage of run {run}", exact=True).click()
    trees = page.locator("#lineage-trees")
    expect(trees.locator(f"[data-root='run {run}']")).to_contain_text("origin <b>bold</b>")
    expect(page).to_have_url(re.compile(rf"/lineage\?run={run}$"))
    upstream = trees.locator("[data-side=upstream] li")
    expect(upstream).to_contain_text("Model")
    upstream.get_by_role("link", name="Lineage of Model fake").click()
    expect(trees.locator(f"[data-side=downstream] [data-key='run {run}']")).to_contain_text("Completion")
    assert_accessible(page)
    page.locator("#lineage-name input, #lineage-name textarea").fill("nobody")
    page.locator("#lineage-show").click()
    expect(trees.get_by_role("alert")).to_contain_text("nobody")


def test_a_backup_is_made_fetched_and_deleted(open_page: Opener, run: int) -> None:
    page = open_page("/backup")
    page.locator("#backup-make").click()
    row = page.locator("#backup-table tr[data-name]")
    expect(row).to_have_count(1)
    name = row.get_attribute("data-name") or ""
    with page.expect_download() as download:
        row.get_by_role("link", name=f"Download {name}").click()
    with tarfile.open(Path(download.value.path())) as archive:
        assert "backup.json" in archive.getnames()
    row.get_by_role("button").click()
    expect(page.locator("#backup-guide")).to_contain_text("needs the app stopped")
    expect(page.locator("#backup-commands textarea")).to_have_value(re.compile(f"restore .*{re.escape(name)}"))
    assert_accessible(page)
    page.locator("#backup-delete").click()
    page.locator("#backup-confirm-yes").click()
    expect(row).to_have_count(0)
