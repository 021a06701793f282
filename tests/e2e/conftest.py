"""Meshes for end-to-end tests: one for each module that asks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.mesh import Mesh, running_mesh


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """A mesh on SQLite, without a model."""
    folder: Path = tmp_path_factory.mktemp("mesh")
    async with running_mesh(folder, f"sqlite:///{folder}/mesh.db") as running:
        yield running
