"""Asks the relay of an own channel whether it is there and knows the secret; nobody gets a message by it."""

from collections.abc import Callable
from datetime import datetime

from kommo_service.adapters.relay import open_relay_poster
from kommo_service.domain.classification import Failure
from kommo_service.domain.findings import Finding, fine, problem, warning
from kommo_service.domain.relay_posts import RelayAnswer, ping_body
from kommomesh_runtime.accounts import Account


async def relay_findings(account: Account, now: Callable[[], datetime]) -> list[Finding]:
    """Return how the account's relay answers; nothing for an account without one, or without its secret."""
    if account.channel is None or not account.channel.relay_url:
        return []
    found = [] if account.channel.code else [_without_code()]
    async with open_relay_poster(now) as poster:
        answer = await poster.post(account, ping_body())
    return found if answer is None else [*found, _finding(account.channel.relay_url, answer)]


def _without_code() -> Finding:
    text = (
        "channel.code is missing, so that every channel of the account that somebody registered counts as the relay's: "
        "what clients write on another one is taken for a copy, and nobody answers."
    )
    return warning("relay_code", text, "Set channel.code to the code that Kommo gave for the channel, amo.ext.….")


def _finding(url: str, answer: RelayAnswer | Failure) -> Finding:
    if isinstance(answer, Failure):
        text = f"channel.relay_url, {url}, is not reached ({answer.value}): what is said there waits for minutes only."
        return problem("relay", text, "Start the relay, or correct channel.relay_url.")
    if answer.status in (401, 403):
        text = f"The relay refuses the mesh's signature ({answer.status})."
        return problem("relay", text, "Give both sides the same relay_secret; and see that the clocks are right.")
    if not 200 <= answer.status < 300:
        text = f"The relay answered {answer.status} to a ping, which it should take with 200."
        return warning("relay", text, "See whether channel.relay_url leads to the relay, and to its right path.")
    return fine("relay", "The relay answers, and knows the secret.")
