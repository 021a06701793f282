"""Bad input at the HTTP edge: the documented status, one log line without personal data, nothing stored."""

import asyncio
import gc
import hashlib
import hmac
import json
import time
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
from structlog.testing import capture_logs

from gateway.adapters.authentication import Keyring
from gateway.adapters.bodies import BodyLimits
from gateway.adapters.ingest import CoalescerLimits, IngestCoalescer
from gateway.app import WebApp
from gateway.relay_hook import RelayHook
from gateway.salesbot import SalesbotHook
from gateway.webhooks import StoreSeconds, Webhooks
from kommomesh_runtime.accounts import Accounts

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACCOUNT = "account[id]=31874205"
MESSAGE = "message[add][0][id]=m1&message[add][0][chat_id]=c1&message[add][0][text]=hola"
PERSONAL = "María Secreta 5493510001122"
KNOWN_KEYS = {
    "event", "log_level", "method", "route", "status", "seconds", "error",
    "account_id", "events", "queued", "ignored", "kommo_request_id",
}  # fmt: skip


def guide_body(**account: object) -> dict[str, object]:
    return {"account": account, "message": {"add": [{"id": "m1", "chat_id": "c1", "text": "hola"}]}}


def check_error(answer, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    content = answer.json()
    assert (content["status"], content["error"]) == ("error", code)
    assert content["message"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "not_a_form"),
        (b"junk without any form", 400, "not_a_form"),
        (b"\x00\xff\xfe\x00", 400, "not_a_form"),
        (b"&&&&", 400, "not_a_form"),
        (b"[][][]=1", 400, "not_a_form"),
        (b'{"account":{"id":"31874205"}}', 400, "not_a_form"),
        (b"a" + b"[b]" * 10_000 + b"=1", 400, "key_too_long"),
        (b"a" + b"[" * 10_000 + b"=1", 400, "key_too_long"),
        (b"a[b][c][d][e][f][g][h][i][j][k]=1", 400, "key_too_deep"),
        (b"a=1&" * 10_000, 413, "too_many_pairs"),
        (b"a=" + b"x" * 1_048_576, 413, "body_too_large"),
        (MESSAGE.encode(), 401, "unauthenticated"),
        (f"account[id]=999&{MESSAGE}".encode(), 401, "unauthenticated"),
        (f"account[id][x]=31874205&{MESSAGE}".encode(), 401, "unauthenticated"),
        (f"account=31874205&{MESSAGE}".encode(), 401, "unauthenticated"),
        (b"account=31874205", 400, "not_a_form"),
        (
            f"{ACCOUNT}&".encode() + b"&".join(b"add[%d][id]=%d&add[%d][chat_id]=c" % (n, n, n) for n in range(501)),
            413,
            "too_many_events",
        ),
    ],
)
async def test_given_bad_form_when_posted_then_documented_status(shared_edge, body, status, code):
    with capture_logs() as logs:
        check_error(await shared_edge.crm(body), status, code)

    assert shared_edge.stored.items == []
    assert [line["error"] for line in logs if line["event"].startswith("request.")] == [code]


@pytest.mark.parametrize(
    ("body", "ignored", "queued"),
    [
        (f"{ACCOUNT}&message[add][0][text]=x", {"missing_message_id": 1}, 0),
        (f"{ACCOUNT}&message[add][0][id]=m1", {"missing_chat_id": 1}, 0),
        (f"{ACCOUNT}&{MESSAGE}&x[=1", {"malformed_pair": 1}, 1),
        (f"{ACCOUNT}&{MESSAGE}%00%ff\x00", None, 1),
        (f"{ACCOUNT}&message[add][-5][id]=m1&message[add][-5][chat_id]=c1", None, 1),
        (f"{ACCOUNT}&message[add][{'9' * 200}][id]=m1&message[add][{'9' * 200}][chat_id]=c1", None, 1),
        (f"{ACCOUNT}&message=scalar&{MESSAGE}", {"malformed_pair": 1}, 1),
        (ACCOUNT, None, 0),
        (f"{ACCOUNT}&message[add][0][id]=m1&message[add][0][chat_id]=rejected", {"rejected_by_storage": 1}, 0),
    ],
)
async def test_given_odd_but_genuine_form_when_posted_then_200(shared_edge, body, ignored, queued):
    answer = await shared_edge.crm(body.encode("latin-1"))

    assert answer.status_code == 200
    assert (answer.json().get("ignored"), answer.json()["messagesQueued"]) == (ignored, queued)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "not_json"),
        (b'{"account":', 400, "not_json"),
        (b"[" * 10_000, 400, "too_deep"),
        (b'{"a":' * 10_000, 400, "too_deep"),
        (b"[]", 400, "not_an_object"),
        (b"null", 400, "not_an_object"),
        (b"{}", 401, "unauthenticated"),
        (json.dumps(guide_body(id="999")).encode(), 401, "unauthenticated"),
        (json.dumps(guide_body(id=None)).encode(), 401, "unauthenticated"),
        (json.dumps(guide_body(subdomain="test")).encode(), 401, "unauthenticated"),
        (b'{"x":"' + b"y" * 1_048_576 + b'"}', 413, "body_too_large"),
    ],
)
async def test_given_bad_json_when_posted_then_documented_status(shared_edge, body, status, code):
    check_error(await shared_edge.guide(body), status, code)
    assert shared_edge.stored.items == []


