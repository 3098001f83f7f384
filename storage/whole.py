"""All tables together, for whoever copies the whole database."""

from sqlalchemy import Table

import storage.feedback_tables  # noqa: F401 - its tables belong to the whole
from storage.tables import Base


def tables() -> dict[str, Table]:
    """By name; what others refer to comes first."""
    return {table.name: table for table in Base.metadata.sorted_tables}
