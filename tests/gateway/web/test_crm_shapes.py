"""CRM forms that no documentation shows: each is read, ignored with a reason, or refused as documented."""

from datetime import UTC, datetime

import pytest

from gateway.domain.crm_events import read_crm_events
from gateway.domain.events import (
    AuthorKind,
    Channel,
    ClientMessage,
    CompanyMessage,
    ContentType,
    EventsError,
    TalkEvent,
)
from gateway.domain.forms import parse_form
from gateway.domain.origins import shipped_origins

M = "message[add][0]"
IDS = f"{M}[id]=m1&{M}[chat_id]=c1"


def read(body: str):
    return read_crm_events(parse_form(body.encode()))


def only(body: str):
    intake = read(body)
    assert not intake.ignored
    (event,) = intake.events
    return event


@pytest.mark.parametrize(
    ("body", "reasons"),
    [
        (f"{M}[chat_id]=c1&{M}[text]=x", {"missing_message_id": 1}),
        (f"{M}[id]=m1&{M}[text]=x", {"missing_chat_id": 1}),
        (f"{M}[text]=x", {"missing_message_id": 1}),
        (f"{M}[id][x]=m1&{M}[chat_id]=c1", {"missing_message_id": 1}),
        (f"{M}[id]={'x' * 257}&{M}[chat_id]=c1", {"id_too_long": 1}),
        (f"{M}[id]=%00&{M}[chat_id]=c1", {"missing_message_id": 1}),
        ("message[update][0][id]=m1&message[update][0][chat_id]=c1", {"message_change": 1}),
        ("message[delete][0][id]=m1", {"message_change": 1}),
        ("talk[add][0][talk_id]=7", {"missing_chat_id": 1}),
        ("talk[delete][0][talk_id]=7", {"talk_change": 1}),
        (f"talk[add][0][chat_id]=c&talk[add][0][talk_id]={'9' * 300}", {"id_too_long": 1}),
        ("unsorted[update][0][category]=chats", {"unsorted_copy": 1}),
        ("unsorted[delete][0][category]=forms", {"unsorted_event": 1}),
        ("leads[add][0][id]=1&leads[update][1][id]=2&leads[note][0][note][text]=x", {"lead_event": 2, "note": 1}),
        ("contacts[note][0][note][text]=x&contacts[add][0][id]=1", {"note": 1, "contact_event": 1}),
        ("companies[add][0][id]=1&task[add][0][id]=2", {"company_event": 1, "task_event": 1}),
        ("chat_template_review[add][0][id]=1", {"template_review": 1}),
        ("whatever[add][0][id]=1", {"unknown_event": 1}),
        ("whatever=1", {"unknown_event": 1}),
        ("message=1", {"unknown_event": 1}),
        ("add=1", {"unknown_event": 1}),
        ("account[id]=1&x[=1&y]=2", {"malformed_pair": 2}),
    ],
)
def test_given_event_that_is_not_stored_when_read_then_reason_is_counted(body, reasons):
    intake = read(body)

    assert (intake.events, dict(intake.ignored)) == ([], reasons)


@pytest.mark.parametrize(
    "body", ["message[add]=x", "message[add][0]=x", "talk[add]=x", "account[id]=1", "leads[add]=x"]
)
def test_given_scalar_where_items_belong_when_read_then_nothing(body):
    assert read(body).events == []


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ("", None),
        ("&{m}[type]=incoming", None),
        ("&{m}[type]=INCOMING&{m}[author][type]=External", None),
        ("&{m}[author][type]=external", None),
        ("&{m}[author]=scalar", None),
        ("&{m}[author][type]=internal", AuthorKind.PERSON),
        ("&{m}[type]=incoming&{m}[author][type]=internal", AuthorKind.PERSON),
        ("&{m}[type]=outgoing", AuthorKind.BOT),
        ("&{m}[type]=outgoing&{m}[author][type]=external", AuthorKind.BOT),
        ("&{m}[author][type]=bot", AuthorKind.BOT),
        ("&{m}[author][type]=martian", AuthorKind.BOT),
    ],
)
@pytest.mark.parametrize("wrapper", ["message[add][0]", "add[5]"])
def test_given_types_when_read_then_client_only_if_incoming_and_external(wrapper, fields, kind):
    event = only(f"{wrapper}[id]=m1&{wrapper}[chat_id]=c1{fields.format(m=wrapper)}")

    assert (event.author_kind if isinstance(event, CompanyMessage) else None) == kind


