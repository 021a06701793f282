"""The own channel, whole: clients behind a relay, people and the bot in Kommo, and each message once on either side."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import httpx
import pytest
import pytest_asyncio
from support.mesh import ACCOUNT, LOCAL_CHANNEL, Mesh, free_ports, running_mesh, until

from kommo_relay_example import RelaySettings, RunningRelay, running_relay
from kommomesh.conversation.v1 import conversation_pb2, conversation_service_pb2_grpc
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh_runtime.relay import signed_headers

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "relay-secret-of-the-tests"
PERSON = "Hola Elena, soy Carla, te ayudo yo."


@dataclass
class Channel:
    """A running mesh whose account has a relay, and all sides of it."""

    mesh: Mesh
    settings: RelaySettings
    conversations: Any

    async def say(self, relay: RunningRelay, text: str, conversation: str, **more: Any) -> httpx.Response:
        """Write as a client of the messenger."""
        content = {
            "conversation_id": conversation,
            "message_id": f"wamid-{uuid4()}",
            "text": text,
            "contact": {"name": "Elena V.", "phone": "+5493510000001"},
            **more,
        }
        return await relay.relay.say(content)

    async def chat(self, conversation: str) -> dict[str, Any]:
        """Return Kommo's chat of a conversation, once it is there."""

        async def look() -> dict[str, Any] | None:
            chats = (await self.mesh.kommo.get("/control/chats")).json()["chats"]
            return next((one for one in chats if one["conversation_id"] == conversation), None)

        return await until(look)

    async def in_kommo(self, conversation: str) -> list[tuple[str, str, str]]:
        """Return who said what in Kommo's chat, in order, with what the owner of the channel says of it."""
        chat = await self.chat(conversation)
        messages = (await self.mesh.kommo.get(f"/control/chats/{chat['chat_id']}/messages")).json()["messages"]
        return [(one["author_type"], one["text"], one["delivery_status"] or "") for one in messages]

    async def until_in_kommo(self, conversation: str, count: int) -> list[tuple[str, str, str]]:
        """Return what Kommo's chat holds as soon as it holds so many messages."""

        async def look() -> list[tuple[str, str, str]]:
            found = await self.in_kommo(conversation)
            return found if len(found) >= count else []

        return await until(look)

    async def until_relayed(self, relay: RunningRelay, conversation: str, count: int) -> list[tuple[str, str]]:
        """Return author and text of what the relay was asked to bring to a client, once it was so many."""

        async def look() -> list[tuple[str, str]]:
            found = relayed(relay, conversation)
            return found if len(found) >= count else []

        return await until(look)

    async def conversation(self, conversation: str) -> conversation_pb2.Conversation:
        """Return what the mesh keeps of a conversation."""
        request = service_pb.GetConversationRequest(account_id=ACCOUNT, chat_id=conversation)
        return (await self.conversations.GetConversation(request)).conversation

    async def until_floor(self, conversation: str, holder: int) -> conversation_pb2.Conversation:
        """Return the conversation once its floor has this holder."""

        async def look() -> conversation_pb2.Conversation | None:
            found = await self.conversation(conversation)
            return found if found.floor.holder == holder else None

        return await until(look)

    async def quiet(self) -> None:
        """Return when Kommo has no webhook left to send."""

        async def look() -> bool:
            return (await self.mesh.kommo.get("/control/webhooks")).json()["pending"] == 0

        await until(look)

    async def person_writes(self, text: str, conversation: str) -> None:
        """Write as a person of the company in Kommo's inbox."""
        await self.mesh.colleague_writes(text, (await self.chat(conversation))["chat_id"])


def relayed(relay: RunningRelay, conversation: str) -> list[tuple[str, str]]:
    found = [one for one in relay.relay.taken.values() if one["conversation_id"] == conversation]
    return [(one["author"]["kind"], one["text"]) for one in found]


def with_relay(account_file: Path, relay_url: str) -> None:
    """Give the account of a file a relay."""
    text = account_file.read_text()
    text = text.replace("[channel]\n", f'[channel]\nrelay_url = "{relay_url}"\nmessenger = "whatsapp"\n')
    text = text.replace("[secrets]\n", f'[secrets]\nrelay_secret = [{{value = "{SECRET}"}}]\n')
    account_file.write_text(f'transports = ["own_channel", "talk_message"]\n{text}')


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def channel(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Channel]:
    folder: Path = tmp_path_factory.mktemp("channel")
    (port,) = free_ports(1)
    people = {"MESH_ACCOUNTS_RELOAD_SECONDS": "0.2"}
    async with running_mesh(folder, f"sqlite:///{folder}/mesh.db", split_gateway=True, environ=people) as mesh:
        with_relay(folder / "accounts" / f"{ACCOUNT}.toml", f"http://127.0.0.1:{port}/messages")
        settings = RelaySettings(f"http://127.0.0.1:{mesh.ports.gateway}/api/channel/{ACCOUNT}", SECRET, port=port)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{mesh.ports.conversation}") as opened:
            stub = conversation_service_pb2_grpc.ConversationServiceStub(opened)
            found = Channel(mesh, settings, stub)
            await known_to_all(found)
            yield found


