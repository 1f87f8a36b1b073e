"""What people decide and change while the engines run: in ordinary SQL tables, with a log of who did what.

database   one small port over SQLite and PostgreSQL        everything else here is a drawer of it: tables and their rules
"""

from penstock.office.database import Database, Schema, SqliteDatabase

__all__ = ["Database", "Schema", "SqliteDatabase"]
"""The port, its embedded implementation, and how a drawer declares its tables."""
