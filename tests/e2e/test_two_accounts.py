"""Two accounts with the same chat and message ids share nothing, and the second joins while the mesh runs."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import grpc
import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr
from support.mesh import ACCOUNT, ACCOUNT_TOML, WEBHOOK_SECRET, Mesh, running_mesh, until

from kommo_simulator import SimulatorSettings, running_simulator
from kommomesh.conversation.v1 import conversation_pb2, conversation_service_pb2_grpc
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh.llm.v1 import knowledge_service_pb2 as knowledge_pb
from kommomesh.llm.v1 import knowledge_service_pb2_grpc as knowledge_grpc
from kommomesh_runtime.profile import example_profile_dir

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER = "67890"
OTHER_SECRET = "Zt7hQ9wLx2RkV4nBf8Ty3mPd6sJc1gAe"
OTHER_TOKEN = "token-of-the-other-account"
OTHER_CHANNEL = {
    "channel_id": "11111111-2222-5333-8444-555555555555",
    "amojo_id": "22222222-3333-5444-8555-666666666666",
    "bot_id": "33333333-4444-5555-8666-777777777777",
    "channel_secret": "0123456789abcdef0123456789abcdef01234567",
}
GREETING = '\n[texts.greeting]\nes = "Buenas, acá Ferretería El Tornillo."\n'


@dataclass
class Both:
    """A running mesh with two accounts, and the Kommo of each."""

    mesh: Mesh
    kommo: dict[str, httpx.AsyncClient]
    conversations: Any

    async def client_writes(self, account: str, text: str, chat: str, message_id: str = "") -> None:
        body = {"text": text, "chat_id": chat, "id": message_id or str(uuid4())}
        (await self.kommo[account].post("/control/client-messages", json=body)).raise_for_status()

    async def replies(self, account: str, chat: str) -> list[str]:
        answer = await self.kommo[account].get("/control/deliveries", params={"chat_id": chat})
        return [one["text"] for one in answer.json()["deliveries"] if one["via"] != "inbox"]

    async def reply(self, account: str, chat: str) -> list[str]:
        return await until(lambda: self.replies(account, chat))

    async def conversation(self, account: str, chat: str) -> conversation_pb2.Conversation:
        request = service_pb.GetConversationRequest(account_id=account, chat_id=chat)
        return (await self.conversations.GetConversation(request)).conversation

    async def messages(self, account: str, chat: str) -> list[conversation_pb2.Message]:
        found = await self.conversation(account, chat)
        request = service_pb.ListMessagesRequest(conversation_id=found.id)
        return list((await self.conversations.ListMessages(request)).messages)

    async def posts(self, secret: str, account: str) -> int:
        """Post a message of an account with a secret, as Kommo would; return the status."""
        form = {"account[id]": account, "message[add][0][id]": str(uuid4()), "message[add][0][chat_id]": "forged"}
        return (await self.mesh.web.post(f"/api/kommo/webhook/{secret}", data=form)).status_code


def write_other_business(folder: Path) -> Path:
    """Copy the example business under another name, with a greeting and hours of its own."""
    business = folder / "other-business"
    shutil.copytree(example_profile_dir(), business)
    text = (business / "business.toml").read_text().replace("Casa Lumbre", "Ferretería El Tornillo")
    (business / "business.toml").write_text(text.partition("[texts.greeting]")[0] + GREETING)
    return business


def add_account(mesh: Mesh, simulator_url: str) -> None:
    """Write the file of the second account, in one step, into the directory of the running mesh."""
    text = ACCOUNT_TOML.format(
        id=OTHER,
        subdomain="otra",
        guide="closed",
        secret=OTHER_SECRET,
        simulator=simulator_url,
        quiet=0.3,
        handoff_lines="",
        secret_lines="",
        scope_id=f"{OTHER_CHANNEL['channel_id']}_{OTHER_CHANNEL['amojo_id']}",
        **OTHER_CHANNEL,
    ).replace("local-development-token", OTHER_TOKEN)
    profile = f'profile = "{write_other_business(mesh.folder)}"\n'
    directory = Path(mesh.environ["MESH_ACCOUNTS_DIR"])
    (directory / "other.new").write_text(profile + text)
    (directory / "other.new").rename(directory / "other.toml")


async def all_know_it(both: Both) -> None:
    """Wait until storage takes the account's webhooks and llm-service has its business."""
    form = urlencode({"account[id]": OTHER, "talk[add][0][talk_id]": "1", "talk[add][0][chat_id]": "first"})
    headers = {"content-type": "application/x-www-form-urlencoded"}

    async def stored() -> bool:
        answer = await both.mesh.web.post(f"/api/kommo/webhook/{OTHER_SECRET}", content=form, headers=headers)
        return answer.status_code == 200

    await until(stored)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{both.mesh.ports.llm}") as channel:
        search = knowledge_grpc.KnowledgeServiceStub(channel).SearchKnowledge

        async def answers() -> bool:
            try:
                await search(knowledge_pb.SearchKnowledgeRequest(account_id=OTHER, query="envíos"))
            except grpc.aio.AioRpcError:
                return False
            return True

        await until(answers)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    """A mesh that was started with one account and got the second one while it ran."""
    folder: Path = tmp_path_factory.mktemp("two")
    faster = {"MESH_ACCOUNTS_RELOAD_SECONDS": "0.2", "MESH_RELOAD_SECONDS": "0.2"}
    async with running_mesh(folder, f"sqlite:///{folder}/mesh.db", environ=faster) as mesh:
        settings = SimulatorSettings(
            port=0,
            rate=0,
            delivery_delay_seconds=0.05,
            account_id=int(OTHER),
            subdomain="otra",
            access_token=SecretStr(OTHER_TOKEN),
            amojo_id=OTHER_CHANNEL["amojo_id"],
            channel_id=OTHER_CHANNEL["channel_id"],
            channel_secret=SecretStr(OTHER_CHANNEL["channel_secret"]),
            bot_id=OTHER_CHANNEL["bot_id"],
            webhook_urls=(f"http://127.0.0.1:{mesh.ports.gateway}/api/kommo/webhook/{OTHER_SECRET}",),
        )
        async with (
            running_simulator(settings) as simulator,
            httpx.AsyncClient(base_url=simulator.url, timeout=30, trust_env=False) as kommo,
            grpc.aio.insecure_channel(f"127.0.0.1:{mesh.ports.conversation}") as channel,
        ):
            stub = conversation_service_pb2_grpc.ConversationServiceStub(channel)
            found = Both(mesh, {ACCOUNT: mesh.kommo, OTHER: kommo}, stub)
            assert await found.posts(OTHER_SECRET, OTHER) == 401
            add_account(mesh, simulator.url)
            await all_know_it(found)
            yield found


