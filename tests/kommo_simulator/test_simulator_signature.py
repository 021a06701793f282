"""The simulator's signatures against the published vectors, and what it refuses."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from kommo_simulator.signature import content_md5, refusal, sign_body, sign_request

VECTORS = json.loads((Path(__file__).parent.parent / "fixtures" / "kommo" / "signature_vectors.json").read_bytes())
REQUESTS = VECTORS["request_signing"]
SIGNED_HOOKS = [v for v in VECTORS["webhook_verification"] if v["valid"] and not v["wire_body"].endswith("\n")]


def _headers(vector):
    return {
        "content-type": vector["content_type"],
        "content-md5": vector["content_md5"],
        "date": vector["date"],
        "x-signature": vector["x_signature"],
    }


def _refusal(vector, late_seconds=0, **changed):
    headers = _headers(vector) | {name.replace("_", "-"): value for name, value in changed.items()}
    now = datetime.strptime(vector["date"], "%a, %d %b %Y %H:%M:%S %z").timestamp() + late_seconds
    return refusal(vector["secret"], vector["method"], vector["path"], headers, vector["body"].encode(), now)


@pytest.mark.parametrize("vector", REQUESTS, ids=lambda vector: vector["name"])
def test_given_a_published_request_when_signed_then_the_published_signature_results(vector):
    body = vector["body"].encode()
    assert content_md5(body) == vector["content_md5"]
    signature = sign_request(vector["secret"], vector["method"], vector["path"], body, vector["date"])
    assert signature == vector["x_signature"]
    assert _refusal(vector) is None


@pytest.mark.parametrize("vector", SIGNED_HOOKS, ids=lambda vector: vector["name"])
def test_given_a_webhook_body_when_signed_then_the_vector_results(vector):
    assert sign_body(vector["secret"], vector["wire_body"].encode()) == vector["x_signature"].lower()


@pytest.mark.parametrize(
    "changed",
    [
        {"content_type": "application/json; charset=utf-8"},
        {"content_md5": "1B2M2Y8AsgTpgAmY7PhCfg=="},
        {"x_signature": "abc"},
        {"x_signature": "ñ"},
        {"date": "yesterday"},
        {"date": ""},
        {"late_seconds": 901},
        {"late_seconds": -901},
    ],
)
def test_given_one_wrong_header_when_checked_then_the_request_is_refused(changed):
    assert _refusal(REQUESTS[2], **changed) is not None


def test_given_another_secret_when_checked_then_the_request_is_refused():
    assert _refusal(REQUESTS[2] | {"secret": "0" * 40}) is not None
