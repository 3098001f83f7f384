"""Campaigns, items, candidates, annotators, assignments, rankings"""

import sqlalchemy as sa
from alembic import op

import storage.tables

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('campaigns',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('plan', sa.JSON(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('made_by_run_id', sa.Integer(), nullable=False),
    sa.Column('opened_at', storage.tables.Moment(timezone=True), nullable=True),
    sa.Column('closed_at', storage.tables.Moment(timezone=True), nullable=True),
    sa.Column('items', sa.Integer(), nullable=False),
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('created_at', storage.tables.Moment(timezone=True), nullable=False),
    sa.CheckConstraint("status IN ('making', 'draft', 'open', 'paused', 'closed')", name=op.f('ck_campaigns_status')),
    sa.ForeignKeyConstraint(['made_by_run_id'], ['runs.id'], name=op.f('fk_campaigns_made_by_run_id_runs')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_campaigns')),
    sa.UniqueConstraint('name', name=op.f('uq_campaigns_name'))
    )
    op.create_table('demos',
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('plan', sa.JSON(), nullable=False),
    sa.Column('secret', sa.Text(), nullable=False),
    sa.Column('campaign_id', sa.Integer(), nullable=False),
    sa.Column('closed_at', storage.tables.Moment(timezone=True), nullable=True),
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('created_at', storage.tables.Moment(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaigns.id'], name=op.f('fk_demos_campaign_id_campaigns'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_demos')),
    sa.UniqueConstraint('secret', name=op.f('uq_demos_secret'))
    )
    op.create_table('annotators',
    sa.Column('campaign_id', sa.Integer(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('secret', sa.Text(), nullable=False),
    sa.Column('revoked_at', storage.tables.Moment(timezone=True), nullable=True),
    sa.Column('visitor', sa.Boolean(), nullable=False),
    sa.Column('cursor', sa.Integer(), nullable=False),
    sa.Column('given', sa.Integer(), nullable=False),
    sa.Column('done', sa.Integer(), nullable=False),
    sa.Column('skipped', sa.Integer(), nullable=False),
    sa.Column('seconds', sa.Double(), nullable=False),
    sa.Column('seen_at', storage.tables.Moment(timezone=True), nullable=True),
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('created_at', storage.tables.Moment(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaigns.id'], name=op.f('fk_annotators_campaign_id_campaigns'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_annotators')),
    sa.UniqueConstraint('campaign_id', 'name', name=op.f('uq_annotators_campaign_id_name')),
    sa.UniqueConstraint('secret', name=op.f('uq_annotators_secret'))
    )
    op.create_table('items',
    sa.Column('campaign_id', sa.Integer(), nullable=False),
    sa.Column('place', sa.Integer(), nullable=False),
    sa.Column('prompt', sa.Text(), nullable=False),
    sa.Column('room', sa.Integer(), nullable=False),
    sa.Column('gold', sa.JSON(), nullable=True),
    sa.Column('verdict', sa.JSON(), nullable=True),
    sa.Column('decided', sa.Boolean(), nullable=False),
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('created_at', storage.tables.Moment(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaigns.id'], name=op.f('fk_items_campaign_id_campaigns'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_items'))
    )
    with op.batch_alter_table('items', schema=None) as batch_op:
        batch_op.create_index('ix_items_campaign_id_place', ['campaign_id', 'place'], unique=False)
        batch_op.create_index('ix_items_campaign_id_room', ['campaign_id', 'room'], unique=False)

    op.create_table('assignments',
    sa.Column('campaign_id', sa.Integer(), nullable=False),
    sa.Column('item_id', sa.Integer(), nullable=False),
    sa.Column('annotator_id', sa.Integer(), nullable=False),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('repeat', sa.Boolean(), nullable=False),
    sa.Column('shown', sa.JSON(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('held_until', storage.tables.Moment(timezone=True), nullable=True),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('created_at', storage.tables.Moment(timezone=True), nullable=False),
    sa.CheckConstraint("status IN ('held', 'done', 'skipped', 'expired', 'surplus')", name=op.f('ck_assignments_status')),
    sa.ForeignKeyConstraint(['annotator_id'], ['annotators.id'], name=op.f('fk_assignments_annotator_id_annotators'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaigns.id'], name=op.f('fk_assignments_campaign_id_campaigns'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['item_id'], ['items.id'], name=op.f('fk_assignments_item_id_items'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_assignments')),
    sa.UniqueConstraint('annotator_id', 'item_id', 'repeat', name=op.f('uq_assignments_annotator_id_item_id_repeat')),
    sa.UniqueConstraint('key', name=op.f('uq_assignments_key'))
    )
    with op.batch_alter_table('assignments', schema=None) as batch_op:
        batch_op.create_index('ix_assignments_annotator_id_status', ['annotator_id', 'status'], unique=False)
        batch_op.create_index('ix_assignments_campaign_id_status', ['campaign_id', 'status', 'held_until'], unique=False)
        batch_op.create_index(batch_op.f('ix_assignments_item_id'), ['item_id'], unique=False)

    op.create_table('candidates',
    sa.Column('item_id', sa.Integer(), nullable=False),
    sa.Column('place', sa.Integer(), nullable=False),
    sa.Column('system', sa.Text(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('shown', sa.Text(), nullable=True),
    sa.Column('generation_id', sa.Integer(), nullable=True),
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('created_at', storage.tables.Moment(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['generation_id'], ['generations.id'], name=op.f('fk_candidates_generation_id_generations')),
    sa.ForeignKeyConstraint(['item_id'], ['items.id'], name=op.f('fk_candidates_item_id_items'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_candidates'))
    )
    with op.batch_alter_table('candidates', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_candidates_item_id'), ['item_id'], unique=False)

    op.create_table('rankings',
    sa.Column('assignment_id', sa.Integer(), nullable=False),
    sa.Column('campaign_id', sa.Integer(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('groups', sa.JSON(), nullable=False),
    sa.Column('both_bad', sa.Boolean(), nullable=False),
    sa.Column('flag', sa.Boolean(), nullable=False),
    sa.Column('comment', sa.Text(), nullable=False),
    sa.Column('skip', sa.Text(), nullable=True),
    sa.Column('seconds', sa.Double(), nullable=False),
    sa.Column('current', sa.Boolean(), nullable=False),
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('created_at', storage.tables.Moment(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['assignment_id'], ['assignments.id'], name=op.f('fk_rankings_assignment_id_assignments'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['campaign_id'], ['campaigns.id'], name=op.f('fk_rankings_campaign_id_campaigns'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_rankings')),
    sa.UniqueConstraint('assignment_id', 'revision', name=op.f('uq_rankings_assignment_id_revision'))
    )
    with op.batch_alter_table('rankings', schema=None) as batch_op:
        batch_op.create_index('ix_rankings_campaign_id_current', ['campaign_id', 'current'], unique=False)


def downgrade() -> None:
    with op.batch_alter_table('rankings', schema=None) as batch_op:
        batch_op.drop_index('ix_rankings_campaign_id_current')

    op.drop_table('rankings')
    with op.batch_alter_table('candidates', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_candidates_item_id'))

    op.drop_table('candidates')
    with op.batch_alter_table('assignments', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_assignments_item_id'))
        batch_op.drop_index('ix_assignments_campaign_id_status')
        batch_op.drop_index('ix_assignments_annotator_id_status')

    op.drop_table('assignments')
    with op.batch_alter_table('items', schema=None) as batch_op:
        batch_op.drop_index('ix_items_campaign_id_room')
        batch_op.drop_index('ix_items_campaign_id_place')

    op.drop_table('items')
    op.drop_table('annotators')
    op.drop_table('demos')
    op.drop_table('campaigns')
