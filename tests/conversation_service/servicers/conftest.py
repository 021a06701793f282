"""A conversation-service on the wire, over both databases, with the hands of clients, people and workers."""

from collections.abc import AsyncIterator

import pytest
from support.conversation_mesh import Mesh, running_mesh

from kommomesh_runtime.accounts import Account, Accounts

ACCOUNT = Account(id="12345", subdomain="test", requests_per_second=1000)
OTHER = Account(id="777", subdomain="other", requests_per_second=1000)


@pytest.fixture
def accounts() -> Accounts:
    return Accounts.of(ACCOUNT, OTHER)


@pytest.fixture
async def mesh(store, clock, accounts) -> AsyncIterator[Mesh]:
    async with running_mesh(store, accounts, clock) as running:
        yield running
