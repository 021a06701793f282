"""Scenario files: their errors, and whole dialogues played against a real integration over HTTP."""

import asyncio
import contextlib
import sys
from urllib.parse import parse_qsl

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kommo_simulator.scenario_file import ScenarioError, parse, shipped
from kommo_simulator.scenario_run import play
from kommo_simulator.settings import LOCAL_TOKEN

ONE_REPLY = """
title = "Saludo"
within_seconds = 60

[[steps]]
client = "Hola"

[[steps]]
expect_replies = { exactly = 1, settle_seconds = 1.0 }
"""


class EchoBot:
    """A tiny integration: answers each client message once, hands over when asked for a person."""

    def __init__(self, replies_each: int = 1) -> None:
        self.replies_each = replies_each
        self.seen: set[str] = set()
        self.silent_chats: set[str] = set()
        self.kommo: httpx.AsyncClient | None = None

    async def receive(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        root = "message[add][0]"
        if f"{root}[id]" in form and form[f"{root}[type]"] == "incoming":
            await self._answer(
                {name: form.get(f"{root}[{name}]", "") for name in ("id", "chat_id", "talk_id", "text")}, form
            )
        if form.get("outgoing_message[add][0][author][type]") == "internal":
            self.silent_chats.add(form["outgoing_message[add][0][chat_id]"])
        return Response()

    async def _answer(self, message: dict, form: dict) -> None:
        if message["id"] in self.seen or message["chat_id"] in self.silent_chats:
            return
        self.seen.add(message["id"])
        assert self.kommo is not None
        for number in range(self.replies_each):
            text = f"Recibí «{message['text']}» ({number + 1})"
            await self.kommo.post(f"/api/v4/talks/{message['talk_id']}/send_message", json={"text": text})
        if "persona" in message["text"]:
            self.silent_chats.add(message["chat_id"])
            lead = form["message[add][0][entity_id]"]
            note = [{"note_type": "common", "params": {"text": "Pide una persona"}}]
            await self.kommo.post(f"/api/v4/leads/{lead}/notes", json=note)
            task = [{"text": "Atender", "complete_till": 1, "entity_id": int(lead), "entity_type": "leads"}]
            await self.kommo.post("/api/v4/tasks", json=task)
            await self.kommo.patch(f"/api/v4/leads/{lead}", json={"tags_to_add": [{"name": "bot"}], "price": 7})


@pytest.fixture
async def mesh(start, served_app):
    """Return a starter of a simulator with the integration behind it."""
    async with contextlib.AsyncExitStack() as stack:

        async def started(**options):
            bot = EchoBot(**options)
            app = Starlette(routes=[Route("/", bot.receive, methods=["POST"])])
            url = await stack.enter_async_context(served_app(app))
            kommo = await start(webhook_urls=(url,), raise_unsorted=False, raise_talk_events=False)
            client = httpx.AsyncClient(
                base_url=kommo.running.url, headers={"Authorization": f"Bearer {LOCAL_TOKEN}"}, timeout=30
            )
            bot.kommo = await stack.enter_async_context(client)
            return kommo

        yield started


async def _played(kommo, text):
    lines = []
    verdict = await play(parse(text, "file.toml"), kommo.running.url, lines.append)
    return verdict, "\n".join(lines)


async def test_given_a_bot_that_answers_once_when_played_then_it_passes_with_a_transcript(mesh):
    verdict, transcript = await _played(await mesh(), ONE_REPLY)
    assert (verdict.passed, verdict.checks, verdict.failure) == (True, 1, None)
    assert "client       Hola" in transcript
    assert "bot          Recibí «Hola» (1)" in transcript


async def test_given_a_bot_that_answers_twice_when_one_reply_is_expected_then_it_fails_naming_line_and_step(mesh):
    verdict, transcript = await _played(await mesh(replies_each=2), ONE_REPLY)
    assert not verdict.passed
    assert verdict.failure == "file.toml:8: expect_replies: 2 replies, expected 1"
    assert "FAILED" in transcript


async def test_given_earlier_replies_when_a_reply_is_expected_then_only_those_since_the_last_word_count(mesh):
    text = """
title = "Dos preguntas"
within_seconds = 60
steps = [
  { client = "uno" },
  { expect_reply = { contains = "uno" } },
  { client = "dos" },
  { expect_reply = { contains = "dos", lacks = "uno" } },
  { expect_reply = { contains = "uno", within_seconds = 0.1 } },
]
"""
    verdict, _ = await _played(await mesh(), text)
    assert verdict.failure == "file.toml:9: expect_reply: no reply contains ['uno'] (waited 0.1 s)"


async def test_given_a_hand_over_when_played_then_note_task_tag_lead_and_silence_are_found(mesh):
    text = """
title = "Persona"
within_seconds = 60
client = { name = "Elena", origin = "telegram" }
steps = [
  { client = "quiero una PERSONA, una persona" },
  { expect_reply = { contains = ["recibi", "PERSONA"], matches = 'una persona.*1\\)', lacks = "(2)" } },
  { expect_reply = { delivery_status = "delivered" } },
  { expect_note = { contains = "una persona", exactly = 1 } },
  { expect_task = { exactly = 1 } },
  { expect_tag = { name = "bot" } },
  { expect_lead = { values = { price = 7 } } },
  { expect_requests = { operation = "send_message", exactly = 1, status = 202 } },
  { client = "¿hola?" },
  { expect_no_reply = { seconds = 0.3 } },
]
"""
    verdict, transcript = await _played(await mesh(), text)
    assert (verdict.failure, verdict.checks) == (None, 8), transcript


async def test_given_a_person_on_the_phone_when_they_write_then_the_talk_reopens_and_the_bot_stays_silent(mesh):
    text = """
title = "Teléfono"
within_seconds = 60
steps = [
  { client = "hola" },
  { expect_reply = { contains = "hola" } },
  { colleague = { text = "sigo yo", device = "phone" } },
  { wait = 1.0 },
  { client = "gracias" },
  { expect_no_reply = { seconds = 0.3 } },
  { close_talk = {} },
  { reopen_talk = {} },
  { client = { text = "otra", chat = "b" } },
  { expect_reply = { contains = "otra", chat = "b" } },
]
"""
    verdict, transcript = await _played(await mesh(), text)
    assert verdict.passed, transcript


async def test_given_changes_of_the_simulator_when_the_scenario_ends_then_they_are_undone(mesh):
    kommo = await mesh()
    before = (await kommo.client.get("/control/settings")).json()
    text = """
title = "Cupo"
within_seconds = 60
steps = [
  { settings = { quota = 5, quota_used = 5 } },
  { settings = { plan_has_addon = false } },
  { fault = { action = "status", match = { operation = "get_talk" } } },
  { hold_webhooks = ["add_message"] },
  { client = "uno" },
  { release_webhooks = { order = "reverse" } },
  { expect_requests = { operation = "send_message", exactly = 1, status = 402 } },
  { subscriptions = { disabled = true } },
  { expect_reply = { within_seconds = 0.2 } },
]
"""
    verdict, _ = await _played(kommo, text)
    assert verdict.failure == "file.toml:13: expect_reply: no reply came (waited 0.2 s)"
    assert (await kommo.client.get("/control/settings")).json() == before
    assert (await kommo.client.get("/control/faults")).json() == {"faults": []}
    webhooks = await kommo.webhooks()
    assert (webhooks["holds"], [s["disabled"] for s in webhooks["subscriptions"]]) == ([], [False])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'title = "x"\n[[steps]]\nclient = "a"\n[[steps]]\nexpect_reply = { contians = "x" }',
            "f:5: steps[1].expect_reply",
        ),
        ('title = "x"\n[[steps]]\n[steps.expect_reply]\nmatches = "("', "f:"),
        (
            'title = "x"\n[[steps]]\n[steps.expect_reply]\nwithin_seconds = "y"',
            "f:4: steps[0].expect_reply.within_seconds",
        ),
        ('title = "x"\n[[steps]]\nklient = "a"', "f:3: steps[0].klient: unknown step"),
        ('title = "x"\n[[steps]]\nclient = "a"\nwait = 1', "f:2: steps[0]: a step has exactly one"),
        ('title = "x"\n[[steps]]\nwait = -1', "f:3: steps[0].wait.seconds"),
        ('title = "x"\nsteps = []', "f: steps: there is none"),
        ('title = "x"\nfoo = 1\nsteps = [{ wait = 1 }]', "f:2: foo: Object contains unknown field"),
        ("steps = [{ wait = 1 }]", "missing required field `title`"),
        ("title = 5 x", "f: Expected newline or end of document after a statement (at line 1"),
        (
            'title = "x"\n[[steps]]\nclient = """\n[[steps]]\n"""\n[[steps]]\nfault = { action = "no" }',
            "f:7: steps[1].fault.action",
        ),
    ],
)
def test_given_a_wrong_file_when_read_then_file_line_and_field_are_named(text, expected):
    with pytest.raises(ScenarioError) as caught:
        parse(text, "f")
    assert expected in str(caught.value)


