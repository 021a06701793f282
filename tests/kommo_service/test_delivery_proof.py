"""The proof of delivery: the rules, GetDeliveryProof, ListTalkMessages and `kommomesh talks` against the simulator."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.kommo_sends import DELIVERY, fault, new_chat, now, request
from support.kommomesh_command import kommomesh

from kommo_service.domain.delivery_proof import Found, Sought, Status, proofs, shown
from kommo_simulator import RunningSimulator
from kommomesh.kommo.v1 import delivery_proof_pb2 as pb
from kommomesh_runtime.errors import RemoteError

NOON = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
FIXTURE = Path(__file__).parents[1] / "fixtures" / "kommo" / "rest_talk_messages.json"
LONG = "Primera parte de la respuesta, larga. Segunda parte de la respuesta, más larga."


def item(kommo_id: str, status: str | None = "delivered", text: str = "Hola", author: str = "bot", at: float = 0.0):
    return {
        "id": kommo_id,
        "type": "outgoing",
        "text": text,
        "created_at": int(NOON.timestamp() + at),
        "author": {"type": author, "name": "Bot"},
        "delivery_status": status,
    }


def sought(*ids: str, text: str = "Hola", name: str = "d-1") -> Sought:
    return Sought(name, "talk_message", ids, text, NOON)


@pytest.mark.parametrize(
    ("items", "one", "expected"),
    [
        ([item("k-1")], sought("k-1"), (Status.DELIVERED, ("k-1",))),
        ([item("k-1", "read")], sought("k-1"), (Status.READ, ("k-1",))),
        ([item("k-1", "sent")], sought("k-1"), (Status.SENT, ("k-1",))),
        ([item("k-1", "error")], sought("k-1"), (Status.ERROR, ("k-1",))),
        ([item("k-1", None)], sought("k-1"), (Status.SENT, ("k-1",))),
        ([item("k-1", "of another kind")], sought("k-1"), (Status.SENT, ("k-1",))),
        ([], sought("k-1"), (Status.ABSENT, ())),
        ([item("k-1", author="internal")], sought("k-1"), (Status.DELIVERED, ("k-1",))),
        ([item("k-1", author="external")], sought("k-1"), (Status.ABSENT, ())),
        # Of several pieces the worst counts, and a missing one is missing.
        ([item("k-1"), item("k-2", "error")], sought("k-1", "k-2"), (Status.ERROR, ("k-1", "k-2"))),
        ([item("k-1", "read"), item("k-2", "sent")], sought("k-1", "k-2"), (Status.SENT, ("k-1", "k-2"))),
        ([item("k-1")], sought("k-1", "k-2"), (Status.ABSENT, ("k-1",))),
        ([item("k-1", "error")], sought("k-1", "k-2"), (Status.ERROR, ("k-1",))),
        # Without a known id the words say it: whole, or in pieces.
        ([item("x", text=" Hola ")], sought(), (Status.DELIVERED, ("x",))),
        ([item("x", text="Hola a todos")], sought(), (Status.ABSENT, ())),
        ([item("x", at=-120)], sought(), (Status.ABSENT, ())),
        ([item("x", author="internal")], sought(), (Status.ABSENT, ())),
        (
            [item("x", text=LONG[:37]), item("y", "sent", text=LONG[38:])],
            sought(text=LONG),
            (Status.SENT, ("x", "y")),
        ),
        ([item("x", text=LONG[:37])], sought(text=LONG), (Status.ABSENT, ("x",))),
        ([item("x", text="Hola, *oferta*")], sought(text="Hola, oferta"), (Status.DELIVERED, ("x",))),
    ],
)
def test_given_a_record_when_a_message_is_looked_for_then_its_status_is_that_of_its_worst_piece(items, one, expected):
    (found,) = proofs([one], shown(items), 0.0)
    assert (found.status, found.kommo_ids) == expected


def test_given_equal_words_when_looked_for_then_each_message_proves_one_delivery():
    record = shown([item("k-1"), item("x", "error", at=1)])
    first, second, third = proofs([sought("k-1"), sought(name="d-2"), sought(name="d-3")], record, 0.0)
    assert first.kommo_ids == ("k-1",)
    assert (second.status, second.kommo_ids) == (Status.ERROR, ("x",))
    assert third == Found("d-3", Status.ABSENT)


def test_given_equal_words_of_a_message_that_was_proved_before_when_looked_for_then_they_prove_nothing_again():
    record = shown([item("k-1", at=-45)])
    (lost,) = proofs([sought("k-2")], record, 0.0, frozenset({"k-1"}))
    assert lost == Found("d-1", Status.ABSENT)


def test_given_a_piece_that_is_there_twice_when_another_is_missing_then_the_message_is_not_whole():
    record = shown([item("x", text=LONG[:37]), item("y", text=LONG[:37])])
    (found,) = proofs([sought(text=LONG)], record, 0.0)
    assert found.status is Status.ABSENT


def test_given_the_documented_answer_when_read_then_each_message_has_author_and_status():
    items = json.loads(FIXTURE.read_text())["responses"][0]["body"]["_embedded"]["messages"]
    found = {one.author: one for one in shown(items)}
    assert [one.status for one in shown(items)][:3] == [Status.READ, Status.DELIVERED, Status.ERROR]
    assert found["external"].is_outgoing is False
    assert shown([{"id": "k", "created_at": "no number", "author": None}, {"text": "without an id"}])[0].created_at == 0


def asked(chat: dict[str, Any], *ids: str, **changes: Any) -> pb.GetDeliveryProofRequest:
    message = pb.SoughtMessage(
        delivery_id=DELIVERY,
        transport="talk_message",
        kommo_message_ids=ids,
        text="**Sí**, tenemos stock.",
        send_time=now(),
    )
    fields: dict[str, Any] = {
        "account_id": "12345",
        "chat_id": chat["chat_id"],
        "talk_id": str(chat["talk_id"]),
        "contact_id": str(chat["contact_id"]),
        "origin": chat["origin"],
        "messages": [message],
    }
    return pb.GetDeliveryProofRequest(**{**fields, **changes})


async def requests_of(control: httpx.AsyncClient, operation: str) -> int:
    received = (await control.get("/control/requests")).json()["requests"]
    return sum(one["operation"] == operation for one in received)


async def test_given_a_sent_message_when_its_proof_is_asked_for_then_the_talk_tells_with_one_request(
    simulated: Any, served: Any, account_of: Any
) -> None:
    async with (
        simulated(delivery_delay_seconds=0) as simulator,
        served(account_of(simulator)) as stub,
        httpx.AsyncClient(base_url=simulator.url, timeout=60, trust_env=False) as control,
    ):
        chat = await new_chat(control)
        sent = await stub.SendMessage(request(chat))
        by_id = await stub.GetDeliveryProof(asked(chat, *sent.kommo_message_ids))
        assert await requests_of(control, "list_messages") == 1
        by_text = await stub.GetDeliveryProof(asked(chat))
    for answer in (by_id, by_text):
        (proof,) = answer.proofs
        assert (proof.status, proof.source) == (pb.DELIVERY_STATUS_DELIVERED, "talk")
        assert list(proof.kommo_message_ids) == list(sent.kommo_message_ids)


async def test_given_a_delivery_that_fails_when_asked_for_then_the_status_says_so(
    simulated: Any, served: Any, account_of: Any
) -> None:
    async with (
        simulated(delivery_delay_seconds=0) as simulator,
        served(account_of(simulator)) as stub,
        httpx.AsyncClient(base_url=simulator.url, timeout=60, trust_env=False) as control,
    ):
        chat = await new_chat(control)
        await fault(control, "delivery_error")
        sent = await stub.SendMessage(request(chat))
        (proof,) = (await stub.GetDeliveryProof(asked(chat, *sent.kommo_message_ids))).proofs
    assert proof.status == pb.DELIVERY_STATUS_ERROR


async def test_given_another_talk_that_took_it_when_looked_for_widely_then_it_is_found_there(
    stub: Any, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    sent = await stub.SendMessage(request(chat))
    await control.post(f"/control/talks/{chat['talk_id']}/close")
    answer = await control.post("/control/client-messages", json={"text": "hola", "chat_id": chat["chat_id"]})
    newer = {**chat, "talk_id": answer.json()["talk_id"]}
    assert newer["talk_id"] != chat["talk_id"]
    (narrow,) = (await stub.GetDeliveryProof(asked(newer, *sent.kommo_message_ids))).proofs
    wide = await stub.GetDeliveryProof(asked(newer, *sent.kommo_message_ids, search_other_talks=True))
    assert (narrow.status, narrow.source) == (pb.DELIVERY_STATUS_UNSPECIFIED, "")
    assert wide.proofs[0].source == "talk"


async def test_given_the_own_channel_when_asked_for_then_its_history_tells_that_it_is_there(
    simulator: RunningSimulator, served: Any, account_of: Any, control: httpx.AsyncClient
) -> None:
    origin = simulator.simulator.settings.origin
    chat = await new_chat(control, origin=origin)
    # The channel knows a client by what the history tells.
    written = await control.post("/control/client-messages", json={"text": "hola", "chat_id": chat["chat_id"]})
    assert written.status_code < 300
    async with served(account_of(simulator, transports=["own_channel"])) as stub:
        sent = await stub.SendMessage(request(chat))
        assert sent.transport == "own_channel"
        known = asked(chat, *sent.kommo_message_ids)
        unknown = asked(chat)
        for one in (known, unknown):
            one.messages[0].transport = "own_channel"
        found = [(await stub.GetDeliveryProof(one)).proofs[0] for one in (known, unknown)]
        unknown.messages[0].delivery_id = "another"
        absent = (await stub.GetDeliveryProof(unknown)).proofs[0]
    for proof in found:
        assert (proof.status, proof.source) == (pb.DELIVERY_STATUS_SENT, "history")
        assert list(proof.kommo_message_ids) == list(sent.kommo_message_ids)
    assert (absent.status, absent.source) == (pb.DELIVERY_STATUS_UNSPECIFIED, "")


@pytest.mark.parametrize(
    ("action", "more", "reason", "is_again"),
    [
        ("status", {"status": 503}, "kommo_unavailable", True),
        ("status", {"status": 429}, "rate_limited", True),
        ("status", {"status": 403, "content_type": "text/html"}, "kommo_banned", True),
        ("reset_before", {}, "connection_failed", True),
        (
            "status",
            {"status": 403, "content_type": "application/problem+json", "body": "{}"},
            "read_back_refused",
            False,
        ),
    ],
)
async def test_given_a_record_that_cannot_be_read_when_asked_for_then_the_answer_says_why_and_when_again(
    stub: Any, control: httpx.AsyncClient, action: str, more: dict[str, Any], reason: str, is_again: bool
) -> None:
    chat = await new_chat(control)
    await fault(control, action, "list_messages", times=5, **more)
    answer = await stub.GetDeliveryProof(asked(chat, "k-1"))
    assert (answer.failure_reason, answer.HasField("retry_after")) == (reason, is_again)
    assert len(answer.proofs) == 0


async def test_given_wrong_requests_when_asked_then_the_contract_names_the_error(
    stub: Any, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    wrong = [
        (stub.GetDeliveryProof, asked(chat, "k", account_id="99"), "ACCOUNT_NOT_FOUND"),
        (stub.GetDeliveryProof, asked(chat, "k", messages=[]), "INVALID_FIELD"),
        (stub.GetDeliveryProof, asked(chat, "k", chat_id=""), "INVALID_FIELD"),
        (stub.ListTalkMessages, pb.ListTalkMessagesRequest(account="99", talk_id="1"), "ACCOUNT_NOT_FOUND"),
        (stub.ListTalkMessages, pb.ListTalkMessagesRequest(account="12345", talk_id="1/close"), "INVALID_FIELD"),
        (
            stub.ListTalkMessages,
            pb.ListTalkMessagesRequest(account="12345", talk_id="1", page_size=201),
            "INVALID_FIELD",
        ),
        (
            stub.ListTalkMessages,
            pb.ListTalkMessagesRequest(account="12345", talk_id="1", page_token="eA"),
            "INVALID_FIELD",
        ),
    ]
    for call, asked_for, reason in wrong:
        with pytest.raises(RemoteError) as caught:
            await call(asked_for)
        assert caught.value.reason == reason


async def test_given_too_many_reads_when_asked_for_proofs_then_sends_keep_their_share(
    simulator: RunningSimulator, served: Any, account_of: Any, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    reasons = []
    async with served(account_of(simulator, requests_per_second=7)) as stub:
        for _ in range(12):
            try:
                await stub.GetDeliveryProof(asked(chat, "k-1"))
            except RemoteError as error:
                reasons.append((error.reason, error.retry_after is not None))
        assert (await stub.SendMessage(request(chat))).kommo_message_ids
    assert set(reasons) <= {("KOMMO_RATE_LIMITED", True)}


async def test_given_a_talk_when_its_messages_are_listed_then_pages_hold_each_once(
    stub: Any, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    for number in range(5):
        body = {"text": f"pregunta {number}", "chat_id": chat["chat_id"]}
        assert (await control.post("/control/client-messages", json=body)).status_code < 300
    found, token, pages = [], "", 0
    while True:
        page = await stub.ListTalkMessages(
            pb.ListTalkMessagesRequest(account="test", talk_id=str(chat["talk_id"]), page_size=2, page_token=token)
        )
        found += [one.text for one in page.messages]
        pages, token = pages + 1, page.next_page_token
        if not token:
            break
    assert (sorted(found), pages) == ([f"pregunta {number}" for number in range(5)], 3)
    assert {one.author for one in page.messages} == {pb.TALK_AUTHOR_CLIENT}


@pytest.mark.parametrize(
    ("settings", "talk", "code", "reason"),
    [
        ({"adopt_unknown_chats": False}, "9999", "NOT_FOUND", "TALK_NOT_FOUND"),
        ({"token_scopes": ("crm",)}, "1", "FAILED_PRECONDITION", "KOMMO_REFUSED"),
        ({"access_token": "another"}, "1", "FAILED_PRECONDITION", "KOMMO_REFUSED"),
    ],
)
async def test_given_a_talk_that_cannot_be_read_when_listed_then_a_typed_error_says_why(
    simulated: Any, served: Any, account_of: Any, settings: dict[str, Any], talk: str, code: str, reason: str
) -> None:
    secrets = {"access_token": ({"value": "local-development-token"},)}
    async with simulated(**settings) as simulator, served(account_of(simulator, secrets=secrets)) as stub:
        with pytest.raises(RemoteError) as caught:
            await stub.ListTalkMessages(pb.ListTalkMessagesRequest(account="12345", talk_id=talk))
    assert (caught.value.code, caught.value.reason) == (code, reason)


async def test_given_kommo_down_when_a_talk_is_listed_then_it_says_to_come_again(
    stub: Any, control: httpx.AsyncClient
) -> None:
    chat = await new_chat(control)
    await fault(control, "status", "list_messages", times=9, status=503)
    with pytest.raises(RemoteError) as caught:
        await stub.ListTalkMessages(pb.ListTalkMessagesRequest(account="12345", talk_id=str(chat["talk_id"])))
    assert (caught.value.code, caught.value.reason) == ("UNAVAILABLE", "KOMMO_UNAVAILABLE")
    assert caught.value.retry_after is not None


async def test_given_a_talk_when_shown_by_the_command_then_status_and_words_are_printed(
    simulated: Callable[..., Any],
) -> None:
    async with (
        simulated(delivery_delay_seconds=0) as simulator,
        httpx.AsyncClient(base_url=simulator.url, timeout=60, trust_env=False) as control,
    ):
        chat = await new_chat(control)
        headers = {"Authorization": "Bearer local-development-token"}
        sent = await control.post(
            f"/api/v4/talks/{chat['talk_id']}/send_message", json={"text": "Buenas"}, headers=headers
        )
        assert sent.status_code == 202
        place = {"MESH_SIMULATOR_URL": simulator.url}
        status, out, err = await kommomesh("talks", "messages", "12345", str(chat["talk_id"]), "--json", **place)
        (row,) = json.loads(out)
        assert (status, row["text"], row["author"], row["status"]) == (0, "Buenas", "bot", "delivered"), err
        status, _, err = await kommomesh("talks", "messages", "99", "1", **place)
        assert (status, "99" in err, "Traceback" in err) == (1, True, False)


def test_given_a_clock_ahead_at_kommo_when_looked_for_by_words_then_the_drift_counts() -> None:
    late = Sought("d-1", "", (), "Hola", NOON + timedelta(seconds=100))
    assert proofs([late], shown([item("x")]), 0.0)[0].status is Status.ABSENT
    assert proofs([late], shown([item("x")]), -60.0)[0].status is Status.DELIVERED
