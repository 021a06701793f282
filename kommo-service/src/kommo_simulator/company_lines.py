"""What a company message becomes: its author, who may be unknown to Kommo, and a draft for each of its files."""

from typing import Any

from kommo_simulator.lines import ColleagueLine
from kommo_simulator.media import AttachmentLine, MediaStore
from kommo_simulator.model import Author, AuthorType, DeliveryStatus, Message, Via
from kommo_simulator.state import Draft, World

PHONE_AUTHOR = "Teléfono de la empresa"


def drafts_of(world: World, media: MediaStore, line: ColleagueLine) -> list[Draft]:
    """Return the drafts of an order, one for each file; text, buttons and id belong to the first."""
    author, via = _author(world, line)
    files: list[AttachmentLine | None] = list(line.attachments) or [None]
    group = {"media_group_id": world.new_id()} if len(files) > 1 else {}
    return [_draft(world, media, line, author, via, file, group, index == 0) for index, file in enumerate(files)]


def _author(world: World, line: ColleagueLine) -> tuple[Author, Via]:
    if line.device == "phone":
        return Author(AuthorType.INTERNAL, world.new_id(), PHONE_AUTHOR), Via.PHONE
    user = world.user(line.user)
    return Author(AuthorType.INTERNAL, user.amojo_id or str(user.id), user.name, user.id), Via.INBOX


def _draft(
    world: World,
    media: MediaStore,
    line: ColleagueLine,
    author: Author,
    via: Via,
    file: AttachmentLine | None,
    group: dict[str, Any],
    is_first: bool,
) -> Draft:
    return Draft(
        line.text if is_first else "",
        author,
        via,
        line.id if is_first else None,
        file.type if file else "text",
        line.created_at,
        media.attachment(file) if file else None,
        delivery_status=DeliveryStatus.SENT,
        extra=group | (_extra(world, line) if is_first else {}),
    )


def _extra(world: World, line: ColleagueLine) -> dict[str, Any]:
    quoted = world.messages.get(line.reply_to or "")
    found = {
        "markup": line.markup(),
        "template": line.shown_template(),
        "reply_to": {"message": _quoted(quoted)} if quoted else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _quoted(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "msgid": message.client_msgid,
        "type": message.message_type,
        "text": message.text,
        "timestamp": message.created_at,
        "msec_timestamp": message.created_at * 1000,
    }
