"""Faults on demand: what the caller sees, and what the client gets all the same."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import pytest


@pytest.mark.parametrize(("action", "accepted"), [("status", 0), ("status_after", 1)])
async def test_given_a_status_fault_when_sent_then_it_is_answered_so(start, action, accepted):
    kommo = await start()
    talk_id = (await kommo.play())["talk_id"]
    await kommo.fault(action, status=504, body="<html><body>504</body></html>")
    failed, fine = await kommo.send(talk_id), await kommo.send(talk_id)
    assert (failed.status_code, failed.headers["content-type"], fine.status_code) == (504, "text/html", 202)
    assert len(await kommo.deliveries()) == accepted + 1


@pytest.mark.parametrize(
    ("action", "error", "accepted"),
    [
        ("timeout_before", httpx.ReadTimeout, 0),
        ("timeout_after", httpx.ReadTimeout, 1),
        ("reset_before", httpx.RemoteProtocolError, 0),
        ("reset_after", httpx.RemoteProtocolError, 1),
    ],
)
async def test_given_a_broken_exchange_when_sent_then_only_after_faults_deliver(start, action, error, accepted):
    kommo = await start()
    talk_id = (await kommo.play())["talk_id"]
    await kommo.fault(action)
    with pytest.raises((error, httpx.ReadError)):
        await kommo.send(talk_id, timeout=httpx.Timeout(60, read=0.5 if action.startswith("timeout") else 60))
    await kommo.eventually("/control/requests?operation=send_message", lambda body: body["requests"])
    assert len(await kommo.deliveries()) == accepted
    logged = (await kommo.client.get("/control/requests?operation=send_message")).json()["requests"]
    assert [(entry["status"], entry["fault"]) for entry in logged] == [(None, action)]


async def test_given_a_delivery_error_when_sent_then_202_and_later_the_status_is_error(start):
    kommo = await start()
    played = await kommo.play()
    await kommo.fault("delivery_error")
    assert (await kommo.send(played["talk_id"])).status_code == 202
    path = "/control/deliveries?delivery_status=error"
    assert await kommo.eventually(path, lambda body: len(body["deliveries"]) == 1)
    assert await kommo.deliveries() == []


async def test_given_a_delay_when_sent_then_the_message_is_still_accepted(start):
    kommo = await start()
    talk_id = (await kommo.play())["talk_id"]
    await kommo.fault("delay", delay_seconds=0.05)
    assert (await kommo.send(talk_id)).status_code == 202


async def test_given_skip_and_times_when_sent_then_only_those_requests_fail(start):
    kommo = await start()
    talk_id = (await kommo.play())["talk_id"]
    await kommo.fault("status", status=503, skip=1, times=2, match={"method": "post", "path": r"/talks/\d+/send"})
    statuses = [(await kommo.send(talk_id)).status_code for _ in range(5)]
    assert statuses == [202, 503, 503, 202, 202]
    faults = (await kommo.client.get("/control/faults")).json()["faults"]
    assert [(fault["happened"], fault["left"]) for fault in faults] == [(2, 0)]


async def test_given_faults_when_withdrawn_then_requests_pass(start):
    kommo = await start()
    talk_id = (await kommo.play())["talk_id"]
    await kommo.fault("status", times=5)
    assert (await kommo.client.delete("/control/faults")).status_code == 204
    assert (await kommo.send(talk_id)).status_code == 202


@pytest.mark.parametrize(
    "order", [{"action": "explode"}, {"action": "status", "match": {"path": "["}}, {"action": "status", "typo": 1}]
)
async def test_given_a_wrong_order_when_posted_then_400(start, order):
    kommo = await start()
    assert (await kommo.client.post("/control/faults", json=order)).status_code == 400


async def test_given_a_swallowed_message_when_sent_then_it_is_accepted_and_appears_nowhere(start):
    kommo = await start()
    played = await kommo.play()
    await kommo.fault("swallow")
    answer = await kommo.send(played["talk_id"])
    assert (answer.status_code, len(answer.json()["id"])) == (202, 36)
    assert await kommo.deliveries() == []
    listed = (await kommo.client.get(f"/api/v4/talks/{played['talk_id']}/messages")).json()
    assert [message["type"] for message in listed["_embedded"]["messages"]] == ["incoming"]


async def test_given_a_field_that_is_overwritten_when_patched_then_another_text_stands_there(start):
    kommo = await start()
    lead = f"/api/v4/leads/{(await kommo.play())['lead_id']}"
    await kommo.fault("overwrite_field", body="de otra persona", match={"operation": "patch_lead"})
    change = {"custom_fields_values": [{"field_id": 7, "values": [{"value": "nuestro"}]}]}
    assert (await kommo.client.patch(lead, json=change)).status_code == 200
    fields = (await kommo.client.get(lead)).json()["custom_fields_values"]
    assert fields == [{"field_id": 7, "values": [{"value": "de otra persona"}]}]


async def test_given_headers_when_a_status_is_answered_then_it_carries_them(start):
    kommo = await start()
    talk_id = (await kommo.play())["talk_id"]
    await kommo.fault("status", status=302, headers={"Location": "https://elsewhere.example/"})
    answer = await kommo.send(talk_id, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (302, "https://elsewhere.example/")


async def test_given_a_caller_who_leaves_when_delayed_then_the_request_is_carried_out_all_the_same(start):
    kommo = await start()
    played = await kommo.play()
    await kommo.fault("delay", delay_seconds=1.0)
    with pytest.raises(httpx.ReadTimeout):
        await kommo.send(played["talk_id"], timeout=httpx.Timeout(60, read=0.1))
    path = f"/control/deliveries?chat_id={played['chat_id']}"
    assert await kommo.eventually(path, lambda body: len(body["deliveries"]) == 1)


async def test_given_a_clock_ahead_when_asked_then_answers_and_messages_are_dated_so(start):
    kommo = await start(clock_ahead_seconds=7200.0)
    answer = await kommo.client.get("/api/v4/account")
    ahead = parsedate_to_datetime(answer.headers["date"]) - datetime.now(UTC)
    assert 7000 < ahead.total_seconds() < 7400
    played = await kommo.play()
    (message,) = (await kommo.client.get(f"/control/chats/{played['chat_id']}/messages")).json()["messages"]
    assert message["created_at"] - datetime.now(UTC).timestamp() > 7000
