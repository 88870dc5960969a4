"""Deleted versions leave a row, so that a reference once given never means something else."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "prebake_deleted",
        sa.Column("name", sa.String(255), sa.ForeignKey("prebake_names.name"), primary_key=True),
        sa.Column("version", sa.String(255), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
    )
