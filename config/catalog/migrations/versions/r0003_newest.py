"""An index for `@latest`: without it each look-up reads all versions of the name."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the index."""
    op.create_index("prebake_versions_newest", "prebake_versions", ["name", "archived", "id"])
