"""Orders to play a message: what a client writes, and what the company writes in the inbox or on the phone."""

from typing import Any, Literal

import msgspec

from kommo_simulator.crm_shapes import ClientShape
from kommo_simulator.media import AttachmentLine


class ClientLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message to play as a client; with `late_file_seconds` its file follows in a second webhook.

    `also` are further texts of the client that the same webhook brings; `shape` is how the webhook names its fields.
    """

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
    late_file_seconds: float | None = None
    also: list[str] = []
    shape: ClientShape = "wrapped"


class Button(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A button under a message."""

    text: str
    url: str | None = None


class ListRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row to choose from a list."""

    callback_data: str
    title: str
    description: str = ""


class ListSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A section of a list, with up to ten rows."""

    title: str
    rows: list[ListRow]


class ListMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A WhatsApp list."""

    body: str
    button: str
    sections: list[ListSection]
    header: str = ""
    footer: str = ""

    def __post_init__(self) -> None:
        if not 1 <= len(self.sections) <= 10 or any(not 1 <= len(section.rows) <= 10 for section in self.sections):
            raise ValueError("a list has from 1 to 10 sections of 1 to 10 rows")


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One filled placeholder of a template."""

    key: str
    value: str


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The template a message was made from."""

    id: int
    content: str
    params: list[Parameter] = []
    external_id: str | None = None


class ColleagueLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message to play as the company.

    `device` phone: written on the company's own phone, so that Kommo knows no user. `wrapper` names the event that
    carries it: some accounts bring company messages as `message` with type outgoing.
    """

    chat_id: str
    text: str = ""
    user: int | None = None
    device: Literal["inbox", "phone"] = "inbox"
    wrapper: Literal["outgoing_message", "message"] = "outgoing_message"
    id: str | None = None
    created_at: int | None = None
    delay_seconds: float = 0.0
    attachments: list[AttachmentLine] = []
    buttons: list[list[Button]] | None = None
    list_message: ListMessage | None = None
    template: Template | None = None
    reply_to: str | None = None

    def markup(self) -> dict[str, Any] | None:
        """Return the markup of a Chats webhook; None without buttons and list."""
        if self.list_message is not None:
            return {"list_message": msgspec.to_builtins(self.list_message)}
        return {"mode": "inline", "buttons": msgspec.to_builtins(self.buttons)} if self.buttons else None

    def shown_template(self) -> dict[str, Any] | None:
        """Return the template of a Chats webhook; None without one."""
        return msgspec.to_builtins(self.template) if self.template else None
