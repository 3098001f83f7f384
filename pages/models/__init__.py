"""The models page."""

from pages.models.page import ROUTE, TITLE, build

__all__ = ["ROUTE", "TITLE", "build"]
