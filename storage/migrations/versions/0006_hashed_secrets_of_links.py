"""Hashed secrets of links"""

import hashlib

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Links that were sent before still open what they did; nobody can read them in the database any more."""
    annotators = sa.table('annotators', sa.column('id'), sa.column('secret'), sa.column('visitor'))
    demos = sa.table('demos', sa.column('id'), sa.column('secret'))
    personal = sa.select(annotators.c.id, annotators.c.secret).where(annotators.c.visitor.is_(sa.false()))
    connection = op.get_bind()
    for table, wanted in ((annotators, personal), (demos, sa.select(demos.c.id, demos.c.secret))):
        for number, secret in connection.execute(wanted).all():
            hashed = hashlib.sha256(secret.encode()).hexdigest()
            connection.execute(table.update().where(table.c.id == number).values(secret=hashed))


def downgrade() -> None:
    """What was hashed cannot be had back: links that were sent before open nothing in an older version."""
