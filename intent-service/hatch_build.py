"""Build hook that trains the intent model from the phrases, so that the package carries it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ModelBuildHook(BuildHookInterface):  # type: ignore[misc]  # hatchling's own base is untyped
    """Runs the training before the wheel is packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the model file; an editable install leaves that to `make intent-model`."""
        if version == "editable":
            return
        paths = [str(Path(self.root) / "src"), os.environ.get("PYTHONPATH", "")]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
        subprocess.run([sys.executable, "-m", "intent_service.training"], check=True, env=environ)
