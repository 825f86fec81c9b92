"""Runs Alembic inside a transaction that the caller opened, on the connection it gives.

Alembic executes this file; importing it elsewhere fails. The caller holds the store's lock, so a
migration is all or nothing on SQLite too, where Alembic by itself would commit each statement.
"""

from alembic import context

from reconciler.stores import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.METADATA,
    version_table=tables.VERSION_TABLE,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
