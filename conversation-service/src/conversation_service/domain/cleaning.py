"""What Kommo reports, made safe to store."""

from dataclasses import replace

from conversation_service.domain.continuations import Continuation
from conversation_service.domain.ingest import CompanyMessage, Content, Item, MirroredCopy, TalkEvent
from conversation_service.domain.relaying import StatusReport

MAX_ID = 255
MAX_NAME = 255
MAX_PHONE = 40
MAX_URL = 8192
MAX_TEXT = 65_536
MAX_RETURN_URL = 1024
MAX_ERROR = 500


class ItemRejected(Exception):
    """The item cannot be stored, now or later; the text says why."""


def cleaned(item: Item) -> Item:
    """Return the item as it can be stored: no NUL, no overlong text.

    Raises:
        ItemRejected: an id is missing or too long.
    """
    event = item.event
    if not isinstance(event, TalkEvent | MirroredCopy):
        event = replace(event, content=_cleaned_content(event.content))
    if isinstance(event, CompanyMessage):
        event = replace(event, author_id=_cut(event.author_id, MAX_ID), author_name=_cut(event.author_name, MAX_NAME))
    return replace(
        item,
        account_id=_required_id("account_id", item.account_id),
        chat_id=_required_id("chat_id", item.chat_id),
        talk_id=_id("talk_id", item.talk_id),
        contact_id=_id("contact_id", item.contact_id),
        lead_id=_id("lead_id", item.lead_id),
        contact_name=_cut(item.contact_name, MAX_NAME),
        origin=_cut(item.origin, MAX_NAME),
        phone=_cut(item.phone, MAX_PHONE),
        chat_ref_id=_id("chat_ref_id", item.chat_ref_id),
        event=event,
    )


def cleaned_continuation(continuation: Continuation) -> Continuation:
    """Return the continuation as it can be stored.

    Raises:
        ItemRejected: an id or the address is missing or too long, or the address has other than ASCII characters.
    """
    url = continuation.return_url
    if not (url.isascii() and 0 < len(url) <= MAX_RETURN_URL) or "\x00" in url:
        raise ItemRejected(f"return_url: must have 1 to {MAX_RETURN_URL} ASCII characters")
    return replace(
        continuation,
        account_id=_required_id("account_id", continuation.account_id),
        lead_id=_required_id("lead_id", continuation.lead_id),
    )


def cleaned_status(report: StatusReport) -> StatusReport:
    """Return the status report as it can be stored.

    Raises:
        ItemRejected: the account is missing, or its id too long.
    """
    account_id = _required_id("account_id", report.account_id)
    return replace(report, account_id=account_id, error=_cut(report.error, MAX_ERROR))


def _without_nul(text: str) -> str:
    return text.replace("\x00", "")


def _cut(text: str, most: int) -> str:
    return _without_nul(text)[:most]


def _id(name: str, value: str) -> str:
    found = _without_nul(value).strip()
    if len(found) > MAX_ID:
        raise ItemRejected(f"{name}: must have at most {MAX_ID} characters")
    return found


def _required_id(name: str, value: str) -> str:
    found = _id(name, value)
    if not found:
        raise ItemRejected(f"{name}: is required")
    return found


def _cleaned_content(content: Content) -> Content:
    url = _without_nul(content.media_url).strip()
    return Content(
        kommo_message_id=_required_id("kommo_message_id", content.kommo_message_id),
        text=_cut(content.text, MAX_TEXT),
        content_type=content.content_type,
        media_url=url if len(url) <= MAX_URL else "",
        file_name=_cut(content.file_name, MAX_NAME),
        file_size=content.file_size,
    )
