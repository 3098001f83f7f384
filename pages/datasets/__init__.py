"""The datasets page."""

from pages.datasets.page import ROUTE, TITLE, build

__all__ = ["ROUTE", "TITLE", "build"]