async def known_to_all(channel: Channel) -> None:
    """Wait until every service has read that the account has a relay."""
    probe = f"probe-{uuid4().hex[:8]}"
    async with running_relay(channel.settings) as relay:

        async def taken() -> bool:
            return (await channel.say(relay, "hola", probe)).status_code == 200

        await until(taken)
        await channel.until_relayed(relay, probe, 1)


@pytest_asyncio.fixture(loop_scope="module")
async def relay(channel: Channel) -> AsyncIterator[RunningRelay]:
    async with running_relay(channel.settings) as running:
        yield running


def new_conversation() -> str:
    return f"wa-{uuid4().hex[:10]}"


async def test_given_a_client_of_the_relay_when_bot_and_person_answer_then_each_message_is_once_on_both_sides(
    channel: Channel, relay: RunningRelay
):
    conversation = new_conversation()
    assert (await channel.say(relay, "¿a qué hora abren?", conversation)).json()["result"] == "stored"
    (bot_said,) = await channel.until_relayed(relay, conversation, 1)
    assert bot_said[0] == "bot"
    client, bot = await channel.until_in_kommo(conversation, 2)
    assert client[:2] == ("external", "¿a qué hora abren?")
    assert bot[:2] == ("bot", bot_said[1])
    await channel.person_writes(PERSON, conversation)
    assert (await channel.until_relayed(relay, conversation, 2))[1] == ("person", PERSON)
    await channel.until_floor(conversation, conversation_pb2.FLOOR_HOLDER_PERSON)
    assert (await channel.say(relay, "gracias!", conversation)).status_code == 200
    await channel.until_in_kommo(conversation, 4)
    await channel.quiet()
    assert relayed(relay, conversation) == [bot_said, ("person", PERSON)]
    assert [one[:2] for one in await channel.in_kommo(conversation)] == [
        client[:2],
        bot[:2],
        ("internal", PERSON),
        ("external", "gracias!"),
    ]
    kept = await channel.conversation(conversation)
    assert (kept.user_message_count, kept.bot_message_count, kept.message_count) == (2, 1, 4)
    assert (kept.talk_id != "", kept.lead_id != "", kept.phone) == (True, True, "+5493510000001")


async def test_given_a_relay_that_knows_when_it_delivered_then_kommo_shows_it_and_a_later_status_too(
    channel: Channel, relay: RunningRelay
):
    conversation = new_conversation()
    await channel.say(relay, "¿hacen envíos?", conversation)
    await channel.until_relayed(relay, conversation, 1)

    async def status_is(wanted: str) -> bool:
        found = [one for one in await channel.in_kommo(conversation) if one[0] == "bot"]
        return bool(found) and found[0][2] == wanted

    await until(lambda: status_is("delivered"))
    delivery_id = next(one["id"] for one in relay.relay.taken.values() if one["conversation_id"] == conversation)
    answer = await relay.relay.say({"type": "status", "id": delivery_id, "status": "read"})
    assert answer.json()["result"] == "stored"
    await until(lambda: status_is("read"))


async def test_given_a_relay_that_is_down_and_a_worker_that_is_killed_when_both_are_back_then_all_comes_once_in_order(
    channel: Channel,
):
    conversation, said = new_conversation(), ["uno", "dos", "tres"]
    async with running_relay(channel.settings) as relay:
        await channel.say(relay, "hola", conversation)
        await channel.until_relayed(relay, conversation, 1)
    for text in said:
        await channel.person_writes(text, conversation)
    await channel.until_floor(conversation, conversation_pb2.FLOOR_HOLDER_PERSON)

    async def was_tried() -> bool:
        return "relay_unreachable" in channel.mesh.log("kommo")

    await until(was_tried)
    await channel.mesh.kill("worker")
    await channel.mesh.start("worker")
    async with running_relay(channel.settings) as relay:
        found = await channel.until_relayed(relay, conversation, len(said))
        await channel.quiet()
        assert found == [("person", text) for text in said] == relayed(relay, conversation)


