"""Several completions of a row"""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """`sample_index` meant the row where a run answered a dataset; now it counts the completions of a row."""
    generations = sa.table('generations', sa.column('row_index'), sa.column('sample_index'), sa.column('example'))
    with op.batch_alter_table('generations', schema=None) as batch_op:
        batch_op.add_column(sa.Column('row_index', sa.Integer(), nullable=False, server_default='0'))
        batch_op.drop_constraint(batch_op.f('uq_generations_run_id_sample_index'), type_='unique')
        batch_op.create_unique_constraint(
            batch_op.f('uq_generations_run_id_row_index_sample_index'), ['run_id', 'row_index', 'sample_index']
        )
    op.execute(
        generations.update()
        .where(generations.c.example.is_not(None))
        .values(row_index=generations.c.sample_index, sample_index=0)
    )


def downgrade() -> None:
    """Further completions of a row have no place in the older table and are deleted."""
    generations = sa.table('generations', sa.column('row_index'), sa.column('sample_index'), sa.column('example'))
    answers = generations.c.example.is_not(None)
    op.execute(generations.delete().where(answers, generations.c.sample_index > 0))
    with op.batch_alter_table('generations', schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f('uq_generations_run_id_row_index_sample_index'), type_='unique')
    op.execute(generations.update().where(answers).values(sample_index=generations.c.row_index))
    with op.batch_alter_table('generations', schema=None) as batch_op:
        batch_op.create_unique_constraint(
            batch_op.f('uq_generations_run_id_sample_index'), ['run_id', 'sample_index']
        )
        batch_op.drop_column('row_index')
