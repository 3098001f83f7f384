"""The playground: one prompt, a model, its settings; every token explained, runs compared and shared."""

from pages.playground.page import ROUTE, TITLE, build

__all__ = ["ROUTE", "TITLE", "build"]
