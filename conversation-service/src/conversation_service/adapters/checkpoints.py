"""Brings SQLite's log into its file, beside the thread that writes."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from kommomesh_runtime.logs import get_logger

EVERY_SECONDS = 0.5
# Beyond it writers wait for a moment, so that the log begins anew instead of growing for as long as they are busy. What
# they wait for is what came since the copy before: little, if it is done early.
LONGEST_LOG_PAGES = 4_000
BUSY_SECONDS = 0.5

log = get_logger()


class Checkpoints:
    """Makes checkpoints of one file, in a thread of its own.

    A commit is durable in the log. To copy it into the file costs more than the commit, and nobody has to wait for it.

    Args:
        path: the file.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._log = Path(f"{path}-wal")
        self._seen_at = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sqlite-checkpoints", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Make a last one and end."""
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_over.wait(EVERY_SECONDS):
            self._make()
        self._make()

    def _make(self) -> None:
        written_at = self._written_at()
        if written_at == self._seen_at:
            return
        try:
            with closing(
                sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS)
            ) as file:
                _, pages, _ = file.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                if pages > LONGEST_LOG_PAGES:
                    file.execute("PRAGMA wal_checkpoint(RESTART)")
            self._seen_at = written_at
        except (sqlite3.Error, OSError) as error:
            # What is in the log stays there, and the next checkpoint brings it over.
            log.warning("checkpoint.failed", error=type(error).__name__)

    def _written_at(self) -> int:
        try:
            return self._log.stat().st_mtime_ns
        except OSError:
            return 0