@pytest.mark.parametrize("fields", ["", "&{m}[type]=incoming", "&{m}[author][type]=external"])
def test_given_outgoing_wrapper_when_read_then_never_a_client(fields):
    m = "outgoing_message[add][0]"

    assert only(f"{m}[id]=1&{m}[chat_id]=2{fields.format(m=m)}").author_kind == AuthorKind.BOT


@pytest.mark.parametrize(
    ("fields", "text", "kind"),
    [
        ("[text]=hola", "hola", ContentType.TEXT),
        ("[text]=", "", ContentType.OTHER),
        ("[text]=%20", " ", ContentType.OTHER),
        ("[message_type]=sticker", "", ContentType.STICKER),
        ("[message_type]=hologram", "", ContentType.OTHER),
        ("[attachment][type]=voice", "", ContentType.VOICE),
        ("[attachment][link]=https://x", "", ContentType.OTHER),
        ("[attachment]=x", "", ContentType.OTHER),
        ("[message_type]=location&{m}[text]=Mensaje vac%C3%ADo", "", ContentType.LOCATION),
        ("[text]=[Empty message]", "", ContentType.OTHER),
        ("[message_type]=text&{m}[text]=empty message", "empty message", ContentType.TEXT),
        ("[message_type]=text&{m}[attachment][type]=picture", "", ContentType.PICTURE),
    ],
)
def test_given_content_when_read_then_type_and_text(fields, text, kind):
    content = only(f"{IDS}&{M}{fields.format(m=M)}").content

    assert (content.text, content.content_type) == (text, kind)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        ("1788264000", datetime(2026, 9, 1, 12, tzinfo=UTC)),
        ("1788264000000", datetime(2026, 9, 1, 12, tzinfo=UTC)),
        ("0", None),
        ("-5", None),
        ("tomorrow", None),
        ("99999999999999999999", None),
        ("1e9", None),
        ("١٧٨", None),
        ("", None),
    ],
)
def test_given_created_at_when_read_then_time_or_none(value, at):
    assert only(f"{IDS}&{M}[created_at]={value}").content.written_at == at


@pytest.mark.parametrize(
    ("fields", "contact", "lead"),
    [
        ("[contact_id]=9007199254740993", "9007199254740993", ""),
        ("[element_type]=2&{m}[element_id]=5", "", "5"),
        ("[entity_type]=lead&{m}[entity_id]=5", "", "5"),
        ("[element_type]=1&{m}[element_id]=6", "6", ""),
        ("[entity_type]=company&{m}[entity_id]=7", "", ""),
        ("[entity_id]=7", "", ""),
    ],
)
def test_given_entities_when_read_then_contact_and_lead(fields, contact, lead):
    chat = only(f"{IDS}&{M}{fields.format(m=M)}").chat

    assert (chat.contact_id, chat.lead_id) == (contact, lead)


def test_given_all_kinds_in_one_body_when_read_then_each_is_found():
    intake = read(
        f"{IDS}&add[0][id]=m2&add[0][chat_id]=c1&outgoing_message[add][0][id]=m3&outgoing_message[add][0][chat_id]=c1"
        "&talk[update][0][chat_id]=c1&talk[update][0][is_in_work]=1&leads[add][0][id]=1&account[id]=7"
    )

    assert [type(event) for event in intake.events] == [ClientMessage, ClientMessage, CompanyMessage, TalkEvent]
    assert dict(intake.ignored) == {"lead_event": 1}


def test_given_names_when_read_then_contact_is_the_client_not_the_author():
    m = "outgoing_message[add][0]"
    event = only(f"{m}[id]=1&{m}[chat_id]=2&{m}[author][name]=Empleada&{m}[recipient][name]=Clienta")

    assert (event.chat.contact_name, event.author_name) == ("Clienta", "Empleada")


def test_given_more_events_than_a_call_holds_when_read_then_refused():
    body = "&".join(f"add[{n}][id]={n}&add[{n}][chat_id]=c" for n in range(501))

    with pytest.raises(EventsError) as caught:
        read(body)

    assert (caught.value.code, caught.value.is_too_large) == ("too_many_events", True)


@pytest.mark.parametrize(
    ("origin", "channel"),
    [
        ("WABA", Channel.WHATSAPP),
        ("amo.ext.x", Channel.OTHER),
        ("", Channel.OTHER),
        ("new.channel.2031", Channel.OTHER),
        ("instagram_business", Channel.INSTAGRAM),
    ],
)
def test_given_origin_when_mapped_then_default_is_visible(origin, channel):
    assert shipped_origins().channel_of(origin) == channel
    assert shipped_origins().is_known(origin) == (origin not in ("", "new.channel.2031"))
