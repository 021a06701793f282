"""A conversation-service on the wire, over both databases, with the hands of clients, people and workers."""

from collections.abc import AsyncIterator

import pytest
from support.conversation_mesh import Mesh, running_mesh

from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.handoff import HandoffSettings

# What a hand-over does in Kommo has tests of its own.
QUIET = HandoffSettings(note=False, task=False, person_reminder_after_seconds=0)
ACCOUNT = Account(id="12345", subdomain="test", requests_per_second=1000, handoff=QUIET)
OTHER = Account(id="777", subdomain="other", requests_per_second=1000, handoff=QUIET)


@pytest.fixture
def accounts() -> Accounts:
    return Accounts.of(ACCOUNT, OTHER)


@pytest.fixture
async def mesh(store, clock, accounts) -> AsyncIterator[Mesh]:
    async with running_mesh(store, accounts, clock) as running:
        yield running
