"""Dtypes of models and runs"""

import sqlalchemy as sa
from alembic import op

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ('models', 'runs'):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column('dtype', sa.Text(), nullable=True))


def downgrade() -> None:
    for table in ('models', 'runs'):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column('dtype')
