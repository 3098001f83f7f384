"""The jobs page with real workers: watched in two browsers, cancelled, tried again, read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.services import jobs
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Opener


@pytest.fixture
def count(app_url: str, app_home: Path) -> Iterator[Callable[..., int]]:
    """Queues a counting job by way of the database, as another process would; the app does it."""
    lab = bootstrap.open_lab(Config(home=app_home, plugins=("tests.jobs.bodies",)))

    def begin(title: str, **settings: Any) -> int:
        return jobs.enqueue(lab, "count", {"upto": 3, "name": title, **settings}, title=title)

    yield begin
    lab.close()


def test_a_job_is_seen_alike_in_two_browsers_cancelled_and_tried_again(
    open_page: Opener, count: Callable[..., int]
) -> None:
    job = count("Count slowly", upto=3000, pause=1.0)
    first, second = open_page(f"/jobs?job={job}"), open_page("/jobs", size="phone", scheme="dark")
    row = f"#jobs-table tr[data-job='{job}']"
    for page in (first, second):
        expect(page.locator(f"{row}[data-status=running]")).to_contain_text("number")
    first.reload()
    expect(first.locator("#jobs-detail h2")).to_contain_text("Count slowly")
    expect(first.locator("#jobs-curves .js-plotly-plot")).to_be_visible()
    first.locator("#jobs-cancel").click()
    expect(first.locator("#jobs-confirm")).to_contain_text("Its results so far are kept")
    first.locator("#jobs-confirm-yes").click()
    for page in (first, second):
        expect(page.locator(f"{row} .state")).to_have_text("cancelled")
    first.locator("#jobs-retry").click()
    expect(second.locator(f"{row} .state")).to_have_text("running")
    second.locator(f"{row} button").click()
    second.locator("#jobs-cancel").click()
    second.locator("#jobs-confirm-yes").click()
    expect(first.locator(f"{row} .state")).to_have_text("cancelled")


def test_a_failed_job_says_why_in_one_sentence_and_nothing_is_markup(
    open_page: Opener, count: Callable[..., int]
) -> None:
    job = count("<b>Odd</b> name", fail=1)
    page = open_page(f"/jobs?job={job}")
    expect(page.locator("#jobs-detail")).to_contain_text("Row 2 cannot be counted; leave it out.")
    expect(page.locator("#jobs-detail h2")).to_contain_text("<b>Odd</b> name")
    page.locator("#jobs-search textarea, #jobs-search input").fill("no such words")
    expect(page.locator("#jobs-table")).to_contain_text("Nothing found")


def test_the_page_fits_and_is_accessible(open_page: Opener, count: Callable[..., int]) -> None:
    page = open_page(f"/jobs?job={count('Count to three')}")
    expect(page.locator("#jobs-detail .state")).to_have_text("finished")
    assert_accessible(page)
