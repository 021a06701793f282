"""With a key and a base URL, the words come from the model, which is asked properly."""

from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from support.mesh import Mesh, running_mesh
from support.model_server import ModelServer, running_model

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model():
    async with running_model(ModelServer(answer="Abrimos a las nueve y media. ¿Querés venir hoy?")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(model: ModelServer, tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("mesh")
    environ = {"OPENAI_API_KEY": "test-key", "OPENAI_BASE_URL": model.url, "OPENAI_MODEL_CHAT": "peer-model"}
    async with running_mesh(folder, f"sqlite:///{folder}/mesh.db", environ=environ) as running:
        yield running


async def test_given_key_when_client_writes_then_model_is_asked_once_with_everything_in_order(
    mesh: Mesh, model: ModelServer
):
    chat = f"model-{uuid4().hex[:8]}"
    first, second = "Buenas, ¿a qué hora abren los sábados?", "¿y los lunes feriados también abren?"
    await mesh.client_writes(first, chat)
    assert (await mesh.wait_for_replies(chat))[0]["text"] == model.answer
    await mesh.client_writes(second, chat)
    await mesh.wait_for_replies(chat, 2)
    asked = model.requests[-1]["messages"]
    contents = [str(message["content"]) for message in asked]
    assert asked[0]["role"] == "system"
    assert "Casa Lumbre" in contents[0]
    assert sum(second in content for content in contents) == 1
    assert sum(first in content for content in contents) == 1
    assert second in contents[-1]
    history = [(message["role"], message["content"]) for message in asked[1:-1]]
    assert history == [("user", first), ("assistant", model.answer)]


async def test_given_model_that_invents_a_price_when_answering_then_the_price_never_leaves(
    mesh: Mesh, model: ModelServer
):
    chat = f"price-{uuid4().hex[:8]}"
    said, model.answer = model.answer, "Sale $ 123.456,78 y te lo llevás hoy."
    try:
        await mesh.client_writes("¿cuánto sale la pava eléctrica?", chat)
        replies = await mesh.wait_for_replies(chat)
    finally:
        model.answer = said
    assert "123.456" not in " ".join(reply["text"] for reply in replies)
