"""Model folders below a folder, so that a parent folder is answered with the models that are in it."""

import os
from collections.abc import Iterable
from pathlib import Path

MARKS = ("config.json", "adapter_config.json")
DEPTH, MOST_LOOKED_AT, MOST_NAMED = 3, 2_000, 8
PASSED_OVER = {"node_modules", "site-packages", "__pycache__", "venv"}


def model_folders(roots: Iterable[Path], mark: str = "", depth: int = DEPTH) -> list[Path]:
    """Folders at or below `roots` that hold `mark` (else any of MARKS), nearest first; the search is bounded."""
    results: list[Path] = []
    looked_at = 0
    level = [root for root in roots if root.is_dir()]
    for _ in range(depth + 1):
        below: list[Path] = []
        for folder in level:
            looked_at += 1
            if looked_at > MOST_LOOKED_AT:
                return results
            files, folders = _inside(folder)
            if mark in files if mark else any(name in files for name in MARKS):
                results.append(folder)
            else:
                below += folders
        level = below
    return results


def names_below(folder: Path) -> str:
    """The model folders below this one for a sentence, empty where there is none."""
    names = [str(path.relative_to(folder)) for path in model_folders([folder]) if path != folder]
    suffix = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + suffix


def _inside(folder: Path) -> tuple[set[str], list[Path]]:
    """Names of files, and the folders worth a look; nothing where the folder cannot be read."""
    files, folders = set(), []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith(".") and entry.name not in PASSED_OVER:
                        folders.append(Path(entry.path))
                else:
                    files.add(entry.name)
    except OSError:
        return set(), []
    return files, sorted(folders)
