"""The prompt lab: templates with their versions, filled with real rows."""

from pages.prompts.page import ROUTE, TITLE, build

__all__ = ["ROUTE", "TITLE", "build"]