async def test_given_the_same_chat_and_message_ids_when_both_write_then_each_has_its_own_conversation_and_floor(
    both: Both,
):
    chat, message_id = f"shared-{uuid4().hex[:8]}", str(uuid4())
    await both.client_writes(ACCOUNT, "¿a qué hora abren?", chat, message_id)
    await both.client_writes(OTHER, "quiero hablar con una persona por favor", chat, message_id)
    assert "persona" in (await both.reply(OTHER, chat))[0]
    assert (await both.reply(ACCOUNT, chat))[0] not in await both.replies(OTHER, chat)
    ours, theirs = await both.conversation(ACCOUNT, chat), await both.conversation(OTHER, chat)
    assert ours.id != theirs.id
    assert (ours.user_message_count, theirs.user_message_count) == (1, 1)
    assert ours.floor.holder == conversation_pb2.FLOOR_HOLDER_BOT
    assert theirs.floor.holder == conversation_pb2.FLOOR_HOLDER_PERSON_WAITING
    for account, text in ((ACCOUNT, "¿a qué hora abren?"), (OTHER, "quiero hablar con una persona por favor")):
        said = [one for one in await both.messages(account, chat) if one.kommo_message_id == message_id]
        assert [one.content for one in said] == [text]
    await both.client_writes(ACCOUNT, "¿hacen envíos?", chat)

    async def answered_again() -> bool:
        return len(await both.replies(ACCOUNT, chat)) >= 2

    await until(answered_again)
    listed = await both.conversations.ListConversations(service_pb.ListConversationsRequest(account_id=OTHER))
    assert {one.account_id for one in listed.conversations} == {OTHER}


