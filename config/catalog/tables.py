"""The catalog's tables as they are now; how they came to be is in migrations/versions/.

One row of `names` is locked by whoever changes anything below that name, so numbers are given once.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

HEAD = "0003"
"""The newest revision in migrations/versions/."""
REVISION_TABLE = "prebake_catalog_revision"
_metadata = MetaData()

names = Table(
    "prebake_names",
    _metadata,
    Column("name", String(255), primary_key=True),
    Column("archived", Boolean, nullable=False),
    Column("last_number", BigInteger, nullable=False),  # the highest ever given, deleted ones included
)
versions = Table(
    "prebake_versions",
    _metadata,
    Column("id", Integer, primary_key=True),  # the order of creation: clocks of machines differ
    Column("name", ForeignKey("prebake_names.name"), nullable=False),
    Column("version", String(255), nullable=False),
    Column("description", Text),
    Column("tags", Text, nullable=False),
    Column("definition", Text, nullable=False),  # text, as JSON columns do not keep the order of keys
    Column("context", String(80), nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("created", Double, nullable=False),
    Column("asked_by", Text, nullable=False),
    UniqueConstraint("name", "version"),
    Index("prebake_versions_newest", "name", "archived", "id"),
    sqlite_autoincrement=True,
)
labels = Table(
    "prebake_labels",
    _metadata,
    Column("name", ForeignKey("prebake_names.name"), primary_key=True),
    Column("label", String(255), primary_key=True),
    Column("version_id", ForeignKey("prebake_versions.id"), nullable=False),
)
locks = Table(
    "prebake_locks",
    _metadata,
    Column("version_id", ForeignKey("prebake_versions.id"), primary_key=True),
    Column("key", String(32), primary_key=True),
    Column("text", Text, nullable=False),
)
records = Table(
    "prebake_records",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("version_id", ForeignKey("prebake_versions.id"), nullable=False),
    Column("lock_key", String(32), nullable=False),
    Column("base", Text, nullable=False),
    Column("image", String(80), nullable=False),
    Column("reference", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("last", Double, nullable=False),
    UniqueConstraint("version_id", "lock_key", "image", "reference"),
)
deleted = Table(
    "prebake_deleted",
    _metadata,
    Column("name", ForeignKey("prebake_names.name"), primary_key=True),
    Column("version", String(255), primary_key=True),
    Column("at", Double, nullable=False),
    Column("asked_by", Text, nullable=False),
)
