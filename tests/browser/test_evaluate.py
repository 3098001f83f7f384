"""Evaluation as a reader meets it: upload predictions, see who is better, read a row, take the report along."""

import csv
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Opener


def uploaded(page: Page, file: Path) -> None:
    """Scores the file's two prediction columns with exact match."""
    page.get_by_role("tab", name="New", exact=True).click()
    page.get_by_role("tab", name="Uploaded predictions").click()
    page.locator("#ev-file input[type=file]").set_input_files(str(file))
    expect(page.locator("#ev-reference")).to_contain_text("answer")
    for column in ("fair", "good"):
        page.locator("#ev-prediction input").click()
        page.get_by_role("option", name=column, exact=True).click()
    page.locator("#ev-metrics input").click()
    page.get_by_role("option", name="Exact match", exact=True).click()
    page.keyboard.press("Escape")
    page.locator("#ev-file-run").click()
    page.get_by_role("tab", name="Figures", exact=True).click()


def test_predictions_are_compared_read_and_taken_along(open_page: Opener, tmp_path: Path) -> None:
    file = tmp_path / "two.csv"
    with file.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["question", "answer", "fair", "good"])
        for row in range(40):
            answer = f"number {row} of the list"
            out.writerow([f"which is {row}?", answer, answer if row % 2 else "<b>none</b>", answer])
    page = open_page("/evaluate")
    uploaded(page, file)
    expect(page.locator("table.scores").first).to_contain_text("exact match")
    expect(page.locator("#ev-verdicts")).to_contain_text("good is better than fair")
    expect(page.locator("#ev-verdicts")).to_contain_text("n = 40")
    address = page.url

    page.get_by_role("tab", name="Read", exact=True).click()
    expect(page.locator("#ev-rows")).to_contain_text("B wins 20, loses 0, ties 20")
    page.locator("#ev-rows tr[data-row]").first.click()
    expect(page.locator("#ev-row")).to_contain_text("<b>none</b>")
    expect(page.locator("#ev-row pre mark").first).to_contain_text("of the list")
    for _ in range(2):  # the page has looked for news
        page.wait_for_event("response", lambda response: "/queue/join" in response.url)
    expect(page.locator("#ev-row")).to_contain_text("<b>none</b>")
    assert_accessible(page)

    page.get_by_role("tab", name="Figures", exact=True).click()
    with page.expect_download() as download:
        page.locator("#ev-html").click()
    report = Path(download.value.path()).read_text()
    assert "good is better than fair" in report
    assert "<b>none</b>" not in report

    second = open_page(address.removeprefix(page.evaluate("location.origin")))
    expect(second.locator("#ev-verdicts")).to_contain_text("good is better than fair")


def test_what_is_missing_is_said_in_one_sentence(open_page: Opener) -> None:
    page = open_page("/evaluate")
    page.get_by_role("tab", name="New", exact=True).click()
    page.get_by_role("tab", name="Uploaded predictions").click()
    page.locator("#ev-file-run").click()
    expect(page.get_by_role("alert").first).to_contain_text("No file is chosen")
    page.get_by_role("tab", name="Prompt lab systems").click()
    page.locator("#ev-systems-run").click()
    expect(page.get_by_role("alert").last).to_contain_text("No system is chosen")
