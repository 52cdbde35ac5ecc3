"""Cells that a person drew, regions that a person reviewed completely, and what the reviewing cost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'

_SAID = 'reviewed regions are only added; withdraw one with another row'


def upgrade() -> None:
    """Add the column, the tables and the triggers."""
    op.add_column('cells', sa.Column('drawn_by', sa.String(), nullable=True))
    op.create_table(
        'reviewed_regions',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('look_id', sa.Integer(), nullable=False),
        sa.Column('who', sa.String(), nullable=False),
        sa.Column('at', sa.String(length=40), nullable=False),
        *(sa.Column(name, sa.Double(), nullable=False) for name in ('x1', 'y1', 'x2', 'y2')),
        sa.Column('withdraws', sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(['look_id'], ['looks.id'], name='fk_reviewed_regions_look_id'),
        sa.ForeignKeyConstraint(['withdraws'], ['reviewed_regions.id'], name='fk_reviewed_regions_withdraws'),
        sa.PrimaryKeyConstraint('id', name='pk_reviewed_regions'))
    op.create_index('ix_reviewed_regions_look_id', 'reviewed_regions', ['look_id'], unique=False)
    op.create_table(
        'review_work',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('film_id', sa.Integer(), nullable=False),
        sa.Column('who', sa.String(), nullable=False),
        sa.Column('at', sa.String(length=40), nullable=False),
        sa.Column('seconds', sa.Double(), nullable=False),
        sa.Column('clicks', sa.Integer(), nullable=False),
        sa.Column('keys', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(['film_id'], ['films.id'], name='fk_review_work_film_id'),
        sa.PrimaryKeyConstraint('id', name='pk_review_work'))
    op.create_index('ix_review_work_film_id', 'review_work', ['film_id'], unique=False)
    if op.get_bind().dialect.name == 'sqlite':
        for action in ('UPDATE', 'DELETE'):
            op.execute(f"CREATE TRIGGER reviewed_regions_no_{action.lower()} BEFORE {action} ON reviewed_regions "
                       f"BEGIN SELECT RAISE(ABORT, '{_SAID}'); END")
        return
    op.execute('CREATE FUNCTION reviewed_regions_stay() RETURNS trigger LANGUAGE plpgsql AS '
               f"$$ BEGIN RAISE EXCEPTION '{_SAID}'; END $$")
    op.execute('CREATE TRIGGER reviewed_regions_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON reviewed_regions '
               'FOR EACH STATEMENT EXECUTE FUNCTION reviewed_regions_stay()')


def downgrade() -> None:
    """Remove them; SQLite drops a table's triggers with it."""
    op.drop_table('review_work')
    op.drop_table('reviewed_regions')
    if op.get_bind().dialect.name != 'sqlite':
        op.execute('DROP FUNCTION reviewed_regions_stay')
    op.drop_column('cells', 'drawn_by')