async def test_given_invalid_utf8_and_nul_in_json_when_posted_then_cleaned(shared_edge):
    body = json.dumps(guide_body(id=31874205)).encode().replace(b"hola", b"a\xff\\u0000b")

    assert (await shared_edge.guide(body)).status_code == 200
    assert shared_edge.stored.items[0].client_message.text == "a�b"


@pytest.mark.parametrize("secret", ["wrong", "", "fixture-webhook-secre", "fixture-webhook-secret/x", "ñ%00", "%ff"])
async def test_given_wrong_secret_when_posted_then_401_like_an_unknown_account(shared_edge, secret):
    unknown_account = await shared_edge.crm(f"account[id]=1&{MESSAGE}")
    if secret:
        wrong_secret = await shared_edge.crm(f"{ACCOUNT}&{MESSAGE}", secret=secret)
        assert (wrong_secret.status_code, wrong_secret.content) == (401, unknown_account.content)
    assert unknown_account.status_code == 401
    assert shared_edge.stored.items == []


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/kommo/webhook/fixture-webhook-secret", {"content-type": "application/json"}, 415),
        ("/api/kommo/webhook/fixture-webhook-secret", {"content-type": "multipart/form-data; boundary=x"}, 415),
        ("/api/kommo/webhook/fixture-webhook-secret", {"content-encoding": "gzip"}, 415),
        ("/api/kommo/webhook", {"content-type": "application/x-www-form-urlencoded"}, 415),
        ("/api/kommo/nothing", {}, 404),
        ("/healthz", {}, 405),
        ("/", {}, 405),
    ],
)
async def test_given_request_of_a_wrong_kind_when_posted_then_refused_in_json(shared_edge, path, headers, status):
    answer = await shared_edge.client.post(path, content=b"x=1", headers=headers)

    assert answer.status_code == status
    assert answer.json()["status"] == "error"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/api/kommo/webhook", "/api/kommo/webhook/x", "/api/kommo/chats/x"])
async def test_given_other_method_when_sent_to_webhook_then_405(shared_edge, method, path):
    answer = await shared_edge.client.request(method, path)

    check_error(answer, 405, "method_not_allowed")


async def test_given_requests_when_logged_then_one_line_each_without_personal_data(shared_edge):
    body = f"{ACCOUNT}&{MESSAGE} {PERSONAL}&message[add][0][author][name]={PERSONAL}"
    with capture_logs() as logs:
        await shared_edge.crm(body, **{"x-amocrm-requestid": "9d28ff5f-358f-50f6-a43c-7a63f861c2b7"})
        await shared_edge.crm(body, secret="wrong-secret-value")
        await shared_edge.crm(f"{PERSONAL}[x]=1")
        await shared_edge.guide(PERSONAL.encode())
        await shared_edge.client.get("/api/kommo/webhook/fixture-webhook-secret?token=abc")
        await shared_edge.client.get(f"/{PERSONAL}")

    lines = [line for line in logs if line["event"].startswith("request.")]
    assert [line["status"] for line in lines] == [200, 401, 401, 400, 200, 404]
    assert all(set(line) <= KNOWN_KEYS for line in lines)
    shown = repr(logs)
    for hidden in ("María", "Secreta", "54935", "fixture-webhook-secret", "wrong-secret-value", "hola", "abc"):
        assert hidden not in shown
    assert lines[0]["kommo_request_id"] == "9d28ff5f-358f-50f6-a43c-7a63f861c2b7"


