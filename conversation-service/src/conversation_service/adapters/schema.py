"""Which schema revisions this code knows, and whether a database has a new enough one."""

from functools import cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

MIGRATIONS = Path(__file__).parent.parent / "migrations"


def alembic_config() -> Config:
    """Return the configuration that names this package's migrations."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


@cache
def known_revisions() -> tuple[str, ...]:
    """Return the revisions that this code ships, the newest first."""
    return tuple(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


def is_schema_new_enough(connection: Connection) -> bool:
    """Tell whether the schema is the one of this code or a newer one.

    A revision that this code does not know was made by a later release, whose migrations work with this one.
    """
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision is not None and (revision == known_revisions()[0] or revision not in known_revisions())
