"""The uninstall hook at the HTTP edge: a genuine one is an alarm, a forged one is nothing."""

import hashlib
import hmac
import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOOK = json.loads((Path(__file__).parents[2] / "fixtures" / "kommo" / "uninstall_hook.json").read_text("utf-8"))
PATH = "/api/kommo/uninstall/31874205"
UUID = "3ce64c51-4f91-536b-8703-c6520b667e98"


def signature(text: str, secret: str = HOOK["client_secret"], algorithm: str = "sha256") -> str:
    return hmac.new(secret.encode(), text.encode(), getattr(hashlib, algorithm)).hexdigest()


async def uninstalled(edge) -> int:
    return (await edge.client.get("/api/kommo/webhook")).json()["checks"]["accounts_uninstalled"]


async def test_given_a_genuine_hook_when_called_then_one_alarm_that_the_status_shows(shared_edge):
    before = await uninstalled(shared_edge)
    with capture_logs() as logs:
        answers = [await shared_edge.client.request(HOOK["method"], f"{PATH}?{HOOK['query']}") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    alarms = [line for line in logs if line["event"] == "account.uninstalled"]
    assert [(line["log_level"], line["account_id"]) for line in alarms] == [("error", "31874205")]
    assert HOOK["query"].rpartition("=")[2] not in repr(logs)
    assert (before, await uninstalled(shared_edge)) == (0, 1)


@pytest.mark.parametrize(
    "query",
    [
        "",
        f"account_id=31874205&client_uuid={UUID}",
        f"account_id=31874205&client_uuid={UUID}&signature=",
        f"account_id=31874205&client_uuid={UUID}&signature={'0' * 64}",
        f"account_id=31874205&client_uuid={UUID}&signature={'%C3%B1' * 64}",
        f"account_id=31874205&client_uuid={UUID}&signature={signature(f'{UUID}|31874205', 'other')}",
        f"account_id=31874205&client_uuid={UUID}&signature={signature(f'31874205|{UUID}')}",
        f"account_id=31874205&client_uuid={UUID}&signature={signature(f'{UUID}|31874205', algorithm='sha1')}",
        f"account_id=31874206&client_uuid={UUID}&signature={signature(f'{UUID}|31874206')}",
        f"account_id=31874205&client_uuid=other&signature={signature('other|31874205')}",
        f"account_id=%FF%00&client_uuid=%ED%A0%80&signature={signature('x')}",
    ],
)
async def test_given_a_forged_hook_when_called_then_401_and_no_alarm(shared_edge, query):
    before = await uninstalled(shared_edge)
    with capture_logs() as logs:
        answer = await shared_edge.client.get(f"{PATH}?{query}")

    assert (answer.status_code, answer.json()["error"]) == (401, "unauthenticated")
    assert [line for line in logs if line["event"] == "account.uninstalled"] == []
    assert await uninstalled(shared_edge) == before


async def test_given_another_account_or_none_that_can_prove_when_called_then_401(open_edge, account_with):
    async with open_edge(account_with(integration_id="")) as edge:
        for path in (PATH, "/api/kommo/uninstall/999", "/api/kommo/uninstall/%00"):
            assert (await edge.client.get(f"{path}?{HOOK['query']}")).status_code == 401
        unsigned = f"account_id=31874205&client_uuid=&signature={signature('|31874205')}"
        assert (await edge.client.get(f"{PATH}?{unsigned}")).status_code == 401
