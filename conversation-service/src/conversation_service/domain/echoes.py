"""Which of the messages that Kommo reports are ours: by their ids, or by their words where no id is known yet."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from conversation_service.domain.deliveries import Delivery, DeliveryState
from conversation_service.domain.proof import PROVED_BY_ECHO

ECHO_WITHIN = timedelta(hours=1)
# Nobody types so many of the bot's letters by chance, while a short word may be a person's own.
LEAST_PIECE = 16


def may_have_left(delivery: Delivery, now: datetime) -> bool:
    """Tell whether Kommo may have the delivery although nothing says so yet; for one that has ended, not for ever."""
    if delivery.state is DeliveryState.PENDING:
        return delivery.attempt_count > 0
    since = delivery.unclear_since_at
    # The last attempt was made before the end, which may come long after the first one.
    return (
        delivery.state is not DeliveryState.SENT
        and since is not None
        and now - (delivery.finished_at or since) < ECHO_WITHIN
    )


def is_printed(delivery: Delivery, text: str, now: datetime) -> bool:
    """Tell whether words that Kommo reports are what a Salesbot printed of a delivery, all or a piece; it names no id.

    Args:
        delivery: one of the conversation.
        text: what Kommo reports.
        now: when it arrived.
    """
    is_by_bot = delivery.state is DeliveryState.SENT and delivery.transport in PROVED_BY_ECHO
    if not is_by_bot or delivery.finished_at is None or now - delivery.finished_at >= ECHO_WITHIN:
        return False
    if same_text(delivery.text, text):
        return not delivery.kommo_message_ids
    return _is_piece(delivery, text)


def same_text(one: str, other: str) -> bool:
    """Tell whether two texts have the same letters and digits: marks, bullets and spaces change on the way."""
    return _spoken(one) == _spoken(other)


def echoed(deliveries: Sequence[Delivery], kommo_message_id: str, text: str, now: datetime) -> Delivery | None:
    """Return the delivery whose echo a company message is that Kommo reports; None when it is none's.

    The id says it for certain. Of equal words the oldest delivery that waits counts, and only then one that has ended;
    a piece of a long one is nobody else's word either.

    Args:
        deliveries: of the conversation, in order.
        kommo_message_id: Kommo's id of the message.
        text: its words.
        now: when it arrived.
    """
    by_id = (delivery for delivery in deliveries if kommo_message_id in delivery.kommo_message_ids)
    under_way = [one for one in deliveries if may_have_left(one, now)]
    under_way.sort(key=lambda delivery: delivery.state is not DeliveryState.PENDING)
    alike = (one for one in under_way if same_text(one.text, text))
    printed = (one for one in deliveries if is_printed(one, text, now))
    pieces = (one for one in under_way if _is_piece(one, text))
    return next(by_id, None) or next(alike, None) or next(printed, None) or next(pieces, None)


def is_leaving_in_pieces(delivery: Delivery, text: str) -> bool:
    """Tell whether words that Kommo reports are but a piece of a message of ours that is not known to be sent.

    That is no evidence of the whole, which may have been cut off in its middle.

    Args:
        delivery: whose echo it is.
        text: what Kommo reports.
    """
    return delivery.state is not DeliveryState.SENT and not same_text(delivery.text, text) and _is_piece(delivery, text)


def _is_piece(delivery: Delivery, text: str) -> bool:
    piece = _spoken(text)
    return len(piece) >= LEAST_PIECE and piece in _spoken(delivery.text)


def _spoken(text: str) -> str:
    """Return what of a text stays the same on its way: its letters and digits, or all of it where there are none."""
    return "".join(filter(str.isalnum, text)) or "".join(text.split())
