"""A plugin of the tests: the shelf holds what the file of TINY_SHELF names."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from genai_lab.models import shelf
from genai_lab.models.shelf import ShelfEntry, WheelOrigin


def write(path: Path, entries: list[ShelfEntry]) -> None:
    path.write_text(json.dumps([asdict(entry) for entry in entries]))


def read(path: Path) -> list[ShelfEntry]:
    stored = json.loads(path.read_text())
    return [
        ShelfEntry(**{**entry, "origins": tuple(WheelOrigin(**origin) for origin in entry["origins"])})
        for entry in stored
    ]


if "TINY_SHELF" in os.environ:
    shelf.SHELF[:] = read(Path(os.environ["TINY_SHELF"]))
