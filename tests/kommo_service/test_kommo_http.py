"""Requests over real sockets: what each way of failing means, and what is never followed, kept or sent."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from kommo_service.adapters.kommo_http import KommoHttp, Request
from kommo_service.adapters.rest import Rest
from kommo_service.domain.classification import Answer, Failure
from kommo_service.domain.limiter import KommoRateLimited, Use
from kommomesh_runtime.deadline import budget

POST = Request("send_message", "POST", "/api/v4/talks/1/send_message", {}, b"{}")


async def test_given_nobody_listening_when_asked_then_it_was_not_connected(http_to: Callable[..., KommoHttp]) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    assert await http_to(f"http://127.0.0.1:{port}").ask(POST) is Failure.NOT_CONNECTED


async def test_given_a_peer_that_never_answers_when_time_is_over_then_it_timed_out(
    peer: Any, http_to: Callable[..., KommoHttp]
) -> None:
    peer.does(lambda exchange: exchange.hang())
    with budget(0.5):
        assert await http_to(peer.url).ask(POST) is Failure.TIMED_OUT
    assert len(peer.seen) == 1


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_given_a_peer_that_breaks_off_when_asked_then_it_broke_off(
    peer: Any, http_to: Callable[..., KommoHttp], how: str
) -> None:
    peer.does(lambda exchange: getattr(exchange, how)())
    assert await http_to(peer.url).ask(POST) is Failure.BROKEN_OFF


async def test_given_an_answer_that_ends_too_early_when_asked_then_it_broke_off(
    peer: Any, http_to: Callable[..., KommoHttp]
) -> None:
    async def half(exchange: Any) -> None:
        exchange.writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 50\r\n\r\n{")
        exchange.writer.close()

    peer.does(half)
    assert await http_to(peer.url).ask(POST) is Failure.BROKEN_OFF


async def test_given_no_time_left_when_asked_then_nothing_is_started(
    peer: Any, http_to: Callable[..., KommoHttp]
) -> None:
    with budget(0.1):
        assert await http_to(peer.url).ask(POST) is Failure.NOT_CONNECTED
    assert peer.seen == []


async def test_given_a_redirect_when_asked_then_it_is_not_followed(
    peer: Any, http_to: Callable[..., KommoHttp]
) -> None:
    peer.will(307, None, Location=f"{peer.url}/elsewhere")
    answer = await http_to(peer.url).ask(POST)
    assert isinstance(answer, Answer)
    assert answer.status == 307
    assert len(peer.seen) == 1


async def test_given_a_cookie_when_asked_again_then_it_is_not_sent_back(
    peer: Any, http_to: Callable[..., KommoHttp]
) -> None:
    http = http_to(peer.url)
    for _ in range(2):
        peer.will(200, {}, **{"Set-Cookie": "session_id=abc; Path=/"})
        await http.ask(POST)
    assert "cookie" not in peer.seen[1].headers


@pytest.mark.parametrize("body", ["<html>", "[1]", "", '"text"', "[" * 5000])
async def test_given_a_body_that_is_no_object_when_asked_then_it_reads_as_empty(
    peer: Any, http_to: Callable[..., KommoHttp], body: str
) -> None:
    peer.will(200, body)
    answer = await http_to(peer.url).ask(POST)
    assert isinstance(answer, Answer)
    assert answer.body == {}


async def test_given_a_date_header_when_asked_then_the_drift_is_known(
    peer: Any, http_to: Callable[..., KommoHttp], clock: Any
) -> None:
    clock.at = datetime(2026, 9, 1, 12, tzinfo=UTC)
    peer.will(200, {}, Date="Tue, 01 Sep 2026 12:01:30 GMT")
    answer = await http_to(peer.url, clock).ask(POST)
    assert isinstance(answer, Answer)
    assert answer.drift_seconds == 90


@pytest.mark.parametrize(("status", "least"), [(429, 1), (403, 30)])
async def test_given_kommo_s_refusal_in_html_when_asked_then_the_account_rests(
    peer: Any, http_to: Callable[..., KommoHttp], status: int, least: float
) -> None:
    peer.will(status, "<html><body>no</body></html>", "text/html")
    http = http_to(peer.url)
    answer = await http.ask(POST)
    assert isinstance(answer, Answer)
    assert answer.pause_seconds >= least
    with pytest.raises(KommoRateLimited) as caught:
        http.admit(Use.SEND)
    assert caught.value.retry_after == pytest.approx(least, abs=1)


async def test_given_a_403_in_json_when_asked_then_the_account_does_not_rest(
    peer: Any, http_to: Callable[..., KommoHttp]
) -> None:
    peer.will(403, {"detail": "Invalid scope"}, "application/problem+json")
    http = http_to(peer.url)
    await http.ask(POST)
    http.admit(Use.SEND)


async def test_given_two_valid_tokens_when_the_newest_is_refused_then_the_other_is_used(
    peer: Any, http_to: Callable[..., KommoHttp]
) -> None:
    peer.will(401, {"detail": "Unauthorized"})
    peer.will(202, {"id": "m1"})
    rest = Rest(http_to(peer.url), lambda: (SecretStr("new"), SecretStr("old")))
    answer = await rest.post("send_message", "/api/v4/talks/1/send_message", {"text": "ñandú 👍"})
    assert isinstance(answer, Answer)
    assert answer.status == 202
    assert [exchange.headers["authorization"] for exchange in peer.seen] == ["Bearer new", "Bearer old"]
    assert peer.seen[1].body.decode() == '{"text": "ñandú 👍"}'


async def test_given_a_token_that_was_rotated_when_asked_again_then_the_new_one_is_sent(
    peer: Any, http_to: Callable[..., KommoHttp]
) -> None:
    tokens = [SecretStr("one")]
    rest = Rest(http_to(peer.url), lambda: tuple(tokens))
    for token in ("one", "two"):
        tokens[0] = SecretStr(token)
        peer.will(200, {})
        await rest.get("list_talks", "/api/v4/talks", {"filter[contact_id]": "9"})
    assert [exchange.headers["authorization"] for exchange in peer.seen] == ["Bearer one", "Bearer two"]


async def test_given_a_server_whose_identity_cannot_be_verified_when_asked_then_no_token_reaches_it(
    peer: Any, http_to: Callable[..., KommoHttp]
) -> None:
    url = peer.url.replace("http://", "https://")
    with budget(1.0):
        assert await http_to(url).ask(POST) is Failure.NOT_CONNECTED
    assert peer.seen == []
