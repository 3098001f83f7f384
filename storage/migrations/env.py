"""Alembic's entry: migrations run on the connection that Database hands over."""

from alembic import context

import storage.feedback_tables  # noqa: F401 - its tables belong to the whole
from storage.tables import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
