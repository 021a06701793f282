"""What people read of files, and what a message gains that comes again; the rules, then both databases."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Connection, Row, select

from conversation_service.adapters.store import Store
from conversation_service.adapters.tables import CONVERSATIONS, MESSAGES, TURN_WORK
from conversation_service.domain.ingest import ClientMessage, CompanyMessage, Content, IngestOutcome, Item
from conversation_service.domain.media import Finding, Media, Stored, completed, described, size_text, viewing
from conversation_service.use_cases.ingest import IngestUseCases
from kommomesh_runtime.accounts import Account, Accounts

STORED, DUPLICATE = IngestOutcome.STORED, IngestOutcome.DUPLICATE
LINK = "https://amojo.kommo.com/v2/1/attachments/2/foto.jpg"
EMPTY = Stored("", "other", "", "")


@pytest.mark.parametrize(
    ("size", "text"), [(0, ""), (-1, ""), (1, "1 kB"), (120_400, "120 kB"), (999_999, "1000 kB"), (1_400_000, "1.4 MB")]
)
def test_given_size_when_told_then_as_people_say_it(size, text):
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("media", "language", "text"),
    [
        (
            Media("file", "comprobante.pdf", LINK, finding=Finding("application/pdf", 120_400)),
            "es",
            f"archivo comprobante.pdf (application/pdf, 120 kB) {LINK}",
        ),
        (Media("picture", link=LINK), "pt", f"imagem {LINK}"),
        (Media("voice"), "en", "voice note"),
        (Media("picture", "a.jpg", is_elsewhere=True), "es", "imagen a.jpg (enlace ajeno a Kommo, no se incluye)"),
        (Media("picture", link=f"{LINK}?{'x' * 500}"), "es", "imagen (enlace ajeno a Kommo, no se incluye)"),
        (Media("poll", "http://evil.example/x\ny.pdf"), "xx", "mensaje que no es texto x y.pdf"),
        (Media("file", finding=Finding("text/html\n<a href=x>", 1)), "es", "archivo (1 kB)"),
    ],
)
def test_given_file_when_described_then_one_line_that_leads_nowhere_else(media, language, text):
    assert described([media], language) == text


def test_given_many_files_and_words_when_a_person_is_to_look_then_three_told_and_words_quoted():
    text = viewing([Media("picture")] * 5, "mirá\nestos", "es")
    assert text.startswith("Ver lo que mandó el cliente: imagen; imagen; imagen; y 2 más. Escribió: «mirá estos».")


@pytest.mark.parametrize(
    ("stored", "copy", "found"),
    [
        (EMPTY, Stored("", "picture", LINK, "foto.jpg"), Stored("", "picture", LINK, "foto.jpg")),
        (EMPTY, Stored("hola", "text", "", ""), Stored("hola", "other", "", "")),
        (Stored("", "picture", "", ""), Stored("", "other", LINK, ""), Stored("", "picture", LINK, "")),
        (Stored("hola", "text", "", ""), Stored("chau", "text", "", ""), None),
        (Stored("hola", "text", "", ""), Stored("hola", "picture", LINK, ""), Stored("hola", "picture", LINK, "")),
        (Stored("", "picture", LINK, "a.jpg"), Stored("", "file", "https://evil.example/b", "b.exe"), None),
        (Stored(" ", "other", "", ""), Stored("", "other", "", ""), None),
    ],
)
def test_given_copy_of_a_message_when_it_comes_then_only_what_was_missing_is_added(stored, copy, found):
    assert completed(stored, copy) == found


@pytest.fixture
async def ingest(store: Store) -> AsyncIterator[IngestUseCases]:
    accounts = Accounts.of(Account(id="12345", subdomain="test"), Account(id="67890", subdomain="other"))
    opened = IngestUseCases(store, accounts, limit_seconds=10)
    yield opened
    await opened.aclose()


def item(content: Content, *, chat: str = "chat-1", account: str = "12345", by_company: bool = False) -> Item:
    event = CompanyMessage(content, is_person=True) if by_company else ClientMessage(content)
    return Item(account, chat, event)


async def message(store: Store) -> Row[Any]:
    def find(connection: Connection, _now: datetime) -> Row[Any]:
        return connection.execute(select(MESSAGES).where(MESSAGES.c.account_id == "12345")).one()

    return await store.read(find)


async def test_given_empty_message_when_its_file_comes_late_then_stored_into_it_and_nothing_counted_twice(
    store, ingest, clock
):
    (first,) = await ingest.ingest([item(Content("m-1", content_type="other"))])
    clock.advance(5)
    picture = Content("m-1", content_type="picture", media_url=LINK, file_name="foto.jpg")
    (late,) = await ingest.ingest([item(picture)])
    (again,) = await ingest.ingest([item(picture)])
    assert [one.outcome for one in (first, late, again)] == [STORED, STORED, DUPLICATE]
    row = await message(store)
    assert (row.content_type, row.media_url, row.file_name) == ("picture", LINK, "foto.jpg")

    def counts(connection: Connection, _now: datetime) -> tuple[Any, ...]:
        works = connection.execute(select(TURN_WORK.c.conversation_id)).all()
        return (len(works), *connection.execute(select(CONVERSATIONS.c.message_count)).one())

    assert await store.read(counts) == (1, 1)


async def test_given_both_copies_in_one_batch_when_stored_then_one_message_with_all(store, ingest):
    empty = item(Content("m-1", content_type="other"))
    picture = item(Content("m-1", content_type="picture", media_url=LINK))
    results = await ingest.ingest([empty, picture])
    assert [one.outcome for one in results] == [STORED, STORED]
    assert (await message(store)).media_url == LINK


async def test_given_same_id_elsewhere_when_its_file_comes_then_the_message_keeps_to_its_chat_account_and_author(
    store, ingest
):
    picture = Content("m-1", content_type="picture", media_url=LINK)
    await ingest.ingest([item(Content("m-1", content_type="other"))])
    copies = (item(picture, chat="chat-2"), item(picture, by_company=True), item(picture, account="67890"))
    (other_chat,), (by_company,), (other_account,) = [await ingest.ingest([copy]) for copy in copies]
    assert [one.outcome for one in (other_chat, by_company, other_account)] == [DUPLICATE, DUPLICATE, STORED]
    assert (await message(store)).media_url is None
