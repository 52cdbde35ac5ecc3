"""The database refuses to change or delete a review."""

from __future__ import annotations

from alembic import op

revision = '0002'
down_revision = '0001'

_SAID = 'reviews are only added; add another one'


def upgrade() -> None:
    """Add the triggers."""
    if op.get_bind().dialect.name == 'sqlite':
        for action in ('UPDATE', 'DELETE'):
            op.execute(f"CREATE TRIGGER reviews_no_{action.lower()} BEFORE {action} ON reviews "
                       f"BEGIN SELECT RAISE(ABORT, '{_SAID}'); END")
        return
    op.execute('CREATE FUNCTION reviews_stay() RETURNS trigger LANGUAGE plpgsql AS '
               f"$$ BEGIN RAISE EXCEPTION '{_SAID}'; END $$")
    op.execute('CREATE TRIGGER reviews_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON reviews '
               'FOR EACH STATEMENT EXECUTE FUNCTION reviews_stay()')


def downgrade() -> None:
    """Remove the triggers."""
    if op.get_bind().dialect.name == 'sqlite':
        for action in ('update', 'delete'):
            op.execute(f'DROP TRIGGER reviews_no_{action}')
        return
    op.execute('DROP TRIGGER reviews_stay ON reviews')
    op.execute('DROP FUNCTION reviews_stay')
