"""Names, versions, labels, and what versions were resolved to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    _make_versions()
    op.create_table(
        "prebake_labels",
        sa.Column("name", sa.String(255), sa.ForeignKey("prebake_names.name"), primary_key=True),
        sa.Column("label", sa.String(255), primary_key=True),
        sa.Column("version_id", sa.Integer, sa.ForeignKey("prebake_versions.id"), nullable=False),
    )
    _make_records()


def _make_versions() -> None:
    op.create_table(
        "prebake_names",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("archived", sa.Boolean, nullable=False),
        sa.Column("last_number", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "prebake_versions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(255), sa.ForeignKey("prebake_names.name"), nullable=False),
        sa.Column("version", sa.String(255), nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("context", sa.String(80), nullable=False),
        sa.Column("archived", sa.Boolean, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.UniqueConstraint("name", "version"),
        sqlite_autoincrement=True,
    )


def _make_records() -> None:
    op.create_table(
        "prebake_locks",
        sa.Column("version_id", sa.Integer, sa.ForeignKey("prebake_versions.id"), primary_key=True),
        sa.Column("key", sa.String(32), primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_table(
        "prebake_records",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("version_id", sa.Integer, sa.ForeignKey("prebake_versions.id"), nullable=False),
        sa.Column("lock_key", sa.String(32), nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("image", sa.String(80), nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("last", sa.Double, nullable=False),
        sa.UniqueConstraint("version_id", "lock_key", "image", "reference"),
    )
