"""The feedback page."""

from pages.feedback.page import ROUTE, TITLE, build

__all__ = ["ROUTE", "TITLE", "build"]
