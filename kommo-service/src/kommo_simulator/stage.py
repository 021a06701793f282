"""What happens on the account: clients and colleagues write, the API sends, talks close; and what each of it raises."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from kommo_simulator import crm_events
from kommo_simulator.background import Background
from kommo_simulator.chats_hooks import ChatsHooks, message_hook
from kommo_simulator.model import Attachment, Author, AuthorType, Chat, DeliveryStatus, Message, Talk, Via
from kommo_simulator.settings import SimulatorSettings
from kommo_simulator.state import Draft, World
from kommo_simulator.webhooks_out import Job, Webhooks

SOURCE_ID = "20417733"
_FILE_NAMES = {
    "voice": "file.ogg",
    "audio": "audio.mp3",
    "picture": "image.jpeg",
    "video": "video.mp4",
    "sticker": "sticker.webp",
}


class AttachmentLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that a client sends; what is empty is made up."""

    type: str = "file"
    link: str = ""
    file_name: str = ""


class ClientLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message to play as a client."""

    text: str = ""
    chat_id: str | None = None
    name: str = "Cliente de prueba"
    phone: str = ""
    origin: str = "waba"
    contact_id: int | None = None
    lead: bool = True
    attachment: AttachmentLine | None = None
    location: dict[str, float] | None = None
    contact: dict[str, str] | None = None
    message_type: str | None = None
    created_at: int | None = None
    id: str | None = None
    copies: int = 1
    deliver: bool = True
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """The account together with everything that hears of its changes."""

    settings: SimulatorSettings
    world: World
    webhooks: Webhooks
    chats_hooks: ChatsHooks
    background: Background

    def client_writes(self, line: ClientLine) -> Message:
        """Play a client's message, in a chat and talk made as needed; a known `id` is sent again."""
        chat, is_new = self._chat_for(line)
        known = self.world.messages.get(line.id or "")
        if known is not None:
            self._complete(known, line)
            message = known
        else:
            talk = self.talk_in_work(chat, announce=line.deliver)
            message = self.world.add_message(chat, talk, self._client_draft(chat, line))
        if line.deliver:
            self.announce_client_message(chat, message, is_new, line.copies, line.delay_seconds)
        return message

    def announce_client_message(
        self, chat: Chat, message: Message, is_new: bool, copies: int = 1, delay: float = 0.0
    ) -> None:
        """Raise message[add], and for a new chat the unsorted copy."""
        fields = crm_events.message_added(self.settings, chat, message)
        self.webhooks.raise_event("add_message", chat.id, fields, copies, delay)
        if is_new and chat.lead_id is not None and self.settings.raise_unsorted:
            lead, contact = self.world.leads[chat.lead_id], self.world.contacts[chat.contact_id]
            uid = self.world.new_id().replace("-", "")
            copy = crm_events.unsorted_added(self.settings, chat, lead, contact, message, uid)
            self.webhooks.raise_event("add_unsorted", chat.id, copy, 1, delay)

    def colleague_writes(self, chat: Chat, text: str, user_id: int | None = None) -> Message:
        """Play a message that a user of the account writes in the inbox."""
        user = self.world.user(user_id)
        author = Author(AuthorType.INTERNAL, user.amojo_id or str(user.id), user.name, user.id)
        talk = self.talk_in_work(chat)
        draft = Draft(text, author, Via.INBOX, delivery_status=DeliveryStatus.SENT)
        message = self.world.add_message(chat, talk, draft)
        self._raise_outgoing(chat, message, author)
        self.relay(chat, message)
        self.settle(message)
        return message

    async def api_sends(self, talk: Talk, text: str, via: Via, fails: bool = False) -> Message:
        """Take in a message of the API or of a bot; with `fails`, its delivery ends in an error.

        With the echo set to go before the answer, returns once every subscriber has answered it for the first time.
        """
        chat = self.world.chats[talk.chat_id]
        draft = Draft(text, self.world.bot(), via, delivery_status=DeliveryStatus.SENT)
        message = self.world.add_message(chat, talk, draft)
        if self.settings.echo_order == "before":
            await asyncio.gather(*(job.first_answered.wait() for job in self.echo(chat, message)))
        self.relay(chat, message)
        self.settle(message, DeliveryStatus.ERROR if fails else DeliveryStatus.DELIVERED)
        return message

    def echo(self, chat: Chat, message: Message) -> Sequence[Job]:
        """Raise outgoing_message[add] for a message that no person wrote, as the settings want it."""
        author = message.author
        if self.settings.echo == "off":
            return ()
        if self.settings.echo == "internal":
            user = self.world.users[0]
            author = Author(AuthorType.INTERNAL, user.amojo_id or str(user.id), user.name, user.id)
        return self._raise_outgoing(chat, message, author)

    def relay(self, chat: Chat, message: Message) -> None:
        """Send a company's message of the own channel to the owner of the channel."""
        if chat.origin == self.settings.origin:
            contact = self.world.contacts[chat.contact_id]
            self.chats_hooks.send(chat.id, message_hook(self.settings, chat, contact, message, self.world.seconds()))

    def settle(self, message: Message, status: DeliveryStatus = DeliveryStatus.DELIVERED) -> None:
        """Give an outgoing message its final delivery status after the usual delay."""
        if self.world.chats[message.chat_id].origin != self.settings.origin:
            self.background.spawn(self._settle(message, status))

    async def _settle(self, message: Message, status: DeliveryStatus) -> None:
        await asyncio.sleep(self.settings.delivery_delay_seconds)
        message.delivery_status = status

    def close_talk(self, talk: Talk) -> None:
        """Close a talk and raise talk[update]."""
        self.world.close_talk(talk)
        self._raise_talk("update", talk)

    def talk_in_work(self, chat: Chat, announce: bool = True) -> Talk:
        """Return the chat's open talk; opens a new one, with talk[add], when there is none."""
        talk = self.world.current_talk(chat)
        if talk is None:
            talk = self.world.open_talk(chat)
            if announce:
                self._raise_talk("add", talk)
        return talk

    def _raise_talk(self, verb: str, talk: Talk) -> None:
        if self.settings.raise_talk_events:
            fields = crm_events.talk_changed(self.settings, verb, self.world.chats[talk.chat_id], talk)
            self.webhooks.raise_event(f"{verb}_talk", talk.chat_id, fields)

    def _raise_outgoing(self, chat: Chat, message: Message, author: Author) -> Sequence[Job]:
        source_id = SOURCE_ID if author.type is AuthorType.INTERNAL else None
        fields = crm_events.outgoing_message_added(self.settings, chat, message, author, source_id)
        return self.webhooks.raise_event("add_outgoing_message", chat.id, fields)

    def _chat_for(self, line: ClientLine) -> tuple[Chat, bool]:
        chat = self.world.chats.get(line.chat_id or "")
        if chat is not None:
            return chat, False
        contact = self.world.ensure_contact(line.contact_id, line.name, line.phone)
        return self.world.add_chat(line.chat_id, contact, line.origin, line.lead), True

    def _client_draft(self, chat: Chat, line: ClientLine) -> Draft:
        attachment = self._attachment(line)
        extra = {name: value for name in ("location", "contact") if (value := getattr(line, name)) is not None}
        kind = line.message_type or (attachment.type if attachment else next(iter(extra), "text"))
        author = Author(AuthorType.EXTERNAL, chat.client_id, chat.client_name)
        return Draft(line.text, author, Via.CLIENT, line.id, kind, line.created_at, attachment, extra=extra)

    def _complete(self, message: Message, line: ClientLine) -> None:
        # The file of a message may come later, under the same id.
        message.text = line.text or message.text
        message.attachment = self._attachment(line) or message.attachment
        message.message_type = line.message_type or message.message_type

    def _attachment(self, line: ClientLine) -> Attachment | None:
        given = line.attachment
        if given is None and line.message_type in _FILE_NAMES:
            given = AttachmentLine(line.message_type)
        if given is None:
            return None
        name = given.file_name or _FILE_NAMES.get(given.type, "document.pdf")
        link = f"https://amojo.kommo.com/v2/{self.settings.amojo_id}/attachments/{self.world.new_id()}/{name}"
        return Attachment(given.type, given.link or link, name)
