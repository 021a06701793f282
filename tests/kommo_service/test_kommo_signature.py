"""Signing of requests to the Chats API, by the published vectors."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from kommo_service.domain.signature import http_date, signed_headers

FIXTURES = Path(__file__).parents[1] / "fixtures" / "kommo"
VECTORS = json.loads((FIXTURES / "signature_vectors.json").read_text())["request_signing"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_given_a_published_vector_when_signed_then_every_header_matches(vector: dict[str, Any]) -> None:
    headers = signed_headers(
        vector["secret"], vector["method"], vector["path"], vector["body"].encode(), vector["date"]
    )
    assert headers == {
        "Date": vector["date"],
        "Content-Type": vector["content_type"],
        "Content-MD5": vector["content_md5"],
        "X-Signature": vector["x_signature"],
    }


def test_given_times_in_any_zone_when_written_as_a_date_header_then_it_is_rfc_2822_in_utc() -> None:
    noon = datetime(2026, 9, 1, 12, tzinfo=UTC)
    there = noon.astimezone(timezone(timedelta(hours=-3)))
    assert http_date(noon) == http_date(there) == "Tue, 01 Sep 2026 12:00:00 +0000"


def test_given_a_method_in_lower_case_when_signed_then_it_counts_as_upper_case() -> None:
    arguments = ("s3cret", "/v2/origin/custom/x", b"{}", "Tue, 01 Sep 2026 12:00:00 +0000")
    secret, path, body, date = arguments
    assert signed_headers(secret, "post", path, body, date) == signed_headers(secret, "POST", path, body, date)
