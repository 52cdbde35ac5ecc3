"""How a field's samples became 8 bits; null for the fields that are there already, whose samples have 8 bits or whose
run is not known to have said it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'


def upgrade() -> None:
    """Add the column."""
    op.add_column('fields', sa.Column('intensity', sa.String(), nullable=True))


def downgrade() -> None:
    """Remove it."""
    op.drop_column('fields', 'intensity')
