"""Run by Alembic for every upgrade, on the connection (and in the transaction) of whoever asked for it."""

from __future__ import annotations

from alembic import context

_asked = context.config.attributes
context.configure(connection=_asked["connection"], version_table=_asked["version_table"])
context.run_migrations()
