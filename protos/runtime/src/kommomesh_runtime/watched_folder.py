"""The files of a directory that people change while the mesh runs: the newest good value of each."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
Stamp = tuple[int, int, int]


class WatchedFolder(Generic[T]):
    """Reads the files of a directory again when they change; a bad version never replaces a good one.

    Args:
        directory: where the files are.
        pattern: which of them, such as `*.toml`.
        load: returns the value of one file.
        refusal: what `load` raises for a file that cannot be used.
        on_refused: told of each bad version, once.
    """

    def __init__(
        self,
        directory: Path,
        pattern: str,
        load: Callable[[Path], T],
        refusal: type[Exception],
        on_refused: Callable[[Path, Exception], None],
    ) -> None:
        self._directory = directory
        self._pattern = pattern
        self._load = load
        self._refusal = refusal
        self.on_refused = on_refused
        self._stamps: dict[Path, Stamp] = {}
        self._values: dict[Path, T] = {}

    @property
    def values(self) -> Mapping[Path, T]:
        """The value of each file, by path in its order."""
        return {path: self._values[path] for path in sorted(self._values)}

    def look(self) -> bool:
        """Read what has changed since the last look; return whether any value did.

        A directory that is not there at the moment changes nothing: it is being replaced.
        """
        if not self._directory.is_dir():
            return False
        found = {path: stamp for path in self._directory.glob(self._pattern) if (stamp := _stamp(path))}
        gone = self._values.keys() - found.keys()
        for path in gone:
            del self._values[path]
        changed = [path for path in sorted(found) if self._stamps.get(path) != found[path]]
        self._stamps = found
        replaced = [self._replace(path) for path in changed]
        return bool(gone) or any(replaced)

    def _replace(self, path: Path) -> bool:
        try:
            value = self._load(path)
        except self._refusal as error:
            self.on_refused(path, error)
            return False
        if self._values.get(path) == value:
            return False
        self._values[path] = value
        return True


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
