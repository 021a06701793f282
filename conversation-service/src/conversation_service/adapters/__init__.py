"""The database: its tables, its two stores and the statements on it."""
