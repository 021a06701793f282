"""Secrets that rotate, and a stop that fails no request."""

import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest
from structlog.testing import capture_logs

from gateway.adapters.authentication import Keyring
from gateway.settings import GatewaySettings
from gateway.web import RunningWeb, running_web
from kommomesh_runtime.accounts import Accounts, SecretRef

FORM = "account[id]=31874205&message[add][0][id]=m1&message[add][0][chat_id]=c1"


async def drained(web: RunningWeb) -> None:
    async with asyncio.timeout(60):
        while not web.drain.is_draining:
            await asyncio.sleep(0.01)


async def test_given_request_in_flight_when_stopped_then_it_is_answered_first(edge, account_with):
    settings = GatewaySettings(port=0, drain_seconds=0, conversation_address=edge.conversation_address)
    stack = AsyncExitStack()
    web = await stack.enter_async_context(running_web(settings, Accounts.of(account_with()), environ={}))
    edge.stored.open.clear()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{web.port}", timeout=60, trust_env=False) as client:
        posted = asyncio.create_task(client.post("/api/kommo/webhook/fixture-webhook-secret", content=FORM))
        await edge.stored.entered.wait()
        closing = asyncio.create_task(stack.aclose())
        await drained(web)
        edge.stored.open.set()
        answer = await posted
        await closing
        with pytest.raises(httpx.ConnectError):
            await client.get("/healthz")

    assert (answer.status_code, answer.json()["messagesQueued"]) == (200, 1)


def test_given_secret_file_when_rotated_then_both_count_and_then_the_new_one(account_with, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("old-secret\n")
    account = account_with(secrets={"webhook_secret": (SecretRef(file=new), SecretRef(file=old))})
    at = [0.0]
    keyring = Keyring(Accounts.of(account), {}, lambda: at[0])

    def taken() -> list[bool]:
        return [bool(keyring.accounts_of_secret(secret)) for secret in ("old-secret", "new-secret", "")]

    assert taken() == [True, False, False]
    new.write_text("new-secret")
    at[0] = 10.0
    assert taken() == [True, True, False]
    old.unlink()
    at[0] = 20.0
    assert taken() == [False, True, False]


@pytest.mark.parametrize(
    ("changes", "closed"),
    [
        ({}, {}),
        ({"guide_webhook": "closed"}, {"guide": "guide_webhook is closed"}),
        ({"channel": None}, {"chats": "no channel"}),
        (
            {"secrets": {}, "guide_webhook": "signed"},
            {
                "crm": "no webhook_secret",
                "chats": "no channel_secret",
                "guide": "no guide_secret",
                "salesbot": "no client_secret",
            },
        ),
        ({"public_url": ""}, {"salesbot": "no public_url"}),
        ({"integration_id": ""}, {"salesbot": "no integration_id"}),
    ],
)
async def test_given_account_that_lacks_something_when_started_then_told(open_edge, account_with, changes, closed):
    with capture_logs() as logs:
        async with open_edge(account_with(**changes)):
            pass

    told = [line["closed"] for line in logs if line["event"] == "webhooks.closed"]
    assert told == ([closed] if closed else [])
