"""Fine-tuning: planned, launched, watched, compared, and taken into the playground."""

from pages.finetune.page import ROUTE, TITLE, build

__all__ = ["ROUTE", "TITLE", "build"]
