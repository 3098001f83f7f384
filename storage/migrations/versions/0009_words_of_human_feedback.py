"""Words of human feedback"""

from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None

RENAMED = (('items', 'room', 'capacity'), ('annotators', 'given', 'assigned'), ('annotators', 'cursor', 'last_place'))


def upgrade() -> None:
    """Columns take the words of the field; values stay. Both databases rename a column in place."""
    op.drop_index('ix_items_campaign_id_room', 'items')
    for table, old, new in RENAMED:
        op.alter_column(table, old, new_column_name=new)
    op.create_index('ix_items_campaign_id_capacity', 'items', ['campaign_id', 'capacity'])


def downgrade() -> None:
    op.drop_index('ix_items_campaign_id_capacity', 'items')
    for table, old, new in RENAMED:
        op.alter_column(table, new, new_column_name=old)
    op.create_index('ix_items_campaign_id_room', 'items', ['campaign_id', 'room'])
