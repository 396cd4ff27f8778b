"""Alembic's entry point, one for the chassis' line of migrations and for each service's own.

The caller (`services.chassis.migrate`) hands in an open connection and the name of the line's version table.
"""

from alembic import context

options = context.config.attributes
context.configure(connection=options["connection"], version_table=options["version_table"], transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
