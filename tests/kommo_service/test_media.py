"""Looking at files over real sockets: what is asked, what is not, and what an answer says."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from kommo_service.adapters.media import MediaInspector, open_media_inspector
from kommo_service.domain.media import MOST_BYTES, MediaFacts, MediaOutcome, is_public
from kommomesh.kommo.v1 import media_pb2 as pb
from kommomesh_runtime.accounts import Account
from kommomesh_runtime.errors import RemoteError

FOUND = MediaOutcome.FOUND


def account_at(url: str) -> Account:
    return Account(id="12345", subdomain="test", kommo_base_url=url, chats_base_url=url)


async def inspected(peer: Any, path: str = "/media/1/comprobante.pdf", **changes: Any) -> MediaFacts:
    async with open_media_inspector() as opened:
        inspector = MediaInspector(opened.client, **changes)
        return await inspector.inspect(account_at(peer.url), f"{peer.url}{path}")


async def test_given_file_when_inspected_then_type_size_and_name_without_token(peer):
    peer.will(200, "x" * 1200, "application/pdf; charset=binary", **{"Set-Cookie": "a=b"})
    assert await inspected(peer) == MediaFacts(FOUND, "application/pdf", 1200, "comprobante.pdf")
    (asked,) = peer.seen
    assert (asked.method, asked.headers["host"]) == ("GET", peer.url.removeprefix("http://"))
    assert "authorization" not in asked.headers
    assert "cookie" not in asked.headers


async def test_given_name_in_the_answer_when_inspected_then_shown_without_folders(peer):
    disposition = {"Content-Disposition": "attachment; filename*=UTF-8''..%2Fmi%20foto%E2%80%AE.png"}
    peer.will(200, "x", "text/html<script>", **disposition)
    assert await inspected(peer, "/media/1/abc") == MediaFacts(FOUND, "", 1, "mi foto.png")


async def test_given_answer_without_length_when_inspected_then_bytes_counted(peer):
    async def chunks(exchange):
        head = "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
        exchange.writer.write(head.encode() + b"5\r\n12345\r\n3\r\n678\r\n0\r\n\r\n")

    peer.does(chunks)
    assert (await inspected(peer)).size_bytes == 8


async def test_given_endless_answer_when_inspected_then_ended_beyond_the_limit(peer):
    async def endless(exchange):
        exchange.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\n\r\n")
        while True:
            exchange.writer.write(b"x" * 1_048_576)
            await exchange.writer.drain()

    peer.does(endless)
    facts = await inspected(peer, limit_seconds=60)
    assert (facts.outcome, facts.reason) == (MediaOutcome.TOO_LARGE, "too_large")
    assert MOST_BYTES < facts.size_bytes <= MOST_BYTES + 2 * 1_048_576


async def test_given_length_beyond_the_limit_when_inspected_then_nothing_of_it_read(peer):
    async def announced(exchange):
        exchange.writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {MOST_BYTES + 1}\r\n\r\n".encode())

    peer.does(announced)
    facts = await inspected(peer)
    assert (facts.outcome, facts.size_bytes) == (MediaOutcome.TOO_LARGE, MOST_BYTES + 1)


async def test_given_redirect_to_an_allowed_place_when_inspected_then_followed_once(peer):
    peer.will(302, None, Location="/media/2/foto.png")
    peer.will(200, "xy", "image/png")
    assert (await inspected(peer)).file_name == "foto.png"
    peer.will(302, None, Location="/a")
    peer.will(302, None, Location="/b")
    assert await inspected(peer) == MediaFacts(MediaOutcome.NOT_ALLOWED, reason="redirected")
    assert len(peer.seen) == 4


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://127.0.0.1:1/file.png", "not_https"),
        ("https://evil.example/file.png", "foreign_host"),
        ("file:///etc/passwd", "link_malformed"),
        ("http://[", "broken_off"),
    ],
)
async def test_given_redirect_elsewhere_when_inspected_then_not_followed(peer, location, reason):
    peer.will(302, None, Location=location)
    assert (await inspected(peer)).reason == reason
    assert len(peer.seen) == 1


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (404, MediaOutcome.GONE, "not_found"),
        (403, MediaOutcome.GONE, "refused"),
        (204, MediaOutcome.UNREACHABLE, "unexpected_answer"),
        (503, MediaOutcome.UNREACHABLE, "server_error"),
    ],
)
async def test_given_no_file_when_inspected_then_typed_outcome(peer, status, outcome, reason):
    peer.will(status)
    assert await inspected(peer) == MediaFacts(outcome, reason=reason)


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_given_connection_broken_when_inspected_then_unreachable(peer, how):
    peer.does(lambda exchange: getattr(exchange, how)())
    assert await inspected(peer) == MediaFacts(MediaOutcome.UNREACHABLE, reason="broken_off")


async def test_given_slow_server_when_inspected_then_time_limited(peer):
    peer.does(lambda exchange: exchange.hang())
    assert await inspected(peer, limit_seconds=0.2) == MediaFacts(MediaOutcome.UNREACHABLE, reason="timed_out")


@pytest.mark.parametrize(
    ("addresses", "outcome", "reason"),
    [
        (["10.0.0.7"], MediaOutcome.NOT_ALLOWED, "private_address"),
        (["127.0.0.1"], MediaOutcome.NOT_ALLOWED, "private_address"),
        (["8.8.8.8", "169.254.169.254"], MediaOutcome.NOT_ALLOWED, "private_address"),
        ([], MediaOutcome.UNREACHABLE, "no_address"),
    ],
)
async def test_given_kommos_name_that_leads_inside_when_inspected_then_nothing_is_asked(addresses, outcome, reason):
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    async with open_media_inspector(resolve) as inspector:
        facts = await inspector.inspect(account_at(""), "https://amojo.kommo.com/file.pdf")
    assert (facts.outcome, facts.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("fec0::1", False),
        ("::ffff:0:127.0.0.1", False),
    ],
)
def test_given_address_when_looked_at_then_only_public_ones_count(address, public):
    assert is_public([address]) == public


async def test_given_service_when_asked_over_the_wire_then_outcomes_and_typed_errors(peer, served):
    peer.will(200, "xyz", "image/jpeg")
    async with served(account_at(peer.url)) as stub:
        found = await stub.InspectMedia(pb.InspectMediaRequest(account_id="12345", url=f"{peer.url}/a/foto.jpg"))
        foreign = await stub.InspectMedia(pb.InspectMediaRequest(account_id="12345", url="https://evil.example/a"))
        with pytest.raises(RemoteError) as unknown:
            await stub.InspectMedia(pb.InspectMediaRequest(account_id="9", url="https://evil.example/a"))
        with pytest.raises(RemoteError) as missing:
            await stub.InspectMedia(pb.InspectMediaRequest(account_id="12345"))
    assert (found.outcome, found.content_type, found.size_bytes) == (pb.MEDIA_OUTCOME_FOUND, "image/jpeg", 3)
    assert found.file_name == "foto.jpg"
    assert (foreign.outcome, foreign.reason) == (pb.MEDIA_OUTCOME_NOT_ALLOWED, "foreign_host")
    assert (unknown.value.code, unknown.value.reason) == ("NOT_FOUND", "ACCOUNT_NOT_FOUND")
    assert missing.value.code == "INVALID_ARGUMENT"


async def test_given_many_files_when_inspected_at_once_then_each_has_its_own_answer(peer):
    for _ in range(5):
        peer.does(lambda exchange: exchange.answer(200, exchange.target, "text/plain"))
    async with open_media_inspector() as inspector:
        account = account_at(peer.url)
        facts = await asyncio.gather(*(inspector.inspect(account, f"{peer.url}/{'x' * n}.txt") for n in range(1, 6)))
    assert [one.size_bytes for one in facts] == [6, 7, 8, 9, 10]
