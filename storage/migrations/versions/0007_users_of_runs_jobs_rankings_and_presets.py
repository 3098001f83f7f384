"""Users of runs, jobs, rankings and presets"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

import storage.tables

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

OWNER = 1
TABLES = ('runs', 'jobs', 'rankings')


def upgrade() -> None:
    """Everything that exists belongs to the one owner.

    The column may be empty in the database: SQLite adds a required reference only by rebuilding the table, and a table
    to which others refer cannot be rebuilt within the transaction of a migration.
    """
    users = op.create_table(
        'users',
        sa.Column('name', storage.tables.Words(), nullable=False),
        sa.Column('role', storage.tables.Words(), nullable=False),
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('created_at', storage.tables.Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_users')),
        sa.UniqueConstraint('name', name=op.f('uq_users_name')),
    )
    op.execute(users.insert().values(name='owner', role='owner', created_at=datetime.now(UTC)))
    for table in TABLES:
        reference = sa.ForeignKey('users.id', name=f'fk_{table}_user_id_users')
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.add_column(sa.Column('user_id', sa.Integer(), reference, nullable=True))
        op.execute(sa.text(f'UPDATE {table} SET user_id = {OWNER}'))

    with op.batch_alter_table('presets', schema=None) as batch_op:
        batch_op.add_column(sa.Column('user_id', sa.Integer(), nullable=True))
        batch_op.create_foreign_key('fk_presets_user_id_users', 'users', ['user_id'], ['id'])
        batch_op.drop_constraint('uq_presets_name', type_='unique')
        batch_op.create_unique_constraint('uq_presets_user_id_name', ['user_id', 'name'])
    op.execute(sa.text(f'UPDATE presets SET user_id = {OWNER}'))


def downgrade() -> None:
    with op.batch_alter_table('presets', schema=None) as batch_op:
        batch_op.drop_constraint('uq_presets_user_id_name', type_='unique')
        batch_op.drop_constraint('fk_presets_user_id_users', type_='foreignkey')
        batch_op.create_unique_constraint('uq_presets_name', ['name'])
        batch_op.drop_column('user_id')
    for table in TABLES:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column('user_id')
    op.drop_table('users')
