"""One analyzer for all tests of intent-service: it loads in half a second and holds no state."""

import pytest

from intent_service.adapters.assembly import build_analyzer


@pytest.fixture(scope="session")
def analyzer():
    return build_analyzer()
