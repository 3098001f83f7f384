"""Embedders among models"""

import sqlalchemy as sa
from alembic import op

revision = '0013'
down_revision = '0009'
branch_labels = None
depends_on = None

models = sa.table('models', sa.column('id'), sa.column('role'), sa.column('card', sa.JSON))
BEFORE, AFTER = ('generate', 'reward', 'classify'), ('generate', 'reward', 'classify', 'embed')


def upgrade() -> None:
    """An encoder without a head was called a classifier, which it is not: it embeds."""
    _allow(AFTER)
    _rename('classify', 'embed')


def downgrade() -> None:
    _rename('embed', 'classify')
    _allow(BEFORE)


def _allow(roles: tuple[str, ...]) -> None:
    name, rule = op.f('ck_models_role'), 'role IN (' + ', '.join(f"'{role}'" for role in roles) + ')'
    with op.batch_alter_table('models', schema=None) as batch_op:
        batch_op.drop_constraint(name, type_='check')
        batch_op.create_check_constraint(name, rule)


def _rename(before: str, after: str) -> None:
    connection = op.get_bind()
    for row in connection.execute(sa.select(models.c.id, models.c.card).where(models.c.role == before)).all():
        if row.card['family'] == 'encoder':
            values = {'role': after, 'card': {**row.card, 'role': after}}
            connection.execute(models.update().where(models.c.id == row.id).values(**values))
