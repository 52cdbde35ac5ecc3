"""The lowest score of each class, where a run has several; null for the runs that are there already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'


def upgrade() -> None:
    """Add the column."""
    op.add_column('runs', sa.Column('min_scores', sa.JSON(), nullable=True))


def downgrade() -> None:
    """Remove it."""
    op.drop_column('runs', 'min_scores')
