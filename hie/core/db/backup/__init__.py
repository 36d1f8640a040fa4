"""Backups: base backups and the WAL after them, by PostgreSQL's own tools; restore to a moment."""
