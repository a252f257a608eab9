"""Runs migrations on the connection that the gateway gives."""

from alembic import context

from cluster.gateway.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
