"""The catalog: environments registered by name and version, and what each was ever resolved to.

    catalog = open_catalog("sqlite:////var/lib/prebake/catalog.db")   # or postgresql+psycopg://...
    version = catalog.register(environment, asked_by="ada")
    catalog.get("azureml:vision@latest").environment

A version never changes: only description, tags, labels and whether it is archived do. Rules and words are
those of Azure ML (CLI v2); what its users complain about is mended: another definition under a taken name
and version is a ConflictError, a deleted version is gone and its number is never given again, and each
version remembers the locks and images it was resolved to.

SQLAlchemy and Alembic are imported when a catalog is opened, so naming these types costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .reference import ANONYMOUS, Reference
from .version import Record, Version

if TYPE_CHECKING:
    from .catalog import Catalog

__all__ = ["ANONYMOUS", "Record", "Reference", "Version", "open_catalog"]


def open_catalog(url: str) -> Catalog:
    """The catalog in the database at `url`, made or brought up to date if need be.

    Raises SettingsError for a url that makes no sense, Unreachable, StoreError.
    """
    from .catalog import Catalog
    from .database import open_database

    return Catalog(open_database(url))
