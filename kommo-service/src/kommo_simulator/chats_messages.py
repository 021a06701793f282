"""What the Chats API does with messages: who speaks, where they go, and what they raise."""

from typing import Any

import msgspec

from kommo_simulator.chats_payload import Payload, PayloadError, Person, Profile, StatusChange, check_new_message
from kommo_simulator.model import Attachment, Author, AuthorType, Chat, DeliveryStatus, Message, Via
from kommo_simulator.simulator import Simulator
from kommo_simulator.state import Draft

_STATUSES = {1: DeliveryStatus.DELIVERED, 2: DeliveryStatus.READ, -1: DeliveryStatus.ERROR}


def chat_of(simulator: Simulator, conversation_id: str | None, ref_id: str | None) -> Chat | None:
    """Return the own channel's chat with this conversation id, or with this id of Kommo's."""
    world = simulator.world
    chat = world.chats.get(world.chat_by_conversation.get(conversation_id or "", ref_id or ""))
    return chat if chat and chat.origin == simulator.settings.origin else None


def new_chat(simulator: Simulator, conversation_id: str | None, external_id: str, name: str, profile: Profile) -> Chat:
    """Create a chat of the own channel, with contact and lead."""
    world = simulator.world
    contact = world.ensure_contact(None, name, profile.phone)
    contact.email = profile.email
    chat = world.add_chat(None, contact, simulator.settings.origin, conversation_id=conversation_id)
    chat.client_external_id = external_id
    return chat


def take_in(simulator: Simulator, payload: Payload) -> tuple[dict[str, Any], Message]:
    """Store a new message; return the answer's `new_message`, and the message. A client's raises its CRM event.

    Raises:
        PayloadError: a field breaks a rule, or the `msgid` was used before.
    """
    sender = check_new_message(payload)
    if payload.msgid in simulator.world.message_by_msgid:
        raise PayloadError("payload.msgid was used before")
    speaker = _speaker(simulator, sender)
    if speaker is not None and payload.receiver is None:
        raise PayloadError("payload.receiver is required when sender.ref_id is given")
    message = _store(simulator, payload, sender, speaker)
    answer = {
        "conversation_id": payload.conversation_id,
        "sender_id": sender.id,
        "receiver_id": payload.receiver.id if payload.receiver else None,
        "msgid": message.id,
        "ref_id": payload.msgid,
    }
    return answer, message


def edit(simulator: Simulator, payload: Payload) -> None:
    """Change the text of a message.

    Raises:
        PayloadError: there is no such message.
    """
    world = simulator.world
    message = world.messages.get(payload.id or world.message_by_msgid.get(payload.msgid, ""))
    if message is None:
        raise PayloadError("no message has this id or msgid")
    message.text = payload.message.text or message.text
    if payload.message.delivery_status is not None:
        set_status(message, payload.message.delivery_status)


def set_status(message: Message, change: StatusChange) -> None:
    """Note how far a message got, by the word of the channel's owner.

    Raises:
        PayloadError: a failure without its error.
    """
    if change.delivery_status == -1 and (change.error_code is None or change.error is None):
        raise PayloadError("error_code and error are required with -1")
    message.delivery_status = _STATUSES[change.delivery_status]


def _store(simulator: Simulator, payload: Payload, sender: Person, speaker: Author | None) -> Message:
    stage = simulator.stage
    chat = chat_of(simulator, payload.conversation_id, payload.conversation_ref_id)
    is_new = chat is None or not chat.message_ids
    if chat is None:
        client = sender if speaker is None or payload.receiver is None else payload.receiver
        chat = new_chat(simulator, payload.conversation_id, client.id, client.name, client.profile)
    chat.source_external_id = payload.source.external_id if payload.source else chat.source_external_id
    # Whoever has no ref_id is an outside person, the chat's own client or another one.
    is_client = sender.id == chat.client_external_id
    author = speaker or Author(AuthorType.EXTERNAL, chat.client_id if is_client else simulator.new_id(), sender.name)
    message = simulator.world.add_message(chat, stage.talk_in_work(chat), _draft(payload, author))
    if speaker is None:
        stage.announce_client_message(chat, message, is_new and not payload.silent)
    return message


def _draft(payload: Payload, author: Author) -> Draft:
    content = payload.message
    file = Attachment(content.type, content.media, content.file_name, content.file_size) if content.media else None
    status = None if author.type is AuthorType.EXTERNAL else DeliveryStatus.SENT
    return Draft(
        content.text,
        author,
        Via.CLIENT if author.type is AuthorType.EXTERNAL else Via.OWN_CHANNEL,
        message_type=content.type,
        created_at=payload.timestamp,
        attachment=file,
        client_msgid=payload.msgid,
        delivery_status=status,
        extra={
            name: msgspec.to_builtins(value)
            for name in ("location", "contact", "callback_data")
            if (value := getattr(content, name)) is not None
        },
    )


def _speaker(simulator: Simulator, sender: Person) -> Author | None:
    if sender.ref_id is None:
        return None
    if sender.ref_id == simulator.settings.bot_id:
        return Author(AuthorType.BOT, sender.ref_id, sender.name)
    for user in simulator.world.users:
        if user.amojo_id == sender.ref_id:
            return Author(AuthorType.INTERNAL, sender.ref_id, user.name, user.id)
    raise PayloadError("payload.sender.ref_id names neither a user nor the channel's bot")
