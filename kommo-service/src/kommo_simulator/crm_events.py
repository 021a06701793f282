"""The bodies of CRM webhooks: form fields with PHP brackets, in the order of captured requests."""

from typing import TypeAlias
from urllib.parse import urlencode

from kommo_simulator.model import Author, Chat, Contact, Lead, Message, Note, Talk
from kommo_simulator.settings import SimulatorSettings

Fields: TypeAlias = list[tuple[str, str]]

_ELEMENT_CODES = {"contact": "1", "lead": "2"}
_NOTE_CODES = {"common": "4", "extended_service_message": "25"}


def encode(fields: Fields) -> bytes:
    """Return the request body of these fields, percent-encoded."""
    return urlencode(fields).encode()


def message_added(
    settings: SimulatorSettings,
    chat: Chat,
    message: Message,
    author: Author | None = None,
    root: str = "message[add][0]",
) -> Fields:
    """Return the fields of `message[add]`: a client's message, in some accounts also the company's.

    Args:
        author: the author to show, where it is not the one stored.
        root: what the names of the fields begin with; bare `add[0]` in some samples.
    """
    return [*account_fields(settings), *_message(root, chat, message, author), (f"{root}[origin]", chat.origin)]


def outgoing_message_added(
    settings: SimulatorSettings, chat: Chat, message: Message, author: Author, source_id: str | None
) -> Fields:
    """Return the fields of `outgoing_message[add]`, a company's message.

    Args:
        author: the author to show, which need not be the one stored.
    """
    root = "outgoing_message[add][0]"
    shown = _message(root, chat, message, author)
    recipient = [
        (f"{root}[recipient][id]", chat.client_id),
        (f"{root}[recipient][type]", "external"),
        (f"{root}[recipient][name]", chat.client_name),
    ]
    source = [(f"{root}[source_id]", source_id)] if source_id else []
    return [*account_fields(settings), *shown, *recipient, *source, (f"{root}[origin]", chat.origin)]


def talk_changed(settings: SimulatorSettings, verb: str, chat: Chat, talk: Talk) -> Fields:
    """Return the fields of `talk[add]` or `talk[update]`."""
    root = f"talk[{verb}][0]"
    entity = [("entity_id", str(chat.lead_id)), ("entity_type", "lead")] if chat.lead_id else []
    values = [
        ("talk_id", str(talk.id)),
        ("created_at", str(talk.created_at)),
        ("updated_at", str(talk.updated_at)),
        ("rate", "0"),
        ("contact_id", str(chat.contact_id)),
        ("chat_id", chat.id),
        *entity,
        ("is_in_work", str(int(talk.is_in_work))),
        ("is_read", str(int(talk.is_read))),
        ("origin", chat.origin),
    ]
    return [*account_fields(settings), *((f"{root}[{name}]", value) for name, value in values)]


def unsorted_added(
    settings: SimulatorSettings, chat: Chat, lead: Lead, contact: Contact, message: Message, uid: str
) -> Fields:
    """Return the fields of `unsorted[add]`, which repeat a chat's first message."""
    root = "unsorted[add][0]"
    first = f"{root}[source_data][data][0]"
    return [
        (f"{root}[uid]", uid),
        (f"{root}[source_uid]", f"amojo:{chat.origin}:{chat.id}"),
        (f"{root}[category]", "chats"),
        (f"{root}[account_id]", str(settings.account_id)),
        (f"{root}[pipeline_id]", str(lead.pipeline_id)),
        (f"{root}[created_at]", str(message.created_at)),
        (f"{root}[lead_id]", str(lead.id)),
        (f"{first}[id]", message.id),
        (f"{first}[manager]", "0"),
        (f"{first}[date]", str(message.created_at)),
        (f"{first}[text]", message.text),
        (f"{root}[source_data][origin][provider]", "amojo"),
        (f"{root}[source_data][origin][chat_id]", chat.id),
        (f"{root}[source_data][service]", chat.origin),
        (f"{root}[data][contacts][0][id]", str(contact.id)),
        (f"{root}[data][contacts][0][name]", contact.name),
        *account_fields(settings),
    ]


def note_added(settings: SimulatorSettings, note: Note, date: str) -> Fields:
    """Return the fields of `leads[note]` or `contacts[note]`."""
    root = f"{note.entity_type}[note][0][note]"
    values = [
        ("id", str(note.id)),
        ("element_id", str(note.entity_id)),
        ("element_type", _ELEMENT_CODES[note.entity_type.removesuffix("s")]),
        ("note_type", _NOTE_CODES.get(note.note_type, "4")),
        ("text", str(note.params.get("text", ""))),
        ("created_by", str(note.created_by)),
        ("date_create", date),
    ]
    return [*((f"{root}[{name}]", value) for name, value in values), *account_fields(settings)]


def lead_changed(settings: SimulatorSettings, verb: str, lead: Lead, old_name: str, old: tuple[int, int]) -> Fields:
    """Return the fields of `leads[status]` or `leads[responsible]`.

    Args:
        old_name: name of the value that changed, `status_id` or `responsible_user_id`.
        old: that value before the change, and the pipeline before it.
    """
    root = f"leads[{verb}][0]"
    values = [
        ("id", lead.id),
        ("status_id", lead.status_id),
        ("pipeline_id", lead.pipeline_id),
        ("responsible_user_id", lead.responsible_user_id or 0),
        (f"old_{old_name}", old[0]),
        ("old_pipeline_id", old[1]),
        ("account_id", settings.account_id),
    ]
    return [*((f"{root}[{name}]", str(value)) for name, value in values), *account_fields(settings)]


def account_fields(settings: SimulatorSettings) -> Fields:
    """Return the block that names the account."""
    return [
        ("account[subdomain]", settings.subdomain),
        ("account[id]", str(settings.account_id)),
        ("account[_links][self]", f"https://{settings.subdomain}.kommo.com"),
    ]


def _message(root: str, chat: Chat, message: Message, author: Author | None = None) -> Fields:
    shown = author or message.author
    values = [
        ("id", message.id),
        ("chat_id", chat.id),
        ("talk_id", str(message.talk_id)),
        ("contact_id", str(chat.contact_id)),
        ("text", message.text),
        ("created_at", str(message.created_at)),
        ("message_type", message.message_type),
        *_attachment(message),
        *_entity(chat),
        ("type", "outgoing" if message.is_outgoing else "incoming"),
        ("author][id", shown.id),
        ("author][type", shown.type.value),
        *([("author][user_id", str(shown.user_id))] if shown.user_id is not None else []),
        ("author][name", shown.name),
    ]
    return [(f"{root}[{name}]", value) for name, value in values]


def _attachment(message: Message) -> Fields:
    file = message.attachment
    if file is None:
        return []
    return [
        ("attachment][type", file.type),
        ("attachment][link", file.link),
        ("attachment][file_name", file.file_name),
    ]


def _entity(chat: Chat) -> Fields:
    if chat.lead_id is None:
        return []
    lead = str(chat.lead_id)
    return [("element_type", "2"), ("entity_type", "lead"), ("element_id", lead), ("entity_id", lead)]
