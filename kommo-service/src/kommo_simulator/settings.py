"""The settings of the simulator, read from the command line and from `MESH_SIMULATOR_*` variables."""

from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

LOCAL_TOKEN = "local-development-token"  # noqa: S105 - a public constant of the local account, not a secret
LOCAL_AMOJO_ID = "1a5c6e0d-3f7b-5c19-9a86-0d2f4b6c8e10"
LOCAL_CHANNEL_ID = "7f3d2b1a-9c4e-5d68-8b07-2e6a1c5f9d34"
LOCAL_CHANNEL_SECRET = "c0ffee5eed0f1eaf00d5afe7e57ab1e0decade11"  # noqa: S105 - public constant of the local channel
LOCAL_BOT_ID = "5e8b7a90-4d1c-5f23-96e4-b3a2d1c0f987"

LOCAL_CLIENT_UUID = "3b1f8c52-6d7e-5a90-b4c3-9e2f7a1d6058"
LOCAL_CLIENT_SECRET = "0ddba11c0ffee5eed0f1eaf00d5afe7e57ab1e0decade1100ddba11c0ffee5ee"  # noqa: S105 - public constant

EVENTS = (
    "add_message",
    "add_outgoing_message",
    "add_talk",
    "update_talk",
    "add_unsorted",
    "status_lead",
    "responsible_lead",
    "note_lead",
    "note_contact",
)
CHATS_EVENTS = ("message", "typing", "reaction")
ECHO_SHAPES = ("outgoing_message", "message", "add", "chats")
SCOPES = ("crm", "notifications", "send_external_messages", "list_external_messages")

Words = Annotated[tuple[str, ...], NoDecode]


