"""The hook of Salesbots at the HTTP edge: what is proved is stored, anything else is refused."""

import base64
import json
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from kommomesh_runtime.accounts import SecretRef

pytestmark = pytest.mark.asyncio(loop_scope="module")

INTEGRATION = "3ce64c51-4f91-536b-8703-c6520b667e98"
SECRET = "1191cb34914bf1b213aa5b16fbecc0929d842517c5cf8fdc851d8d7549c9629e"
NOW = 1_788_264_005
RETURN_URL = "https://fixture-tiendaaurora.kommo.com/api/v4/salesbot/48211/continue/90017"
CLAIMS = {
    "iss": "https://fixture-tiendaaurora.kommo.com",
    "aud": "https://hooks.example.com",
    "iat": NOW - 5,
    "nbf": NOW - 5,
    "exp": NOW + 600,
    "account_id": 31874205,
    "subdomain": "fixture-tiendaaurora",
    "client_uuid": INTEGRATION,
    "bot_type": "salesbot",
    "entity_type": 2,
    "entity_id": 8412033,
}


def token(secret: str = SECRET, algorithm: str = "HS512", **changes: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    return jwt.encode(claims, secret, algorithm=algorithm)


def body(made: str | None = None, return_url: str = RETURN_URL, **data: Any) -> bytes:
    return json.dumps({"token": made or token(), "data": data, "return_url": return_url}).encode()


def unsigned(header: bytes, claims: dict[str, Any] = CLAIMS) -> str:
    parts = (header, json.dumps(claims).encode(), b"")
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def test_given_a_bots_request_when_posted_then_its_lead_can_be_answered_and_no_message_is_stored(shared_edge):
    answer = await shared_edge.salesbot(body(message="{{message_text}}", lead_id="999"))

    assert (answer.status_code, answer.json()["messagesQueued"]) == (200, 0)
    (item,) = shared_edge.stored.items
    assert (item.account_id, item.lead_id, item.chat_id) == ("31874205", "8412033", "")
    assert item.salesbot_request.return_url == RETURN_URL
    assert item.salesbot_request.expire_time.seconds == NOW + 300


@pytest.mark.parametrize(
    "changes",
    [
        {"entity_type": "lead"},
        {"entity_type": "leads"},
        {"account_id": "31874205"},
        {"aud": ["https://other.example.com", "https://hooks.example.com"]},
        {"iss": "https://fixture-tiendaaurora.kommo.com/"},
        {"nbf": NOW + 20, "iat": NOW + 20},
        {"exp": NOW - 20},
        {"nbf": None, "iat": None},
    ],
)
async def test_given_a_token_in_another_documented_form_when_posted_then_stored(shared_edge, changes):
    assert (await shared_edge.salesbot(body(token(**changes)))).status_code == 200
    assert shared_edge.stored.items[0].lead_id == "8412033"


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", ""])
async def test_given_a_form_when_posted_then_read_as_one(shared_edge, content_type):
    form = urlencode({"token": token(), "data[message]": "hola", "return_url": RETURN_URL})

    assert (await shared_edge.salesbot(form, content_type)).status_code == 200
    assert shared_edge.stored.items[0].salesbot_request.return_url == RETURN_URL


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/hal+json", "text/plain", ""])
async def test_given_json_when_posted_then_read_as_it(shared_edge, content_type):
    assert (await shared_edge.salesbot(body(), content_type)).status_code == 200
    assert len(shared_edge.stored.items) == 1


@pytest.mark.parametrize(
    "made",
    [
        token("x" * 64),
        token(algorithm="HS256"),
        token(algorithm="HS384"),
        unsigned(b'{"alg":"none","typ":"JWT"}'),
        unsigned(b'{"alg":"HS512","typ":"JWT"}'),
        unsigned(b'{"alg":"RS512","typ":"JWT"}'),
        unsigned(b'{"alg":"HS512","crit":["x"],"x":1}'),
        unsigned(b"[" * 2_000),
        unsigned(b'{"alg":' + b"9" * 2_000 + b"}"),
        token(exp=NOW - 60),
        token(exp=None),
        token(exp="never"),
        token(exp=float("nan")),
        token(exp=float("inf")),
        token(exp=True),
        token(exp=10**400),
        token(nbf=NOW + 60),
        token(iat=NOW + 60),
        token(aud="https://hooks.example.org"),
        token(aud=None),
        token(iss="https://other.kommo.com"),
        token(iss="https://fixture-tiendaaurora.kommo.com.example.org"),
        token(iss="https://[broken"),
        token(iss=None),
        token(account_id=31874206),
        token(account_id=None),
        token(client_uuid="another"),
        token(client_uuid=None),
        token()[:-4] + "AAAA",
        token() + "." + token(),
        "..",
        "{{token}}",
        "ñ" * 100,
        "x" * 100_000,
    ],
)
async def test_given_a_token_that_proves_nothing_when_posted_then_401_and_nothing_stored(shared_edge, made):
    answer = await shared_edge.salesbot(body(made))

    assert (answer.status_code, answer.json()["error"]) == (401, "unauthenticated")
    assert shared_edge.stored.items == []


@pytest.mark.parametrize(
    "changes",
    [
        {"integration_id": ""},
        {"public_url": ""},
        {"secrets": {}},
    ],
)
async def test_given_account_that_lacks_what_proves_a_bot_when_posted_then_closed(open_edge, account_with, changes):
    async with open_edge(account_with(**changes)) as edge:
        assert (await edge.salesbot(body())).status_code == 401
        assert (await edge.salesbot(body(), account="999")).status_code == 401


async def test_given_a_secret_that_is_being_replaced_when_posted_then_old_and_new_prove(open_edge, account_with):
    both = tuple(SecretRef(value=SecretStr(one)) for one in ("n" * 64, SECRET))
    async with open_edge(account_with(secrets={"client_secret": both})) as edge:
        assert (await edge.salesbot(body(token("n" * 64)))).status_code == 200
        assert (await edge.salesbot(body(token(entity_id=7)))).status_code == 200
        assert [item.lead_id for item in edge.stored.items] == ["8412033", "7"]


@pytest.mark.parametrize(
    "return_url",
    [
        "",
        "{{return_url}}",
        "https://example.org/api/v4/salesbot/48211/continue/90017",
        "http://fixture-tiendaaurora.kommo.com/api/v4/salesbot/48211/continue/90017",
        f"{RETURN_URL}?to=https://example.org",
        "http://169.254.169.254/latest/meta-data",
    ],
)
async def test_given_a_hostile_return_url_when_posted_then_400_and_nothing_stored_or_logged(shared_edge, return_url):
    with capture_logs() as logs:
        answer = await shared_edge.salesbot(body(return_url=return_url))

    assert (answer.status_code, answer.json()["error"]) == (400, "return_url_refused")
    assert shared_edge.stored.items == []
    assert "example.org" not in repr(logs)


@pytest.mark.parametrize(("entity_type", "entity_id"), [(12, 5), ("contact", 5), ("lead", 0), (None, None), (2, None)])
async def test_given_a_bot_without_a_lead_when_posted_then_ignored_with_its_reason(shared_edge, entity_type, entity_id):
    answer = await shared_edge.salesbot(body(token(entity_type=entity_type, entity_id=entity_id)))

    assert (answer.status_code, answer.json()["ignored"]) == (200, {"bot_without_lead": 1})
    assert shared_edge.stored.items == []


@pytest.mark.parametrize(
    ("sent", "content_type", "status", "code"),
    [
        (b"", "application/json", 400, "not_json"),
        (b"", "", 400, "not_a_form"),
        (b"[1]", "application/json", 400, "not_an_object"),
        (b"{", "application/json", 400, "not_json"),
        (b"{" * 5_000, "", 400, "not_json"),
        (b"a" * 2_000 + b"=1", "application/x-www-form-urlencoded", 400, "key_too_long"),
        (b"x=1", "multipart/form-data; boundary=x", 415, "unsupported_media_type"),
        (b"{}", "application/json", 401, "unauthenticated"),
        (b'{"token": {"a": 1}, "return_url": []}', "application/json", 401, "unauthenticated"),
        (b"x" * 1_100_000, "application/json", 413, "body_too_large"),
    ],
)
async def test_given_a_body_that_is_none_when_posted_then_documented_status(
    shared_edge, sent, content_type, status, code
):
    answer = await shared_edge.salesbot(sent, content_type)

    assert (answer.status_code, answer.json()["error"]) == (status, code)


async def test_given_storage_down_when_posted_then_503_and_not_200(shared_edge):
    shared_edge.stored.failures_left = 1_000

    assert (await shared_edge.salesbot(body())).status_code == 503
