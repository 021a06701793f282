"""Files of messages: what is known of them, and copies of a message that bring what the first one lacked."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, select, update

from conversation_service.adapters.keyed_rows import Key, key_parameters, of_keys
from conversation_service.adapters.tables import MESSAGES
from conversation_service.domain.conversation import Outcome, Role
from conversation_service.domain.handoff import ClientWords
from conversation_service.domain.ingest import Item
from conversation_service.domain.media import Finding, Media, Stored, completed, is_media

FINDING = "media"
M = MESSAGES.c
STORED = select(MESSAGES)
METADATA_OF = select(M.id, M.metadata)


@dataclass(frozen=True, slots=True)
class Late:
    """A message that gained something after it was stored.

    Args:
        is_unseen_file: a client's file that came after the message was answered without it.
    """

    message_id: UUID
    is_unseen_file: bool


def finding_of(metadata: Mapping[str, Any] | None) -> Finding:
    """Return what a row's metadata holds of its file."""
    stored = (metadata or {}).get(FINDING)
    if not isinstance(stored, dict):
        return Finding()
    return Finding(str(stored.get("type", "")), int(stored.get("size_bytes", 0)))


def store_findings(connection: Connection, findings: Mapping[UUID, Finding]) -> None:
    """Keep what is known of files with the messages that carry them."""
    if not findings:
        return
    for row in connection.execute(METADATA_OF.where(M.id.in_(list(findings)))).all():
        found = findings[row.id]
        known = {**(row.metadata or {}), FINDING: {"type": found.media_type, "size_bytes": found.size_bytes}}
        connection.execute(update(MESSAGES).where(M.id == row.id).values(metadata=known))


def client_words(row: RowMapping, shows_link: Callable[[str], bool]) -> ClientWords:
    """Return a client's message as a person is told of it.

    Args:
        row: of the table of messages.
        shows_link: whether people may be led to a link.
    """
    media = None
    if is_media(row["content_type"], row["content"]):
        link = row["media_url"] or ""
        is_shown = bool(link) and shows_link(link)
        media = Media(
            kind=row["content_type"],
            file_name=row["file_name"] or "",
            link=link if is_shown else "",
            is_elsewhere=bool(link) and not is_shown,
            finding=finding_of(row["metadata"]),
        )
    return ClientWords(row["content"], row["content_type"], row["intent"] or "", media)


def words_of(
    connection: Connection, message_ids: Collection[UUID], shows_link: Callable[[str], bool]
) -> list[ClientWords]:
    """Return messages as a person is told of them, the oldest first."""
    statement = select(MESSAGES).where(M.id.in_(list(message_ids))).order_by(M.created_at, M.ingested_at, M.id)
    return [client_words(row, shows_link) for row in connection.execute(statement).mappings()]


def complete_messages(
    connection: Connection, copies: Mapping[Key, tuple[UUID, Item]], now: datetime
) -> dict[Key, Late]:
    """Give stored messages what later copies of them bring, and return those that gained something, by their keys.

    Nothing else becomes of a copy: no second turn, no second count. A message that no turn has read yet counts as
    having arrived now, so that an answer that is being written without what it gained is written again.

    Args:
        connection: the transaction, which holds the conversations' locks.
        copies: of each message the conversation that the copy came in, and the copy.
        now: when they came.
    """
    if not copies:
        return {}
    dialect_name = connection.dialect.name
    query = of_keys(STORED, MESSAGES, "kommo_message_id", dialect_name)
    rows = connection.execute(query, key_parameters(list(copies), dialect_name)).mappings().all()
    found = {(row["account_id"], row["kommo_message_id"]): _completed(connection, row, copies, now) for row in rows}
    return {key: late for key, late in found.items() if late}


def _completed(
    connection: Connection, row: RowMapping, copies: Mapping[Key, tuple[UUID, Item]], now: datetime
) -> Late | None:
    key = (row["account_id"], row["kommo_message_id"])
    conversation_id, item = copies[key]
    content = item.content
    is_clients = row["role"] == Role.USER.value
    if content is None or row["conversation_id"] != conversation_id or is_clients == item.is_company_message:
        return None
    stored = Stored(row["content"], row["content_type"], row["media_url"] or "", row["file_name"] or "")
    found = completed(stored, Stored(content.text, content.content_type, content.media_url, content.file_name))
    if found is None:
        return None
    values: dict[str, Any] = {
        "content": found.text,
        "content_type": found.content_type,
        "media_url": found.media_url or None,
        "file_name": found.file_name or None,
    }
    if is_clients and row["outcome"] is None and row["turn_id"] is None:
        values["ingested_at"] = now
    connection.execute(update(MESSAGES).where(M.id == row["id"]).values(values))
    is_new_file = bool(found.media_url) and not row["media_url"]
    return Late(row["id"], is_unseen_file=is_clients and is_new_file and row["outcome"] == Outcome.ANSWERED.value)