class SimulatorSettings(BaseSettings):
    """What one simulator plays: an account, its token, its channel, its limits and its manners.

    Not frozen: some of it changes at run time, through the control API, on the simulator's own copy.
    """

    model_config = SettingsConfigDict(env_prefix="MESH_SIMULATOR_", validate_assignment=True, extra="forbid")

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8090, ge=0, le=65535, description="Port to listen on; 0 lets the kernel pick one.")

    account_id: int = Field(default=12345, gt=0, description="Id of the account.")
    subdomain: str = Field(default="test", min_length=1, description="Subdomain of the account.")
    amojo_id: str = Field(default=LOCAL_AMOJO_ID, min_length=1, description="The account's id in the Chats API.")
    access_token: SecretStr = Field(default=SecretStr(LOCAL_TOKEN), description="Bearer token of the REST API.")
    token_scopes: Words = Field(default=SCOPES, description="Scopes of the token.")

    webhook_urls: Words = Field(default=(), description="Destinations subscribed to CRM webhooks at the start.")
    webhook_events: Words = Field(default=EVENTS, description="Events those destinations subscribe to.")
    webhook_timeout_seconds: float = Field(default=2.0, gt=0, description="Time a CRM webhook may take to answer.")
    webhook_concurrency: int = Field(default=32, ge=1, le=1000, description="Webhook requests open at the same time.")
    time_scale: float = Field(
        default=1.0, gt=0, le=1000, description="Factor on retry delays, the two-hour window and the length of a ban."
    )
    raise_talk_events: bool = Field(default=True, description="New talks raise talk[add], closed ones talk[update].")
    raise_unsorted: bool = Field(default=True, description="New chats also raise the unsorted[add] copy.")
    echo: Literal["on", "off", "internal"] = Field(
        default="on", description="API sends raise outgoing_message[add]; `internal` gives them a person's author type."
    )
    echo_order: Literal["after", "before"] = Field(
        default="after", description="Whether that echo goes out after or before the answer of the send."
    )
    echo_shapes: Words = Field(
        default=ECHO_SHAPES[:1],
        description="Shapes of that echo, each raised: outgoing_message, message, add, chats (own channel alone).",
    )

    rate: int = Field(default=7, ge=0, description="REST requests per second; 0 = unlimited.")
    ban_after: int = Field(default=30, ge=1, description="Refusals within 10 s that lead to the HTML 403.")
    ban_seconds: float = Field(default=60.0, gt=0, description="Length of that ban, before `time_scale`.")
    quota: int = Field(default=10_000, ge=0, description="send_message calls per calendar month; 0 = unlimited.")
    plan_has_addon: bool = Field(default=True, description="False: send_message answers 402 for the tariff.")
    whatsapp_window_hours: float = Field(
        default=24.0,
        ge=0,
        description="Time after the client's last word in which WhatsApp takes free text; 0 = without end.",
    )
    clock_ahead_seconds: float = Field(
        default=0.0, description="How far Kommo's clock is ahead of this machine's; below zero it is behind."
    )
    delivery_delay_seconds: float = Field(default=0.3, ge=0, description="Time until `sent` becomes `delivered`.")
    adopt_unknown_chats: bool = Field(
        default=True, description="Development aid, unlike Kommo: unknown talks and contacts get a chat on demand."
    )

    serve_media: bool = Field(
        default=False, description="Links of made-up files point at the simulator, which serves the files anyway."
    )
    public_url: str = Field(default="", description="URL of those links; empty = where the simulator listens.")
    media_placeholder: str = Field(default="", description="Text of media messages that the client sent without one.")

    salesbot_id: int = Field(default=0, ge=0, description="The only Salesbot; 0 = any id is one.")
    salesbot_field_id: int = Field(
        default=0, ge=0, description="Custom field of the lead that a launched bot prints; 0 = the first with a text."
    )
    salesbot_delay_seconds: float = Field(
        default=0.0, ge=0, description="Time from the launch or continuation of a bot until it speaks."
    )
    lead_field_limit: int = Field(
        default=256, ge=0, description="Longest text of a lead's custom field; 0 = unlimited, as in a text area."
    )

    client_uuid: str = Field(default=LOCAL_CLIENT_UUID, min_length=1, description="Id of the integration.")
    client_secret: SecretStr = Field(default=SecretStr(LOCAL_CLIENT_SECRET), description="Its secret, for bot tokens.")

    channel_id: str = Field(default=LOCAL_CHANNEL_ID, min_length=1, description="Id of the own channel.")
    channel_secret: SecretStr = Field(default=SecretStr(LOCAL_CHANNEL_SECRET), description="Secret of that channel.")
    channel_code: str = Field(default="", description="Origin of its chats; empty = amo.ext.<account id>.")
    channel_connected: bool = Field(default=True, description="The channel is connected from the start.")
    bot_id: str = Field(default=LOCAL_BOT_ID, min_length=1, description="Id of the channel's bot.")
    chats_webhook_url: str = Field(default="", description="URL of Chats webhooks; may contain :scope_id.")
    chats_webhook_events: Words = Field(
        default=CHATS_EVENTS[:1], description="Chats webhooks subscribed to: message, typing, reaction."
    )
    chats_webhook_timeout_seconds: float = Field(default=5.0, gt=0, description="Time a Chats webhook may take.")

    @field_validator(
        "token_scopes", "webhook_urls", "webhook_events", "chats_webhook_events", "echo_shapes", mode="before"
    )
    @classmethod
    def _split_words(cls, value: Any) -> Any:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @field_validator("chats_webhook_events")
    @classmethod
    def _check_chats_events(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(value) - set(CHATS_EVENTS):
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(CHATS_EVENTS)}")
        return value

    @field_validator("echo_shapes")
    @classmethod
    def _check_echo_shapes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(value) - set(ECHO_SHAPES):
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(ECHO_SHAPES)}")
        return value

    @property
    def scope_id(self) -> str:
        """The id of the channel within this account, as the Chats API's paths carry it."""
        return f"{self.channel_id}_{self.amojo_id}"

    @property
    def origin(self) -> str:
        """The origin of chats of the own channel."""
        return self.channel_code or f"amo.ext.{self.account_id}"
