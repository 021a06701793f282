"""The rules of proof: when a message is looked for, and what each sign of it means."""

from datetime import UTC, datetime, timedelta

import pytest

from conversation_service.domain.proof import (
    NO_PROOF,
    STILL_SENT,
    WEBHOOK,
    Looks,
    Proof,
    ProofState,
    Sign,
    after_echo,
    after_look,
    after_sign,
    new_proof,
    untold,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=60)
OPEN = Proof(ProofState.ACCEPTED)
ECHOED = Proof(ProofState.ACCEPTED, WEBHOOK)
SENT = Sign(ProofState.ACCEPTED, "talk")
DELIVERED = Sign(ProofState.DELIVERED, "talk")
READ = Sign(ProofState.READ, "talk")
ERROR = Sign(ProofState.FAILED, "talk", "delivery_error")


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("transport", "is_open"),
    [("talk_message", True), ("salesbot_field", True), ("salesbot_return", True), ("", True), ("own_channel", False)],
)
def test_given_a_transport_when_it_took_a_message_then_it_is_looked_for_unless_it_delivers_itself(transport, is_open):
    proof = new_proof(transport, NOON)
    assert (proof.state, proof.is_open) == (ProofState.ACCEPTED, is_open)


@pytest.mark.parametrize(
    ("looked_at", "expected"),
    [(0, 10), (9.9, 10), (10, 25), (12, 25), (25, 55), (54.9, 55), (55, 55), (300, 300)],
)
def test_given_a_look_when_it_is_over_then_the_next_one_is_known(looked_at, expected):
    assert Looks().next_at(NOON, after(looked_at)) == after(expected)


@pytest.mark.parametrize(("looked_at", "is_last"), [(10, False), (25, False), (54.9, False), (55, True), (900, True)])
def test_given_a_look_when_it_began_then_its_time_says_whether_it_decides(looked_at, is_last):
    assert Looks().is_last(NOON, after(looked_at)) is is_last


@pytest.mark.parametrize(
    ("proof", "sign", "is_last", "expected"),
    [
        (OPEN, None, False, OPEN),
        (OPEN, SENT, False, Proof(ProofState.ACCEPTED, "talk")),
        (OPEN, DELIVERED, False, Proof(ProofState.DELIVERED, "talk", "", LATER)),
        (OPEN, READ, False, Proof(ProofState.READ, "talk", "", LATER)),
        (OPEN, ERROR, False, Proof(ProofState.FAILED, "talk", "delivery_error", LATER)),
        (OPEN, None, True, Proof(ProofState.FAILED, "", NO_PROOF, LATER)),
        (OPEN, SENT, True, Proof(ProofState.ACCEPTED, "talk", STILL_SENT, LATER)),
        # Seen once is seen, whatever the last look shows.
        (Proof(ProofState.ACCEPTED, "talk"), None, True, Proof(ProofState.ACCEPTED, "talk", STILL_SENT, LATER)),
        (ECHOED, None, False, ECHOED),
        (ECHOED, None, True, Proof(ProofState.ACCEPTED, WEBHOOK, "", LATER)),
        (ECHOED, ERROR, False, Proof(ProofState.FAILED, "talk", "delivery_error", LATER)),
        (ECHOED, DELIVERED, True, Proof(ProofState.DELIVERED, "talk", "", LATER)),
    ],
)
def test_given_what_is_known_when_looked_then_the_sign_decides(proof, sign, is_last, expected):
    assert after_look(proof, sign, LATER, is_last=is_last) == expected


@pytest.mark.parametrize("sign", [SENT, DELIVERED, READ])
def test_given_a_failure_when_a_sign_comes_after_it_then_it_is_noted_and_takes_nothing_back(sign):
    failed = Proof(ProofState.FAILED, "", NO_PROOF, NOON)
    assert after_sign(failed, sign, LATER) == Proof(ProofState.FAILED, "talk", NO_PROOF, NOON)


def test_given_a_message_at_the_client_when_an_error_or_an_older_sign_comes_then_nothing_changes():
    for state in (ProofState.DELIVERED, ProofState.READ):
        proof = Proof(state, "talk", "", NOON)
        assert after_sign(proof, ERROR, LATER) == proof
        assert after_sign(proof, SENT, LATER) == proof
    assert after_sign(Proof(ProofState.DELIVERED, "talk", "", NOON), READ, LATER).state is ProofState.READ
    assert after_sign(Proof(ProofState.READ, "talk", "", NOON), DELIVERED, LATER).state is ProofState.READ


def test_given_an_echo_when_it_comes_then_it_ends_the_search_for_a_salesbots_message_alone():
    assert after_echo(OPEN, "talk_message", LATER) == ECHOED
    assert after_echo(OPEN, "salesbot_field", LATER) == Proof(ProofState.ACCEPTED, WEBHOOK, "", LATER)
    assert after_echo(OPEN, "salesbot_return", LATER).is_open is False
    delivered = Proof(ProofState.DELIVERED, "talk", "", NOON)
    assert after_echo(delivered, "talk_message", LATER) == delivered


def test_given_a_salesbots_message_that_its_echo_proved_when_an_error_shows_later_then_it_failed():
    proved = after_echo(OPEN, "salesbot_field", NOON)
    assert after_look(proved, ERROR, LATER, is_last=False).state is ProofState.FAILED


def test_given_looks_that_failed_for_long_when_given_up_then_it_stays_accepted_with_the_reason():
    assert untold(ECHOED, "kommo_unavailable", LATER) == Proof(ProofState.ACCEPTED, WEBHOOK, "kommo_unavailable", LATER)
    assert Looks().is_given_up(NOON, after(899)) is False
    assert Looks().is_given_up(NOON, after(900)) is True
