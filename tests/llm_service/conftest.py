"""The example business and a scripted model for every test of llm-service."""

from collections.abc import AsyncIterator

import pytest
from support.scripted_model import ModelServer, running_model_server

from llm_service.adapters.library import Business, load_business


@pytest.fixture(scope="session")
def business() -> Business:
    return load_business(None)


@pytest.fixture
async def model_server() -> AsyncIterator[ModelServer]:
    async with running_model_server() as peer:
        yield peer
