"""Signatures between the mesh and a relay: one body, one request, one moment."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from kommomesh_runtime.relay import (
    REQUEST_ID_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    signature_of,
    signed_headers,
    verified,
)

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
REQUEST_ID = UUID("0b3a7d6e-9d4f-4d55-8a68-0f6f2f4a1c11")
BODY = b'{"text": "hola"}'


def test_given_the_documented_example_when_signed_then_it_has_the_documented_signature() -> None:
    headers = signed_headers("local-relay-secret", BODY, REQUEST_ID, NOW)
    assert headers[TIMESTAMP_HEADER] == "1788264000"
    assert headers[SIGNATURE_HEADER] == "13c88b18e9b82baf6111a3dec06ebf06559e21d742bac032b2368f14ed413e32"


def test_given_a_signed_request_when_verified_with_any_valid_secret_then_its_id_is_returned() -> None:
    headers = signed_headers("old", BODY, REQUEST_ID, NOW)
    assert verified(headers, BODY, ("new", "old"), NOW + timedelta(minutes=4)) == REQUEST_ID


@pytest.mark.parametrize(
    ("changes", "body", "secrets", "minutes"),
    [
        ({}, BODY + b" ", ("s",), 0),
        ({}, BODY, ("other",), 0),
        ({}, BODY, ("",), 0),
        ({}, BODY, (), 0),
        ({}, BODY, ("s",), 6),
        ({}, BODY, ("s",), -6),
        ({TIMESTAMP_HEADER: "1788264001"}, BODY, ("s",), 0),
        ({TIMESTAMP_HEADER: "12:00"}, BODY, ("s",), 0),
        ({TIMESTAMP_HEADER: "٣"}, BODY, ("s",), 0),
        ({REQUEST_ID_HEADER: str(UUID(int=1))}, BODY, ("s",), 0),
        ({REQUEST_ID_HEADER: ""}, BODY, ("s",), 0),
        ({SIGNATURE_HEADER: ""}, BODY, ("s",), 0),
        ({SIGNATURE_HEADER: "é" * 64}, BODY, ("s",), 0),
        ({SIGNATURE_HEADER: "0" * 64}, BODY, ("s",), 0),
    ],
)
def test_given_anything_changed_when_verified_then_it_is_refused(
    changes: dict[str, str], body: bytes, secrets: tuple[str, ...], minutes: int
) -> None:
    headers = {**signed_headers("s", BODY, REQUEST_ID, NOW), **changes}
    assert verified(headers, body, secrets, NOW + timedelta(minutes=minutes)) is None


@pytest.mark.parametrize("spelling", [str(REQUEST_ID).upper(), REQUEST_ID.hex, f"{{{REQUEST_ID}}}", "not-an-id"])
def test_given_another_spelling_of_the_id_when_signed_then_it_is_refused_since_it_would_look_new(spelling: str) -> None:
    headers = {
        TIMESTAMP_HEADER: "1788264000",
        REQUEST_ID_HEADER: spelling,
        SIGNATURE_HEADER: signature_of("s", "1788264000", spelling, BODY),
    }
    assert verified(headers, BODY, ("s",), NOW) is None
