"""Alerts over real sockets and over the wire: where they may go, what they say, what an answer means."""

import asyncio
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from kommo_service.adapters.alert_calls import open_alert_caller
from kommo_service.domain.alert import (
    Alert,
    AlertOutcome,
    AlertReason,
    Later,
    Refused,
    Skipped,
    Taken,
    allowed_hosts,
    is_allowed,
    outcome_of,
)
from kommomesh.common.v1 import common_pb2 as common
from kommomesh.kommo.v1 import account_check_pb2 as check_pb
from kommomesh.kommo.v1 import alert_pb2 as pb
from kommomesh_runtime.accounts import Account, SecretRef
from kommomesh_runtime.deadline import budget
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.handoff import HandoffSettings
from kommomesh_runtime.parsing import from_time

SECRET = "an alert secret"
SIMULATOR = "http://127.0.0.1:8090"
CALLED = datetime(2026, 9, 1, 11, 30, tzinfo=UTC)
ALERT = Alert("d-1", "12345", "c-1", "nobody_came", "human_request", "high", CALLED, CALLED, "https://mesh.example/t-1")


def account(url: str | None, *, secrets: tuple[str, ...] = (SECRET,), base_url: str = SIMULATOR) -> Account:
    refs = tuple(SecretRef(value=SecretStr(one)) for one in secrets)
    return Account(
        id="12345",
        subdomain="test",
        kommo_base_url=base_url,
        handoff=HandoffSettings(alert_url=url),
        secrets={"alert_secret": refs},
    )


async def called(of: Account, clock: Any, hosts: str = "") -> AlertOutcome:
    async with open_alert_caller(allowed_hosts(hosts), clock.now) as caller:
        return await caller.call(of, ALERT)


async def test_given_an_address_when_called_then_it_gets_signed_facts_and_no_words(peer, clock):
    peer.will(204)
    assert await called(account(f"{peer.url}/hook?x=1", secrets=("newest", "older")), clock) == Taken()
    (asked,) = peer.seen
    assert (asked.method, asked.target, asked.headers["idempotency-key"]) == ("POST", "/hook?x=1", "d-1")
    timestamp = asked.headers["x-mesh-timestamp"]
    assert timestamp == str(int(clock.now().timestamp()))
    signed = hmac.new(b"newest", timestamp.encode() + b"." + asked.body, hashlib.sha256).hexdigest()
    assert asked.headers["x-mesh-signature"] == f"sha256={signed}"
    assert "authorization" not in asked.headers
    assert json.loads(asked.body) == {
        "id": "d-1",
        "account_id": "12345",
        "conversation_id": "c-1",
        "kind": "nobody_came",
        "reason": "human_request",
        "priority": "high",
        "since": "2026-09-01T11:30:00Z",
        "created": "2026-09-01T11:30:00Z",
        "trace_url": "https://mesh.example/t-1",
    }


@pytest.mark.parametrize(
    ("of", "outcome"),
    [
        (account(None), Skipped(AlertReason.NO_ALERT_URL)),
        (account("https://hooks.example.com/x"), Refused(AlertReason.HOST_NOT_ALLOWED)),
        (account("http://127.0.0.1:9/x", base_url="https://test.kommo.com"), Refused(AlertReason.HOST_NOT_ALLOWED)),
        (account("http://127.0.0.1:9/x", secrets=()), Refused(AlertReason.SECRET_MISSING)),
        (account("http://127.0.0.1:9/x"), Later(AlertReason.UNREACHABLE)),
    ],
)
async def test_given_no_address_that_may_be_called_when_asked_then_nothing_leaves(clock, of, outcome):
    assert await called(of, clock) == outcome


@pytest.mark.parametrize(
    ("url", "is_fine"),
    [
        ("https://hooks.example.com/x", True),
        ("https://HOOKS.example.com:443/x", True),
        ("https://hooks.example.com:8443/x", False),
        ("https://ops.example.com:8443/x", True),
        ("https://ops.example.com/x", False),
        ("https://evil.example/hooks.example.com", False),
        ("https://hooks.example.com.evil.example/x", False),
        ("https://hooks.example.com@evil.example/x", False),
        ("http://hooks.example.com/x", False),
        ("http://localhost:1/x", True),
        ("http://127.0.0.1.evil.example/x", False),
        ("http://169.254.169.254/latest", False),
    ],
)
def test_given_an_address_when_looked_at_then_only_the_operators_hosts_will_do(url, is_fine):
    hosts = allowed_hosts(" hooks.example.com,Ops.example.com:8443,, ")
    assert is_allowed(url, hosts, SIMULATOR) is is_fine