async def test_given_a_relay_that_refuses_when_the_bot_answers_then_a_person_is_called_and_kommo_shows_the_failure(
    channel: Channel,
):
    conversation = new_conversation()
    stranger = RelaySettings(channel.settings.mesh_url, "another-secret", port=channel.settings.port)
    async with running_relay(stranger) as relay:
        body = {"conversation_id": conversation, "message_id": "wamid-1", "text": "¿a qué hora abren?"}
        assert (await post_signed(channel, body)).status_code == 200
        await channel.until_floor(conversation, conversation_pb2.FLOOR_HOLDER_PERSON_WAITING)

        async def shown_as_failed() -> bool:
            found = await channel.in_kommo(conversation)
            return [one[2] for one in found if one[0] == "bot"][:1] == ["error"]

        await until(shown_as_failed)
        assert relayed(relay, conversation) == []


async def test_given_kommo_down_when_it_is_back_then_the_clients_words_are_there_in_order_before_the_answer(
    channel: Channel,
):
    conversation = new_conversation()
    fault = {"match": {"operation": "create_chat"}, "action": "status", "status": 503}
    (await channel.mesh.kommo.post("/control/faults", json=fault)).raise_for_status()
    async with running_relay(channel.settings) as relay:
        for text in ("hola", "¿a qué hora abren?"):
            assert (await channel.say(relay, text, conversation)).status_code == 200
        await channel.mesh.kill("web")
        await channel.mesh.start("web")
        found = await channel.until_in_kommo(conversation, 3)
        assert [one[1] for one in found[:2]] == ["hola", "¿a qué hora abren?"]
        assert [one[0] for one in found] == ["external", "external", *["bot"] * (len(found) - 2)]
        assert await channel.until_relayed(relay, conversation, 1)


async def post_signed(channel: Channel, content: dict[str, Any], **changes: str) -> httpx.Response:
    """Post to the channel endpoint, signed, with some headers changed."""
    body = json.dumps(content).encode()
    headers = {**signed_headers(SECRET, body, uuid4(), datetime.now(UTC)), **changes}
    return await channel.mesh.web.post(f"/api/channel/{ACCOUNT}", content=body, headers=headers)


async def test_given_a_forged_or_a_replayed_request_when_it_comes_on_either_side_then_401(
    channel: Channel, relay: RunningRelay
):
    conversation = new_conversation()
    content = {"conversation_id": conversation, "message_id": f"wamid-{uuid4()}", "text": "hola"}
    body = json.dumps(content).encode()
    headers = dict(signed_headers(SECRET, body, uuid4(), datetime.now(UTC)))
    mesh_url, relay_url = channel.settings.mesh_url, relay.relay_url
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        first = await client.post(mesh_url, content=body, headers=headers)
        replayed = await client.post(mesh_url, content=body, headers=headers)
        forged = await client.post(mesh_url, content=body + b" ", headers=headers)
        unsigned = await client.post(mesh_url, content=body)
        again = await post_signed(channel, content)
        assert [one.status_code for one in (first, replayed, forged, unsigned, again)] == [200, 401, 401, 401, 200]
        assert again.json()["result"] == "duplicate"
        ping = b'{"type": "ping"}'
        to_relay = dict(signed_headers(SECRET, ping, uuid4(), datetime.now(UTC)))
        answers = [await client.post(relay_url, content=ping, headers=to_relay) for _ in range(2)]
        answers.append(await client.post(relay_url, content=b'{"type": "typing"}', headers=to_relay))
        assert [one.status_code for one in answers] == [200, 401, 401]
        # What was signed for the mesh is nothing for the relay, and what is too large is not read to be judged.
        reflected = b'{"type": "message", "message_id": "wamid-1", "conversation_id": "c-1", "text": "hola"}'
        signed = dict(signed_headers(SECRET, reflected, uuid4(), datetime.now(UTC)))
        answers = [await client.post(relay_url, content=reflected, headers=signed)]
        answers.append(await client.post(relay_url, content=b" " * (1_048_576 + 1), headers=signed))
        assert [one.status_code for one in answers] == [400, 413]
        hook = await client.post(
            f"http://127.0.0.1:{channel.mesh.ports.gateway}/api/kommo/chats/"
            f"{LOCAL_CHANNEL['channel_id']}_{LOCAL_CHANNEL['amojo_id']}",
            content=b"{}",
            headers={"X-Signature": "0" * 40},
        )
        assert hook.status_code == 401
