"""What happens on the account: clients and colleagues write, the API sends, talks close; and what each of it raises."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from starlette.background import BackgroundTask

from kommo_simulator import crm_events, crm_records
from kommo_simulator.background import Background
from kommo_simulator.chats_bodies import message_hook
from kommo_simulator.chats_hooks import ChatsHooks
from kommo_simulator.company_lines import drafts_of
from kommo_simulator.crm_shapes import ClientShape, shaped
from kommo_simulator.lines import ClientLine, ColleagueLine
from kommo_simulator.media import FILE_NAMES, AttachmentLine, MediaStore
from kommo_simulator.model import Attachment, Author, AuthorType, Chat, DeliveryStatus, Message, Talk, Via
from kommo_simulator.settings import SimulatorSettings
from kommo_simulator.state import Draft, World
from kommo_simulator.webhook_plan import Passage
from kommo_simulator.webhooks_out import Job, Webhooks

__all__ = ["ClientLine", "ColleagueLine", "Stage"]

SOURCE_ID = "20417733"
WHATSAPP = "waba"


@dataclass(frozen=True, slots=True)
class Stage:
    """The account together with everything that hears of its changes."""

    settings: SimulatorSettings
    world: World
    webhooks: Webhooks
    chats_hooks: ChatsHooks
    media: MediaStore
    background: Background

    def client_writes(self, line: ClientLine) -> Message:
        """Play a client's message, in a chat and talk made as needed; a known `id` is sent again."""
        chat, is_new = self._chat_for(line)
        file = self._file_of(line)
        known = self.world.messages.get(line.id or "")
        if known is not None:
            self._complete(known, line, file)
            message = known
        else:
            talk = self.talk_in_work(chat, announce=line.deliver)
            late = file is not None and line.late_file_seconds is not None
            message = self.world.add_message(chat, talk, self._client_draft(chat, line, file, late))
        also = [] if known else [self._written(chat, text) for text in line.also]
        if line.deliver:
            self.announce_client_message(
                chat, message, is_new, line.copies, line.delay_seconds, also=also, shape=line.shape
            )
        if known is None and file is not None and line.late_file_seconds is not None:
            self.background.spawn(self._file_follows(chat, message, file, line))
        return message

    def _written(self, chat: Chat, text: str) -> Message:
        author = Author(AuthorType.EXTERNAL, chat.client_id, chat.client_name)
        return self.world.add_message(chat, self.talk_in_work(chat), Draft(text, author, Via.CLIENT))

    def announce_client_message(
        self,
        chat: Chat,
        message: Message,
        is_new: bool,
        copies: int = 1,
        delay: float = 0.0,
        *,
        also: Sequence[Message] = (),
        shape: ClientShape = "wrapped",
    ) -> None:
        """Raise message[add]; for a new chat also its contact and lead, and the unsorted copy.

        Args:
            also: further messages of the same webhook.
            shape: how the webhook names its fields.
        """
        if is_new:
            self.raise_records("add", chat)
        fields = crm_events.message_added(self.settings, chat, message)
        for number, other in enumerate(also, start=1):
            more = crm_events.message_added(self.settings, chat, other, root=f"message[add][{number}]")
            fields += [pair for pair in more if not pair[0].startswith("account")]
        fields = shaped(fields, shape)
        self.webhooks.raise_event("add_message", chat.id, fields, copies, delay)
        if is_new and chat.lead_id is not None and self.settings.raise_unsorted:
            lead, contact = self.world.leads[chat.lead_id], self.world.contacts[chat.contact_id]
            uid = self.world.new_id().replace("-", "")
            copy = crm_events.unsorted_added(self.settings, chat, lead, contact, message, uid)
            self.webhooks.raise_event("add_unsorted", chat.id, copy, 1, delay)

    def raise_records(self, verb: str, chat: Chat) -> None:
        """Raise contacts[add] and leads[add], or their updates, for what stands behind a chat."""
        contact = crm_records.contact_event(self.settings, verb, self.world.contacts[chat.contact_id])
        self.webhooks.raise_event(f"{verb}_contact", chat.id, contact)
        if chat.lead_id is not None:
            lead = crm_records.lead_event(self.settings, verb, self.world.leads[chat.lead_id])
            self.webhooks.raise_event(f"{verb}_lead", chat.id, lead)

    def colleague_writes(self, chat: Chat, line: ColleagueLine) -> Message:
        """Play what the company writes, a message for each file; returns the first of them."""
        talk = self.talk_in_work(chat)
        messages = [self.world.add_message(chat, talk, draft) for draft in drafts_of(self.world, self.media, line)]
        for message in messages:
            self._raise_outgoing(chat, message, message.author, line)
            self.relay(chat, message)
            self.settle(message)
        return messages[0]

    async def api_sends(self, talk: Talk, text: str, via: Via, fails: bool = False) -> Message:
        """Take in a message of the API or of a bot; with `fails`, its delivery ends in an error.

        With the echo set to go before the answer, returns once every subscriber has answered it for the first time.
        """
        chat = self.world.chats[talk.chat_id]
        draft = Draft(text, self.world.bot(), via, delivery_status=DeliveryStatus.SENT)
        is_late = self._is_window_over(chat)
        message = self.world.add_message(chat, talk, draft)
        await self.echo_before(chat, message)
        self.relay(chat, message)
        self.settle(message, DeliveryStatus.ERROR if fails or is_late else DeliveryStatus.DELIVERED)
        return message

    def _is_window_over(self, chat: Chat) -> bool:
        """Tell whether WhatsApp takes no free text any more; a chat in which nobody wrote yet is left alone."""
        if chat.origin != WHATSAPP or not self.settings.whatsapp_window_hours:
            return False
        written = [m.created_at for m in self.world.messages_of(chat) if not m.is_outgoing]
        ends_at = max(written, default=self.world.seconds()) + self.settings.whatsapp_window_hours * 3600
        return self.world.seconds() > ends_at

    async def echo_before(self, chat: Chat, message: Message) -> None:
        """Report a message back where that comes before its send is answered; return once all have answered."""
        if self.settings.echo_order == "before":
            passages = self.echo(chat, message)
            await asyncio.gather(*(passage.done.wait() for passage in passages if passage.free.is_set()))

    def echo_after(self, message: Message) -> BackgroundTask | None:
        """Return the task that reports a message back once its send is answered, where the settings want it then."""
        if self.settings.echo_order == "before":
            return None

        async def echo() -> None:
            self.echo(self.world.chats[message.chat_id], message)

        return BackgroundTask(echo)

    def echo(self, chat: Chat, message: Message) -> Sequence[Passage]:
        """Report a message that no person wrote back, in every shape that the settings name."""
        author = message.author
        # The caller knows an adopted chat by another id than ours: news of ours would be news of a stranger's chat.
        if self.settings.echo == "off" or chat.is_adopted:
            return ()
        if self.settings.echo == "internal":
            user = self.world.users[0]
            author = Author(AuthorType.INTERNAL, user.amojo_id or str(user.id), user.name, user.id)
        found: list[Passage] = []
        for shape in self.settings.echo_shapes:
            found += self._echo_in(shape, chat, message, author)
        return found

    def _echo_in(self, shape: str, chat: Chat, message: Message, author: Author) -> Sequence[Passage]:
        if shape == "chats":
            passage = self.relay(chat, replace(message, author=author))
            return [passage] if passage else []
        if shape == "outgoing_message":
            jobs = self._raise_outgoing(chat, message, author)
        else:
            root = "add[0]" if shape == "add" else "message[add][0]"
            fields = crm_events.message_added(self.settings, chat, message, author, root)
            jobs = self.webhooks.raise_event("add_message", chat.id, fields)
        return [job.passage for job in jobs]

    def relay(self, chat: Chat, message: Message) -> Passage | None:
        """Send a company's message of the own channel to the owner of the channel."""
        if chat.origin != self.settings.origin:
            return None
        contact = self.world.contacts[chat.contact_id]
        body = message_hook(self.settings, chat, contact, message, self.world.seconds())
        return self.chats_hooks.send("message", chat.id, body)

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

    def _raise_outgoing(
        self, chat: Chat, message: Message, author: Author, line: ColleagueLine | None = None
    ) -> Sequence[Job]:
        delay = line.delay_seconds if line else 0.0
        if line is not None and line.wrapper == "message":
            fields = crm_events.message_added(self.settings, chat, message)
            return self.webhooks.raise_event("add_message", chat.id, fields, delay=delay)
        source_id = SOURCE_ID if author.type is AuthorType.INTERNAL else None
        fields = crm_events.outgoing_message_added(self.settings, chat, message, author, source_id)
        return self.webhooks.raise_event("add_outgoing_message", chat.id, fields, delay=delay)

    def _chat_for(self, line: ClientLine) -> tuple[Chat, bool]:
        chat = self.world.chats.get(line.chat_id or "")
        if chat is not None:
            return chat, False
        contact = self.world.ensure_contact(line.contact_id, line.name, line.phone)
        return self.world.add_chat(line.chat_id, contact, line.origin, line.lead), True

    def _client_draft(self, chat: Chat, line: ClientLine, file: Attachment | None, late: bool) -> Draft:
        extra = {name: value for name in ("location", "contact") if (value := getattr(line, name)) is not None}
        kind = line.message_type or (file.type if file else next(iter(extra), "text"))
        author = Author(AuthorType.EXTERNAL, chat.client_id, chat.client_name)
        text = line.text or ("" if kind == "text" else self.settings.media_placeholder)
        attachment = None if late else file
        return Draft(text, author, Via.CLIENT, line.id, kind, line.created_at, attachment, extra=extra)

    def _complete(self, message: Message, line: ClientLine, file: Attachment | None) -> None:
        # The file of a message may come later, under the same id.
        message.text = line.text or message.text
        message.attachment = file or message.attachment
        message.message_type = line.message_type or message.message_type

    async def _file_follows(self, chat: Chat, message: Message, file: Attachment, line: ClientLine) -> None:
        await asyncio.sleep(line.late_file_seconds or 0.0)
        message.attachment = file
        if line.deliver:
            self.announce_client_message(chat, message, False)

    def _file_of(self, line: ClientLine) -> Attachment | None:
        given = line.attachment
        if given is None and line.message_type in FILE_NAMES:
            given = AttachmentLine(line.message_type or "file")
        return self.media.attachment(given) if given else None
