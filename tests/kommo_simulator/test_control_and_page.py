"""The control API, the chat page, the settings, the limits and the command."""

import asyncio
import json
import signal
import sys
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from kommo_simulator.limits import Quota, RateLimit, Verdict
from kommo_simulator.settings import SimulatorSettings


async def test_given_the_page_when_loaded_then_all_comes_from_here_under_a_strict_policy(start):
    kommo = await start()
    page, style, script = [await kommo.client.get(path) for path in ("/", "/page.css", "/page.js")]
    assert [answer.status_code for answer in (page, style, script)] == [200, 200, 200]
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert page.headers["content-type"].startswith("text/html")
    assert "http" not in page.text.replace("http-equiv", "")
    assert "<script>" not in page.text
    assert "style=" not in page.text


async def test_given_a_dialogue_when_the_chat_is_read_then_both_sides_stand_in_order(start):
    kommo = await start()
    played = await kommo.play("uno", created_at=1000)
    await kommo.send(played["talk_id"], "dos")
    await kommo.client.post("/control/colleague-messages", json={"chat_id": played["chat_id"], "text": "tres"})
    shown = (await kommo.client.get(f"/control/chats/{played['chat_id']}/messages")).json()
    rows = [(message["text"], message["author_type"], message["via"]) for message in shown["messages"]]
    assert rows == [("uno", "external", "client"), ("dos", "bot", "talk_message"), ("tres", "internal", "inbox")]
    chats = (await kommo.client.get("/control/chats")).json()["chats"]
    assert [(chat["chat_id"], chat["messages"]) for chat in chats] == [(played["chat_id"], 3)]


async def test_given_requests_when_logged_then_control_calls_are_not_among_them(start):
    kommo = await start()
    await kommo.send((await kommo.play())["talk_id"])
    await kommo.client.get("/api/v4/talks/999999")
    logged = (await kommo.client.get("/control/requests")).json()["requests"]
    assert [(entry["operation"], entry["status"]) for entry in logged] == [("send_message", 202), ("get_talk", 404)]


async def test_given_a_reset_when_webhooks_wait_for_retries_then_nothing_is_left(start, receiver):
    receiver.statuses = [500] * 10
    kommo = await start(webhook_urls=(receiver.url,), time_scale=1000.0)
    await kommo.play()
    await receiver.until(lambda: len(receiver.hooks) == 3)
    assert (await kommo.client.post("/control/reset")).status_code == 204
    found = await kommo.quiet()
    assert (found["attempts"], len(found["subscriptions"])) == ([], 1)
    assert (await kommo.client.get("/control/status")).json()["chats"] == 0
    receiver.statuses.clear()
    await kommo.play()
    assert len((await kommo.quiet())["attempts"]) == 3


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/control/client-messages", {"text": 5}, 400),
        ("/control/client-messages", {"copies": 101}, 400),
        ("/control/client-messages", {"typo": 1}, 400),
        ("/control/colleague-messages", {"chat_id": "none", "text": "x"}, 404),
        ("/control/talks/1/close", {}, 404),
        ("/control/messages/none/status", {"delivery_status": "read"}, 404),
    ],
)
async def test_given_a_wrong_order_when_posted_then_the_problem_is_named(start, path, body, status):
    kommo = await start()
    refused = await kommo.client.post(path, json=body)
    assert (refused.status_code, refused.json()["status"]) == (status, status)


async def test_given_a_page_of_another_site_when_it_calls_the_control_api_then_403(start):
    kommo = await start()
    foreign = await kommo.client.post("/control/reset", headers={"Origin": "https://example.com"})
    own = await kommo.client.post("/control/reset", headers={"Origin": kommo.running.url})
    assert (foreign.status_code, own.status_code) == (403, 204)


async def test_given_a_body_beyond_the_limit_when_posted_then_413(start):
    kommo = await start()
    refused = await kommo.client.post("/control/client-messages", content=b"x" * 1_100_000)
    assert refused.status_code == 413


def test_given_environment_when_settings_are_read_then_lists_split_and_typos_in_values_fail(monkeypatch):
    monkeypatch.setenv("MESH_SIMULATOR_WEBHOOK_URLS", "http://a/x, http://b/y")
    monkeypatch.setenv("MESH_SIMULATOR_RATE", "0")
    settings = SimulatorSettings()
    assert (settings.webhook_urls, settings.rate) == (("http://a/x", "http://b/y"), 0)
    monkeypatch.setenv("MESH_SIMULATOR_RATE", "-1")
    with pytest.raises(ValidationError):
        SimulatorSettings()


def test_given_the_defaults_when_read_then_the_local_account_results():
    settings = SimulatorSettings()
    assert (settings.account_id, settings.subdomain, settings.port) == (12345, "test", 8090)
    assert settings.access_token.get_secret_value() == "local-development-token"
    assert settings.scope_id == f"{settings.channel_id}_{settings.amojo_id}"


def test_given_a_sliding_second_when_requests_come_then_the_rate_holds_and_callers_are_apart():
    times = iter([0.0, 0.1, 0.2, 0.3, 1.05, 1.06])
    limit = RateLimit(2, 100, 60, lambda: next(times))
    verdicts = [limit.verdict(key) for key in ("a", "a", "a", "b", "a", "a")]
    allowed, refused = Verdict.ALLOWED, Verdict.TOO_MANY
    assert verdicts == [allowed, allowed, refused, allowed, allowed, refused]


def test_given_a_ban_when_its_time_is_over_then_requests_pass_again():
    times = iter([0.0, 0.1, 0.2, 0.3, 9.9, 10.3])
    limit = RateLimit(1, 1, 10, lambda: next(times))
    verdicts = [limit.verdict("a") for _ in range(6)]
    banned = Verdict.BANNED
    assert verdicts == [Verdict.ALLOWED, Verdict.TOO_MANY, banned, banned, banned, Verdict.ALLOWED]


def test_given_a_used_quota_when_the_month_turns_then_it_starts_again():
    now = datetime(2026, 11, 30, 23, 59, tzinfo=UTC).timestamp()
    times = [now]
    quota = Quota(1, lambda: times[-1])
    assert (quota.take(), quota.take()) == (True, False)
    times.append(now + 120)
    assert quota.take()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_given_the_command_when_signalled_then_it_stops_cleanly(number):
    command = (sys.executable, "-m", "kommo_simulator", "--port", "0", "--webhook-url", "http://127.0.0.1:9/x")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    started = json.loads(await process.stdout.readline())
    assert started["event"] == "simulator.started"
    _, writer = await asyncio.open_connection("127.0.0.1", started["port"])
    process.send_signal(number)
    await process.stdout.read()
    writer.close()
    assert await process.wait() == 0


@pytest.mark.parametrize("option", [("--rate", "-1"), ("--port", "70000"), ("--time-scale", "0")])
async def test_given_a_wrong_option_when_started_then_it_says_so_and_fails(option):
    command = (sys.executable, "-m", "kommo_simulator", *option)
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"Traceback" not in errors
