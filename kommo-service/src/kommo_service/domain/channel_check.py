"""What is right or wrong with an account's own channel: its ids, its bot, its people, its signature."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from kommo_service.domain.findings import Finding, fine, problem, unknown, warning

MOST_DRIFT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """What the account file says of the channel."""

    scope_id: str
    channel_id: str
    amojo_id: str
    bot_id: str


def identity(facts: ChannelFacts, amojo_id: str) -> Finding | None:
    """Return what is wrong with the ids; None when they fit.

    Args:
        facts: what the account file says.
        amojo_id: the account's id in the Chats API, as Kommo says; empty when unknown.
    """
    channel_id, _, in_scope = facts.scope_id.partition("_")
    true_id = amojo_id or facts.amojo_id
    if facts.channel_id and channel_id != facts.channel_id:
        return _wrong_scope("its first half is not channel.channel_id", facts.channel_id, true_id)
    if not in_scope or (true_id and in_scope != true_id):
        return _wrong_scope("its second half is not the account's amojo_id", channel_id, true_id)
    if amojo_id and facts.amojo_id and facts.amojo_id != amojo_id:
        text = f"channel.amojo_id is {facts.amojo_id}, but Kommo says {amojo_id}."
        return problem("channel_ids", text, "Correct channel.amojo_id.")
    return None


def _wrong_scope(why: str, channel_id: str, amojo_id: str) -> Finding:
    should = f"{channel_id}_{amojo_id}" if amojo_id else "{channel_id}_{amojo_id}"
    return problem("channel_ids", f"channel.scope_id does not fit: {why}.", f"Set channel.scope_id to {should}.")


def bot(facts: ChannelFacts) -> Finding:
    """Return whether the bot's id can be one."""
    remedy = (
        "Set channel.bot_id to the id of the channel's bot, which Kommo's support gave when it registered the channel."
    )
    if not facts.bot_id:
        return problem("bot", "channel.bot_id is missing: without it, replies would appear as a new client's.", remedy)
    if facts.bot_id in (facts.channel_id, facts.amojo_id, facts.scope_id):
        return problem("bot", "channel.bot_id repeats another id of the channel.", remedy)
    try:
        UUID(facts.bot_id)
    except ValueError:
        return problem("bot", "channel.bot_id is no UUID.", remedy)
    return fine("bot", "The bot's id has the right shape; Kommo offers no way to ask for it.")


def connection(history: int, connect: int | None) -> Finding:
    """Return whether Kommo takes the channel's signed requests.

    Args:
        history: status of a reading in the channel's scope; 0 when no answer came.
        connect: status of a *connect* without its content, asked after a refusal; it can change nothing.

    Source: Kommo Chats API, requests: 403 for a wrong signature, 404 for an unknown channel.
    """
    if history in (200, 204):
        return fine("channel", "Kommo takes the channel's signature, and the channel is connected.")
    if connect is None:
        return unknown("channel", f"The Chats API answered {history or 'nothing'}.", "Run the check again later.")
    if connect == 400:
        text = "The channel's secret is right, but the channel is not connected to this account."
        return problem("channel", text, "Run the check again with --fix, which connects it with hooks of version v2.")
    if connect == 404:
        return problem("channel", "Kommo knows no such channel.", "Correct channel.channel_id and channel.scope_id.")
    return problem(
        "channel",
        "Kommo refuses the channel's signature.",
        "Set secrets.channel_secret to the channel's secret, not the integration's; and see that the clock is right.",
    )


def users(known: Collection[str], found: Collection[str]) -> Finding:
    """Return whether the account file names all users who may write in the own channel.

    Args:
        known: `user_amojo_ids` of the account file.
        found: ids of the users that Kommo lists.
    """
    missing = sorted({one.lower() for one in found} - {one.lower() for one in known})
    if not missing:
        return fine("users", "All people of the account are known.")
    text = f"{len(missing)} of the account's people would be taken for bots in the own channel."
    return warning("users", text, f"Add to user_amojo_ids: {', '.join(missing)}.")


class ConnectionRefused(Exception):
    """Kommo did not connect or disconnect a channel; the text says what to do."""


def refused_connection(status: int, drift_seconds: float) -> ConnectionRefused:
    """Return what an answer to *connect* or *disconnect* that is no success means, in words.

    Args:
        status: of the answer.
        drift_seconds: how far Kommo's clock is ahead of ours.

    Source: Kommo Chats API, connecting a channel: 400, 403, 404.
    """
    if status == 403 and abs(drift_seconds) > MOST_DRIFT_SECONDS:
        return ConnectionRefused("Kommo refuses the signature: this machine's clock is wrong; set it right.")
    texts = {
        400: "Kommo does not take the request: see that channel.amojo_id is this account's.",
        403: "Kommo refuses the signature: set secrets.channel_secret to the channel's secret, not the integration's.",
        404: "Kommo knows no such channel in this account: correct channel.channel_id, and ask Kommo's support whether "
        "the channel is registered for the account.",
    }
    return ConnectionRefused(texts.get(status, f"Kommo answered {status}; run the command again later."))
