"""The one place where runs begin."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from genai_lab.context import LabContext
from genai_lab.provenance import Provenance, provenance
from genai_lab.services.runs.registry import RUN_KINDS
from storage import runs as queries
from storage.tables import Run, RunInput


def begin(
    session: Session,
    kind: str,
    inputs: Sequence[RunInput],
    settings: dict[str, Any],
    seed: int,
    *,
    device: str = "cpu",
    dtype: str | None = None,
    status: str = "running",
    origin: Provenance | None = None,
    parent_id: int | None = None,
    group: str | None = None,
    title: str | None = None,
    tags: list[str] | None = None,
    seconds: float | None = None,
) -> Run:
    """Adds a run with what it takes to repeat it, within the caller's transaction; raises UnknownName for the kind.

    `dtype` is what its model was loaded in. `origin` is the code that does the work, by default that of this process.
    Work that is done in a moment is added with the status "finished".
    """
    RUN_KINDS.get(kind)
    origin = origin or provenance()
    return queries.add_run(
        session,
        inputs,
        kind=kind,
        settings=settings,
        seed=seed,
        code_revision=origin.revision,
        dirty=origin.dirty,
        packages=origin.packages,
        device=device,
        dtype=dtype,
        status=status,
        parent_id=parent_id,
        group=group,
        title=title,
        tags=tags,
        seconds=seconds,
    )


def end_interrupted(lab: LabContext) -> int:
    """Marks generations that the last process left running as failed; called when the lab opens."""
    with lab.database.session() as session:
        return queries.end_interrupted(session, "The app ended while this run was under way; replay it.")
