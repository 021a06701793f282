"""Build hook that makes the Python stubs from the .proto files; the only generator of the project."""

import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def generate(root: Path) -> None:
    """Write the stubs of every .proto under `root/kommomesh` beside it.

    Raises:
        SystemExit: protoc refused a file; it has printed why.
    """
    protos = sorted(str(path.relative_to(root)) for path in (root / "kommomesh").rglob("*.proto"))
    plugins = Path(sys.executable).parent
    outputs = [f"--{kind}_out={root}" for kind in ("python", "grpc_python")]
    outputs += [f"--{kind}_out=quiet:{root}" for kind in ("mypy", "mypy_grpc")]
    named = [f"--plugin=protoc-gen-{name}={plugins / f'protoc-gen-{name}'}" for name in ("mypy", "mypy_grpc")]
    includes = [f"-I{root}", f"-I{files('grpc_tools') / '_proto'}"]
    if protoc.main(["protoc", *includes, *named, *outputs, *protos]) != 0:
        raise SystemExit("protoc failed")
    (root / "kommomesh" / "py.typed").touch()


class StubsBuildHook(BuildHookInterface):  # type: ignore[misc]  # hatchling's own base is untyped
    """Runs `generate` before the wheel is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the stubs that the wheel packs."""
        generate(Path(self.root))


if __name__ == "__main__":
    generate(Path(__file__).parent)
