"""Versions of the tables of the gateway, by Alembic."""
