"""Profiles of dataset versions: computed once, kept with the version, token lengths added model by model."""

import bisect
import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

from genai_lab.context import LabContext
from genai_lab.data import SPLIT, tables
from genai_lab.data import profile as engine
from genai_lab.errors import LabError
from genai_lab.services.datasets.views import VersionView, file_of, restore_row, text_of, view_of
from storage import datasets as queries

SMALL = 30_000
MEASURED = ("input", "reference", "chosen", "rejected", "messages")
Progress = Callable[[int, int], None]


def profile(lab: LabContext, version_id: int, model: str = "") -> dict[str, Any]:
    """The profile, from memory where it is known; with `model` also lengths in its tokens. Raises LabError."""
    findings = compute_profile(lab, version_id, model)
    with lab.database.session() as session:
        return ingest(session, version_id, findings)


def start_profile(lab: LabContext, version_id: int, model: str = "") -> int:
    """Queues it as a job and returns the job's id."""
    from genai_lab.services import jobs

    name = _version(lab, version_id).name
    title = f"Profile {name}" + (f" in tokens of {model}" if model else "")
    return jobs.enqueue(lab, "profile", {"version": version_id, "model": model}, title=title)


def compute_profile(
    lab: LabContext, version_id: int, model: str = "", progress: Progress | None = None
) -> dict[str, Any]:
    """What is not known yet of the profile; writes nothing."""
    view = _version(lab, version_id)
    findings: dict[str, Any] = {}
    if view.profile is None:
        findings |= engine.profile(_texts(lab, view, progress), view.column_names, view.roles)
    if model and model not in (view.profile or {}).get("lengths", {}):
        findings["lengths"] = {model: _lengths(lab, view, model)}
    return findings


def ingest(session: Any, version_id: int, findings: dict[str, Any]) -> dict[str, Any]:
    """Adds findings to the version's profile; returns all of it."""
    row = queries.version(session, version_id)
    if row is None:
        raise LabError("The dataset version is gone.")
    old = row.profile or {}
    row.profile = {**old, **findings, "lengths": {**old.get("lengths", {}), **findings.get("lengths", {})}}
    return row.profile


def _version(lab: LabContext, version_id: int) -> VersionView:
    with lab.database.reading() as session:
        row = queries.version(session, version_id)
    if row is None:
        raise LabError("There is no such dataset version; the Datasets page lists the existing ones.")
    return view_of(row)


def _texts(lab: LabContext, view: VersionView, progress: Progress | None) -> Iterator[list[dict[str, str]]]:
    """All rows as texts, a block at a time."""
    coded = any(column.kind == "json" for column in view.columns)
    row_count = 0
    for block in tables.blocks(file_of(lab, view)):
        if coded:
            yield [_texts_of(view, row) for row in block]
        else:
            yield [{name: cell or "" for name, cell in row.items()} for row in block]
        row_count += len(block)
        if progress:
            progress(row_count, view.rows)


def _texts_of(view: VersionView, row: dict[str, Any]) -> dict[str, str]:
    cells = restore_row(view, row)
    return {name: text_of(cells.get(name)) for name in (*view.column_names, SPLIT)}


def _lengths(lab: LabContext, view: VersionView, model: str) -> dict[str, Any]:
    """Histograms of the columns that a model reads or writes; of many rows SAMPLED are drawn with a fixed seed."""
    from genai_lab.services.datasets.tokens import counter

    count = counter(lab, model)
    names = list(dict.fromkeys(name for role in MEASURED for name in view.roles.get(role, ()))) or view.column_names
    keys = range(view.rows)
    if view.rows > engine.SAMPLED:
        keys = sorted(random.Random("lengths").sample(keys, engine.SAMPLED))  # type: ignore[assignment]
    rows = tables.read_rows(file_of(lab, view), keys, names)
    texts = {name: [text_of(restore_row(view, row).get(name)) for row in rows] for name in names}
    return {name: engine.lengths(_affordable(texts[name]), count, view.rows) for name in names}


def _affordable(texts: list[str]) -> list[str]:
    """As many of them, drawn with a fixed seed, as have SAMPLED_CHARACTERS together; at least one."""
    if sum(map(len, texts)) <= engine.SAMPLED_CHARACTERS:
        return texts
    shuffled = random.Random("affordable").sample(texts, len(texts))
    sizes = list(itertools.accumulate(map(len, shuffled)))
    return shuffled[: max(1, bisect.bisect(sizes, engine.SAMPLED_CHARACTERS))]