async def test_given_two_businesses_when_greeted_then_each_speaks_by_its_own_profile(both: Both):
    chat = f"greeting-{uuid4().hex[:8]}"
    for account in (ACCOUNT, OTHER):
        await both.client_writes(account, "Hola", chat)
    ours, theirs = await both.reply(ACCOUNT, chat), await both.reply(OTHER, chat)
    assert "Casa Lumbre" in " ".join(ours)
    assert "Ferretería El Tornillo" in " ".join(theirs)
    assert "Casa Lumbre" not in " ".join(theirs)


async def test_given_one_account_that_kommo_refuses_when_both_write_then_only_that_one_waits(both: Both):
    chat = f"limit-{uuid4().hex[:8]}"
    fault = {"match": {"operation": "send_message"}, "action": "status", "status": 429, "times": -1}
    (await both.kommo[OTHER].post("/control/faults", json=fault)).raise_for_status()
    await both.client_writes(OTHER, "¿a qué hora abren?", chat)

    async def refused() -> bool:
        asked = await both.kommo[OTHER].get("/control/requests", params={"operation": "send_message"})
        return any(one["status"] == 429 for one in asked.json()["requests"])

    await until(refused)
    for number in range(5):
        await both.client_writes(ACCOUNT, "¿a qué hora abren?", f"{chat}-{number}")
    for number in range(5):
        assert await both.reply(ACCOUNT, f"{chat}-{number}")
    assert await both.replies(OTHER, chat) == []
    await both.kommo[OTHER].delete("/control/faults")
    assert await both.reply(OTHER, chat)


@pytest.mark.parametrize(
    ("secret", "account", "status"),
    [(WEBHOOK_SECRET, OTHER, 401), (OTHER_SECRET, ACCOUNT, 401), (WEBHOOK_SECRET, ACCOUNT, 200)],
)
async def test_given_secret_of_one_account_when_it_speaks_for_the_other_then_refused(
    both: Both, secret: str, account: str, status: int
):
    assert await both.posts(secret, account) == status


async def test_given_guides_webhook_open_for_one_when_the_other_is_named_then_refused(both: Both):
    body = {"account": {"id": OTHER, "subdomain": "otra"}, "message": {"add": []}}
    assert (await both.mesh.web.post("/api/kommo/webhook", json=body)).status_code == 401


async def test_given_changed_and_removed_file_when_the_mesh_runs_on_then_it_counts_and_a_bad_one_does_not(both: Both):
    file = Path(both.mesh.environ["MESH_ACCOUNTS_DIR"]) / "other.toml"
    good = file.read_text()
    file.write_text(good + "\nbroken = ")

    async def rejected() -> bool:
        await both.posts(OTHER_SECRET, OTHER)
        return "account.rejected" in both.mesh.log("gateway")

    await until(rejected)
    assert await both.posts(OTHER_SECRET, OTHER) == 200
    rotated = "Rotated-" + OTHER_SECRET
    file.write_text(good.replace(OTHER_SECRET, rotated))

    async def status_is(secret: str, status: int) -> bool:
        return await both.posts(secret, OTHER) == status

    await until(lambda: status_is(rotated, 200))
    await until(lambda: status_is(OTHER_SECRET, 401))
    file.unlink()
    await until(lambda: status_is(rotated, 401))
    assert await both.posts(WEBHOOK_SECRET, ACCOUNT) == 200
