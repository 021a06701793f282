"""The control API, the integration's place in the account: its settings page probes an address, it is taken out."""

import hashlib
import hmac
from urllib.parse import urlencode, urlsplit

import aiohttp
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kommo_simulator.answers import Json, Problem, read_json
from kommo_simulator.settings import SimulatorSettings
from kommo_simulator.simulator import Simulator

ANSWER_SECONDS = 5.0
NO_ANSWER = 0


class Address(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An address of the integration."""

    url: str


async def uninstall(request: Request) -> Response:
    """Take the integration out of the account and tell its uninstall hook, in this order."""
    simulator, address = Simulator.of(request), await _address(request)
    simulator.uninstall()
    query = urlencode(uninstall_query(simulator.settings))
    joint = "&" if urlsplit(address.url).query else "?"
    return Json({"status": await _asked(simulator, "GET", f"{address.url}{joint}{query}")}, 201)


async def install(request: Request) -> Response:
    """Put the integration back: its token is good again; webhooks and channel are for it to restore."""
    Simulator.of(request).is_uninstalled = False
    return Response(status_code=204)


async def probe(request: Request) -> Response:
    """Ask an address as the page does on which people enter webhooks."""
    simulator, address = Simulator.of(request), await _address(request)
    return Json({method: await _asked(simulator, method, address.url) for method in ("GET", "HEAD")}, 201)


def uninstall_query(settings: SimulatorSettings) -> dict[str, str]:
    """Return the query of the uninstall hook.

    Source: Kommo, uninstall hook: hex HMAC-SHA256 of `client_uuid|account_id` with the client secret.
    """
    signed = f"{settings.client_uuid}|{settings.account_id}".encode()
    secret = settings.client_secret.get_secret_value().encode()
    signature = hmac.new(secret, signed, hashlib.sha256).hexdigest()
    return {"account_id": str(settings.account_id), "client_uuid": settings.client_uuid, "signature": signature}


async def _address(request: Request) -> Address:
    address = await read_json(request, Address)
    if urlsplit(address.url).scheme not in ("http", "https"):
        raise Problem(400, "This value is not a valid URL.", "url")
    return address


async def _asked(simulator: Simulator, method: str, url: str) -> int:
    session, timeout = simulator.stage.webhooks.session(), aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    try:
        async with session.request(method, url, timeout=timeout, allow_redirects=False) as answer:
            return answer.status
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return NO_ANSWER


ROUTES = [
    Route("/control/uninstall", uninstall, methods=["POST"], name="control_uninstall"),
    Route("/control/install", install, methods=["POST"], name="control_install"),
    Route("/control/probe", probe, methods=["POST"], name="control_probe"),
]
