"""The gateway's parsers in a process of their own: a body comes in, what became of it and the CPU seconds go out."""

import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import astuple
from typing import Any

from gateway.adapters.ingest_items import to_item
from gateway.adapters.json_bodies import read_json
from gateway.domain import guide_events
from gateway.domain.chats_events import ChannelIdentity, read_chats_events
from gateway.domain.crm_events import account_id_of, read_crm_events
from gateway.domain.events import EventsError, Intake
from gateway.domain.forms import FormError, parse_form
from gateway.domain.salesbot_requests import of_form, of_json

MOST_EVENTS = 500
MOST_ID = 256
IDENTITY = ChannelIdentity.of("31874205", ("db2aef5d-e204-580c-b10b-7f8f6a238708",))


def texts_of(value: Any) -> Iterator[str]:
    """Give every text in a nest of tuples."""
    if isinstance(value, tuple):
        for inner in value:
            yield from texts_of(inner)
    elif isinstance(value, str):
        yield value


def check(intake: Intake) -> None:
    """Look whether what was read can be stored."""
    assert len(intake.events) <= MOST_EVENTS
    for event in intake.events:
        item = to_item("31874205", event)
        assert 0 < len(item.chat_id) <= MOST_ID
        assert not any("\0" in text for text in texts_of(astuple(event)))
        assert item.SerializeToString()
    assert all(count > 0 for count in intake.ignored.values())


def read_form(body: bytes) -> None:
    """Do with a form what the gateway does."""
    form = parse_form(body)
    of_form(form)
    account_id_of(form)
    check(read_crm_events(form))


def read_object(body: bytes) -> None:
    """Do with a JSON body what the gateway does."""
    content = read_json(body)
    of_json(content)
    guide_events.account_id_of(content)
    check(guide_events.read_guide_events(content))
    check(read_chats_events(content, IDENTITY))


READERS: dict[str, Callable[[bytes], None]] = {"form": read_form, "json": read_object}


def became(kind: str, body: bytes) -> str:
    """Return what became of a body: `read`, the code of a documented refusal, or a traceback after `!`."""
    try:
        READERS[kind](body)
    except (FormError, EventsError) as error:
        return error.code
    except Exception:
        return f"!{traceback.format_exc()!r}"
    return "read"


def main() -> None:
    """Answer bodies until the input ends; each comes after a line with its kind and length."""
    while line := sys.stdin.buffer.readline():
        kind, length = line.decode().split()
        body = sys.stdin.buffer.read(int(length))
        started = time.thread_time()
        result = became(kind, body)
        print(f"{time.thread_time() - started:.6f} {result}", flush=True)


if __name__ == "__main__":
    main()
