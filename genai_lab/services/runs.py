"""Runs, whatever their kind."""

from genai_lab.context import LabContext
from storage import runs as queries


def end_interrupted(lab: LabContext) -> int:
    """Marks generations that the last process left running as failed; called when the lab opens."""
    with lab.database.session() as session:
        return queries.end_interrupted(session, "The app ended while this run was under way; replay it.")
