"""Aligning a policy: trained against a reward, watched, read completion by completion."""

from pages.align.page import ROUTE, TITLE, build

__all__ = ["ROUTE", "TITLE", "build"]
