"""Waiting for the drafts that pages keep in the browser."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page

STORED = "JSON.stringify(Object.entries(localStorage).sort())"


@contextmanager
def stored_draft(page: Page) -> Iterator[None]:
    """Waits, after one edit of a form, until the page has stored its draft again."""
    before = page.evaluate(STORED)
    yield
    page.wait_for_function(f"before => {STORED} !== before", arg=before)