@pytest.mark.parametrize(
    ("status", "retry_after", "outcome"),
    [
        (200, "", Taken()),
        (302, "", Refused(AlertReason.REDIRECTED)),
        (400, "", Refused(AlertReason.NOT_WANTED)),
        (410, "", Refused(AlertReason.NOT_WANTED)),
        (429, "40", Later(AlertReason.UNAVAILABLE, 40.0)),
        (503, "0", Later(AlertReason.UNAVAILABLE, 1.0)),
        (503, "99999", Later(AlertReason.UNAVAILABLE, 600.0)),
        (500, "Wed, 21 Oct 2026 07:28:00 GMT", Later(AlertReason.UNAVAILABLE, 15.0)),
    ],
)
def test_given_an_answer_when_read_then_only_what_may_pass_is_tried_again(status, retry_after, outcome):
    assert outcome_of(status, retry_after) == outcome


async def test_given_a_redirect_when_called_then_it_is_not_followed(peer, clock):
    peer.will(307, None, Location=f"{peer.url}/elsewhere")
    assert await called(account(f"{peer.url}/hook"), clock) == Refused(AlertReason.REDIRECTED)
    assert len(peer.seen) == 1


@pytest.mark.parametrize("behaviour", ["reset", "close"])
async def test_given_a_connection_that_breaks_when_called_then_it_is_tried_again_later(peer, clock, behaviour):
    peer.does(lambda exchange: getattr(exchange, behaviour)())
    assert await called(account(f"{peer.url}/hook"), clock) == Later(AlertReason.UNREACHABLE)


async def test_given_an_endless_answer_when_called_then_nothing_of_it_is_read(peer, clock):
    written = 0

    async def endless(exchange):
        nonlocal written
        exchange.writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            exchange.writer.write(b"x" * 65_536)
            await exchange.writer.drain()
            written += 65_536

    peer.does(endless)
    assert await called(account(f"{peer.url}/hook"), clock) == Taken()
    assert written < 64 * 1024 * 1024


async def test_given_an_address_that_hangs_when_called_then_it_ends_with_the_callers_time(peer, clock):
    peer.does(lambda exchange: asyncio.Event().wait())
    with budget(0.3):
        assert await called(account(f"{peer.url}/hook"), clock) == Later(AlertReason.TIMED_OUT)


@pytest.fixture
async def stub(peer, served):
    async with served(account(f"{peer.url}/hook")) as found:
        yield found


def request(**changes: Any) -> pb.SendAlertRequest:
    fields = {
        "delivery_id": "d-1",
        "account_id": "12345",
        "conversation_id": "c-1",
        "kind": "package_waiting",
        "reason": "kommo_unavailable",
        "priority": common.PRIORITY_CRITICAL,
        "since_time": from_time(CALLED),
    }
    return pb.SendAlertRequest(**{**fields, **changes})


async def test_given_an_address_that_is_down_at_first_when_called_twice_then_the_key_is_the_same(peer, stub):
    peer.will(503, None, **{"Retry-After": "7"})
    peer.will(200, "ok")
    first = await stub.SendAlert(request())
    assert (first.outcome, first.reason, first.retry_after.seconds) == (
        pb.ALERT_OUTCOME_RETRY_LATER,
        "alert_unavailable",
        7,
    )
    second = await stub.SendAlert(request())
    assert (second.outcome, second.reason) == (pb.ALERT_OUTCOME_TAKEN, "")
    assert [one.headers["idempotency-key"] for one in peer.seen] == ["d-1", "d-1"]
    assert [json.loads(one.body)["priority"] for one in peer.seen] == ["critical", "critical"]
    assert json.loads(peer.seen[0].body)["created"] is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"account_id": "nobody"}, "NOT_FOUND"),
        ({"delivery_id": ""}, "INVALID_ARGUMENT"),
        ({"kind": "Ana dijo que no"}, "INVALID_ARGUMENT"),
        ({"reason": "+54 11 5555-1234"}, "INVALID_ARGUMENT"),
        ({"trace_url": "x" * 601}, "INVALID_ARGUMENT"),
    ],
)
async def test_given_a_request_that_names_nothing_when_called_then_refused(peer, stub, changes, code):
    with pytest.raises(RemoteError) as caught:
        await stub.SendAlert(request(**changes))
    assert caught.value.code == code
    assert peer.seen == []


async def test_given_an_address_that_may_not_be_called_when_the_account_is_checked_then_the_remedy_is_named(
    simulator, served, account_of
):
    handoff = HandoffSettings(alert_url="https://hooks.example.com/x")
    wrong = {}
    for hosts in ("", "hooks.example.com"):
        async with served(account_of(simulator, handoff=handoff), alert_hosts=hosts) as stub:
            response = await stub.CheckAccount(check_pb.CheckAccountRequest(account="12345"))
        wrong[hosts] = {one.check: one.remedy for one in response.findings if one.remedy}
    assert "Add hooks.example.com to MESH_ALERT_HOSTS" in wrong[""]["alert_address"]
    assert "alert_address" not in wrong["hooks.example.com"]
    assert "alert_secret" in wrong[""]["secrets.alert_secret"]
