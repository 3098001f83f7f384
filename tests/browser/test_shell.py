"""What every page has in common: it opens from the bar, is accessible, fits the window and fetches nothing foreign."""

import importlib

import pytest
from playwright.sync_api import expect

import pages
from tests.browser.accessibility import assert_accessible
from tests.browser.conftest import Opener, wait_filled

NAMES = list(pages.PAGES)


def test_the_bar_opens_every_page_and_each_is_accessible_and_fits(open_page: Opener, subtests: pytest.Subtests) -> None:
    page = open_page("/")
    for name in [*NAMES[1:], NAMES[0]]:
        module = importlib.import_module(f"pages.{name}")
        page.get_by_role("navigation").get_by_text(module.TITLE, exact=True).click()
        expect(page.locator(".page-head h1")).to_have_text(module.TITLE)
        expect(page.locator(".page-head p")).not_to_be_empty()
        wait_filled(page)
        with subtests.test(page=name):
            assert_accessible(page)
    page.go_back()
    expect(page.locator(".page-head h1")).to_have_text(importlib.import_module(f"pages.{NAMES[-1]}").TITLE)


def test_the_fonts_come_from_the_app_and_another_sites_script_cannot_be_added(open_page: Opener) -> None:
    """The browser itself refuses: the policy allows no other host."""
    page = open_page("/jobs")
    page.evaluate("document.fonts.ready")
    assert page.evaluate("document.fonts.check('13px \"Inter Variable\"')")
    policy = page.request.get(page.url).headers["content-security-policy"]
    assert "http:" not in policy
    assert "*" not in policy