def unused_webhooks() -> Webhooks:
    coalescer = IngestCoalescer(None, CoalescerLimits())
    keyring = Keyring(Accounts.of(), {}, time.monotonic)
    return Webhooks(keyring, coalescer, BodyLimits(), StoreSeconds(), lambda: datetime.now(UTC))


async def failing_pages(_scope, _receive, _send) -> None:
    raise KeyError(PERSONAL)


async def test_given_failure_of_ours_when_asked_then_500_without_traceback_and_one_line():
    webhooks = unused_webhooks()
    transport = httpx.ASGITransport(WebApp(webhooks, SalesbotHook(webhooks, 300), RelayHook(webhooks), failing_pages))
    with capture_logs() as logs:
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            answer = await client.get("/")

    check_error(answer, 500, "internal_error")
    assert PERSONAL not in answer.text
    (line,) = [line for line in logs if line["event"].startswith("request.")]
    assert (line["event"], line["status"]) == ("request.failed", 500)


async def slowly(parts: int, release: asyncio.Event) -> AsyncIterator[bytes]:
    yield b"account[id]=31874205"
    await release.wait()
    for _ in range(parts):
        yield b"&a=1"


async def test_given_body_that_stops_when_posted_then_408(open_edge):
    async with open_edge(body_seconds=0.2) as edge:
        release = asyncio.Event()

        async def post():
            return await edge.crm(slowly(1, release))

        async with asyncio.TaskGroup() as group:
            posted = group.create_task(post())
            reader = group.create_task(wait_for_408(edge, release))
        assert reader.done()
        assert posted.result().status_code == 408


async def wait_for_408(edge, release: asyncio.Event) -> None:
    # The client reads its answer only after it has sent everything: let it end once the server must have given up.
    with capture_logs() as logs:
        async with asyncio.timeout(60):
            while not any(line.get("status") == 408 for line in logs):
                await asyncio.sleep(0.01)
    release.set()


async def test_given_headers_that_never_end_when_sent_then_connection_is_closed(open_edge):
    async with open_edge(request_seconds=0.3) as edge:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.web.port)
        writer.write(b"POST /api/kommo/webhook HTTP/1.1\r\nhost: x\r\n")
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        writer.close()


async def test_given_endless_headers_when_sent_then_431(open_edge):
    async with open_edge(header_limit_bytes=8_192) as edge:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.web.port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x-a: " + b"y" * 20_000)
        async with asyncio.timeout(60):
            assert (await reader.read()).startswith(b"HTTP/1.1 431 ")
        writer.close()


async def test_given_no_http_when_sent_then_400_and_no_traceback(shared_edge):
    reader, writer = await asyncio.open_connection("127.0.0.1", shared_edge.web.port)
    writer.write(b"\x16\x03\x01 this is no http\r\n\r\n")
    async with asyncio.timeout(60):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Traceback" not in answer
    writer.close()


async def chunks(total: int) -> AsyncIterator[bytes]:
    piece = b"x" * 65_536
    for _ in range(total // len(piece)):
        yield piece


@pytest.mark.parametrize("is_announced", [True, False])
async def test_given_50_mb_when_posted_then_413_and_memory_stays_flat(shared_edge, is_announced):
    size = 50 * 1024 * 1024
    headers = {"content-length": str(size)} if is_announced else {}
    signature = hmac.new(b"x", b"", hashlib.sha1).hexdigest()
    scope_id = "cb743d94-e10c-584f-935b-a878ab9c730b_1fc0353a-290f-5d64-b8fe-3d6f809da6fa"
    gc.collect()
    tracemalloc.start()
    try:
        crm = await shared_edge.crm(chunks(size), **headers)
        guide = await shared_edge.client.post("/api/kommo/webhook", content=chunks(size), headers=headers)
        chats = await shared_edge.client.post(
            f"/api/kommo/chats/{scope_id}", content=chunks(size), headers={**headers, "x-signature": signature}
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    for answer in (crm, guide, chats):
        check_error(answer, 413, "body_too_large")
    assert peak < size / 5
