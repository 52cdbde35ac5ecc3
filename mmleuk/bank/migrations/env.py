"""Alembic's entry: runs the steps on the connection that :mod:`mmleuk.bank.connection` opened."""

from alembic import context

from mmleuk.bank.tables import Base

context.configure(connection=context.config.attributes['connection'], target_metadata=Base.metadata,
                  transaction_per_migration=False)
context.run_migrations()
