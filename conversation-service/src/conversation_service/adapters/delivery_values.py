"""Deliveries as rows of their table."""

from typing import Any

from sqlalchemy import Row

from conversation_service.adapters.details import details_of_json, details_to_json
from conversation_service.domain.deliveries import Delivery, DeliveryKind, DeliveryState
from conversation_service.domain.proof import Proof, ProofState


def delivery_values(delivery: Delivery) -> dict[str, object]:
    """Return the columns of a delivery."""
    return {
        "id": delivery.id,
        "account_id": delivery.account_id,
        "conversation_id": delivery.conversation_id,
        "turn_id": delivery.turn_id,
        "lane": delivery.lane,
        "sequence": delivery.sequence,
        "kind": delivery.kind.value,
        "state": delivery.state.value,
        "text": delivery.text,
        "floor_number": delivery.floor_number,
        "attempt_count": delivery.attempt_count,
        "transport": delivery.transport or None,
        "kommo_message_ids": list(delivery.kommo_message_ids),
        "reason": delivery.reason or None,
        "forced": delivery.forced,
        "ai_model": delivery.ai_model or None,
        "tokens_used": delivery.tokens_used or None,
        "products_referenced": list(delivery.products_referenced),
        "first_unread_at": delivery.first_unread_at,
        "unclear_since_at": delivery.unclear_since_at,
        "created_at": delivery.created_at,
        "finished_at": delivery.finished_at,
        "details": details_to_json(delivery.details),
        "not_before_at": delivery.not_before_at,
        **_proof_values(delivery.proof),
    }


def _proof_values(proof: Proof | None) -> dict[str, object]:
    return {
        "proof_state": proof.state.value if proof else None,
        "proof_source": (proof.source or None) if proof else None,
        "proof_reason": (proof.reason or None) if proof else None,
        "proved_at": proof.proved_at if proof else None,
    }


def proof_of(row: Row[Any]) -> Proof | None:
    """Return the proof of a row that has its columns; None where nothing is to be proved."""
    if row.proof_state is None:
        return None
    return Proof(ProofState(row.proof_state), row.proof_source or "", row.proof_reason or "", row.proved_at)


def delivery_of(row: Row[Any]) -> Delivery:
    """Return the delivery of a row."""
    return Delivery(
        id=row.id,
        account_id=row.account_id,
        conversation_id=row.conversation_id,
        turn_id=row.turn_id,
        sequence=row.sequence,
        kind=DeliveryKind(row.kind),
        state=DeliveryState(row.state),
        text=row.text,
        floor_number=row.floor_number,
        created_at=row.created_at,
        first_unread_at=row.first_unread_at or row.created_at,
        attempt_count=row.attempt_count,
        transport=row.transport or "",
        kommo_message_ids=tuple(row.kommo_message_ids),
        reason=row.reason or "",
        forced=row.forced,
        ai_model=row.ai_model or "",
        tokens_used=row.tokens_used or 0,
        products_referenced=tuple(row.products_referenced),
        unclear_since_at=row.unclear_since_at,
        finished_at=row.finished_at,
        details=details_of_json(DeliveryKind(row.kind), row.details),
        not_before_at=row.not_before_at,
        proof=proof_of(row),
    )