def test_given_several_wrong_steps_when_read_then_all_are_named_at_once():
    with pytest.raises(ScenarioError) as caught:
        parse('title = "x"\n[[steps]]\nwait = "a"\n[[steps]]\nclient = 5', "f")
    assert [row.split(" ")[0] for row in str(caught.value).splitlines()] == [
        "f:3:",
        "f:5:",
    ]


@pytest.mark.parametrize("name", sorted(shipped()))
def test_given_a_shipped_scenario_when_read_then_it_is_valid(name):
    scenario = parse(shipped()[name], name)
    assert any(placed.verb.startswith("expect_") for placed in scenario.steps)


async def _command(*arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kommo_simulator",
        "scenario",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    return process.returncode, out.decode(), errors.decode()


async def test_given_the_command_when_run_then_its_status_tells_passed_failed_and_invalid(mesh, tmp_path):
    kommo = await mesh()
    good, wrong, bad = tmp_path / "good.toml", tmp_path / "wrong.toml", tmp_path / "bad.toml"
    good.write_text(ONE_REPLY)
    wrong.write_text(ONE_REPLY.replace("exactly = 1", "exactly = 0"))
    bad.write_text('title = "x"\n[[steps]]\nclient = 5')
    at = ("--url", kommo.running.url)
    status, out, _ = await _command(str(good), *at)
    assert (status, "── passed; 1 checks held" in out) == (0, True)
    status, out, _ = await _command(str(good), str(wrong), *at)
    assert (status, "1 of 2 passed" in out) == (1, True)
    status, _, errors = await _command(str(bad), *at)
    assert (status, f"{bad}:3: steps[0].client" in errors) == (2, True)
    status, out, _ = await _command(str(good), "--url", "http://127.0.0.1:1", "--json")
    assert (status, '"passed":false' in out) == (1, True)
    status, out, _ = await _command("--list")
    assert (status, "Kommo falla al enviar" in out) == (0, True)
    status, _, _ = await _command("no-such-file")
    assert status == 2
