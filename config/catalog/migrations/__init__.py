"""Alembic's folder: how the catalog's tables came to be, revision by revision."""
