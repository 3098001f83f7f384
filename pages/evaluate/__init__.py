"""The evaluate page."""

from pages.evaluate.page import ROUTE, TITLE, build

__all__ = ["ROUTE", "TITLE", "build"]
