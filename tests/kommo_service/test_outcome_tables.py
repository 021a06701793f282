"""What every answer of Kommo, and the lack of one, means for a message."""

import json
from pathlib import Path

import pytest

from kommo_service.domain.classification import (
    Answer,
    Failure,
    is_refusal_of_content,
    of_bot_run,
    of_channel_lookup,
    of_channel_send,
    of_continuation,
    of_field_access,
    of_read,
    of_talk_lookup,
    of_talk_send,
)
from kommo_service.domain.outcomes import (
    Outcome,
    Reason,
    RetryLater,
    Sent,
    TellPerson,
    TryAnotherWay,
    Unclear,
    after_part,
    most_telling,
)

FIXTURES = Path(__file__).parents[1] / "fixtures" / "kommo"
HTML_403 = Answer(403, is_html=True, pause_seconds=30)
LIMITED = Answer(429, is_html=True, pause_seconds=1.5)


def problem(status: int, detail: str) -> Answer:
    return Answer(status, {"title": "x", "status": status, "detail": detail})


SHARED: list[tuple[Answer | Failure, Outcome]] = [
    (LIMITED, RetryLater(1.5, Reason.RATE_LIMITED)),
    (HTML_403, RetryLater(30, Reason.KOMMO_BANNED)),
    (Answer(500), Unclear(5, Reason.KOMMO_UNAVAILABLE)),
    (Answer(502, is_html=True), Unclear(5, Reason.KOMMO_UNAVAILABLE)),
    (Answer(503, is_html=True), Unclear(5, Reason.KOMMO_UNAVAILABLE)),
    (Answer(504, is_html=True), Unclear(5, Reason.KOMMO_UNAVAILABLE)),
    (Answer(408), Unclear(5, Reason.KOMMO_UNAVAILABLE)),
    (Answer(301), TryAnotherWay(Reason.ACCOUNT_MOVED)),
    (Answer(307), TryAnotherWay(Reason.ACCOUNT_MOVED)),
    (Answer(418), TryAnotherWay(Reason.UNEXPECTED_ANSWER)),
    (Failure.NOT_CONNECTED, RetryLater(5, Reason.CONNECTION_FAILED)),
    (Failure.TIMED_OUT, Unclear(5, Reason.TIMEOUT)),
    (Failure.BROKEN_OFF, Unclear(5, Reason.CONNECTION_LOST)),
]
TALK: list[tuple[Answer | Failure, Outcome]] = [
    (Answer(202, {"id": "9e06"}), Sent(("9e06",))),
    (Answer(202), Sent(())),
    (Answer(200, {"id": 7}), Sent(("7",))),
    (problem(400, "Request validation failed"), TryAnotherWay(Reason.INVALID_TEXT)),
    (problem(401, "Unauthorized"), TryAnotherWay(Reason.TOKEN_REFUSED)),
    (problem(402, "Over chat API limit"), TryAnotherWay(Reason.QUOTA_USED_UP)),
    (problem(402, "Endpoint not available for current account tariff"), TryAnotherWay(Reason.PLAN_LACKS_ADDON)),
    (Answer(402), TryAnotherWay(Reason.PAYMENT_REQUIRED)),
    (problem(403, "Invalid scope"), TryAnotherWay(Reason.SCOPE_MISSING)),
    (problem(404, "Talk not found"), TryAnotherWay(Reason.TALK_NOT_FOUND)),
    (problem(422, "Talk is closed"), TryAnotherWay(Reason.TALK_CLOSED)),
    *SHARED,
]
CHANNEL: list[tuple[Answer | Failure, Outcome]] = [
    (Answer(200, {"new_message": {"msgid": "32c3", "ref_id": "out-1"}}), Sent(("32c3",))),
    (Answer(200, {"new_message": None}), Sent(())),
    (Answer(400, {"error_code": 400}), TryAnotherWay(Reason.INVALID_TEXT)),
    (Answer(403), TryAnotherWay(Reason.SIGNATURE_REFUSED)),
    (Answer(403, drift_seconds=59), TryAnotherWay(Reason.SIGNATURE_REFUSED)),
    (Answer(403, drift_seconds=-1200), TryAnotherWay(Reason.CLOCK_DRIFT)),
    (Answer(403, drift_seconds=61), TryAnotherWay(Reason.CLOCK_DRIFT)),
    (Answer(404), TryAnotherWay(Reason.CHANNEL_NOT_FOUND)),
    *SHARED,
]


_BOTS: list[tuple[Answer | Failure, Outcome]] = [
    (Answer(202), Sent(())),
    (problem(400, "This value is not valid."), TryAnotherWay(Reason.BOT_REFUSED)),
    (problem(401, "Unauthorized"), TryAnotherWay(Reason.TOKEN_REFUSED)),
    (problem(402, "tariff"), TryAnotherWay(Reason.PLAN_LACKS_ADDON)),
    (problem(403, "Forbidden"), TryAnotherWay(Reason.SCOPE_MISSING)),
    *SHARED,
]
BOT = [*_BOTS, (problem(404, "Bot not found"), TryAnotherWay(Reason.BOT_NOT_FOUND))]
CONTINUATION = [*_BOTS, (problem(404, "Continuation not found"), TryAnotherWay(Reason.CONTINUATION_GONE))]


@pytest.mark.parametrize(("answer", "expected"), TALK)
def test_given_an_answer_to_send_message_when_classified_then_it_means_this(
    answer: Answer | Failure, expected: Outcome
) -> None:
    assert of_talk_send(answer) == expected


@pytest.mark.parametrize(("answer", "expected"), CHANNEL)
def test_given_an_answer_to_new_message_when_classified_then_it_means_this(
    answer: Answer | Failure, expected: Outcome
) -> None:
    assert of_channel_send(answer) == expected


@pytest.mark.parametrize(("answer", "expected"), BOT)
def test_given_an_answer_to_a_launch_when_classified_then_it_means_this(
    answer: Answer | Failure, expected: Outcome
) -> None:
    assert of_bot_run(answer) == expected


@pytest.mark.parametrize(("answer", "expected"), CONTINUATION)
def test_given_an_answer_to_a_continuation_when_classified_then_it_means_this(
    answer: Answer | Failure, expected: Outcome
) -> None:
    assert of_continuation(answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200, {"id": 1}), None),
        (Answer(204), TryAnotherWay(Reason.ENTITY_NOT_FOUND)),
        (problem(404, "Entity not found"), TryAnotherWay(Reason.ENTITY_NOT_FOUND)),
        (problem(400, "too long"), TryAnotherWay(Reason.FIELD_REFUSED)),
        (problem(402, "tariff"), TryAnotherWay(Reason.PLAN_LACKS_ADDON)),
        (problem(403, "no"), TryAnotherWay(Reason.SCOPE_MISSING)),
        (LIMITED, RetryLater(1.5, Reason.RATE_LIMITED)),
        # Whatever became of it, nobody has got a message by it.
        (Answer(500), RetryLater(5, Reason.KOMMO_UNAVAILABLE)),
        (Failure.TIMED_OUT, RetryLater(5, Reason.CONNECTION_FAILED)),
    ],
)
def test_given_an_answer_to_a_field_when_classified_then_nothing_of_it_is_unclear(
    answer: Answer | Failure, expected: Outcome | None
) -> None:
    assert of_field_access(answer) == expected


def test_given_the_documented_answers_of_send_message_when_classified_then_none_is_unexpected() -> None:
    responses = json.loads((FIXTURES / "rest_send_message.json").read_text())["responses"]
    outcomes = [of_talk_send(Answer(response["status"], response["body"])) for response in responses]
    assert outcomes == [
        Sent(("9e06afc4-14e3-57b4-b45a-a4c4a9e9a715",)),
        TryAnotherWay(Reason.QUOTA_USED_UP),
        TryAnotherWay(Reason.PLAN_LACKS_ADDON),
        TryAnotherWay(Reason.SCOPE_MISSING),
        TryAnotherWay(Reason.TALK_NOT_FOUND),
        TryAnotherWay(Reason.TALK_CLOSED),
    ]


def test_given_the_recorded_errors_when_classified_then_each_means_what_it_is() -> None:
    items = json.loads((FIXTURES / "rest_errors.json").read_text())["items"]
    answers = [
        Answer(
            one["status"],
            one["body"] if isinstance(one["body"], dict) else None,
            is_html=one["content_type"] == "text/html",
            pause_seconds=1.0,
        )
        for one in items
    ]
    assert [of_talk_send(answer) for answer in answers] == [
        TryAnotherWay(Reason.INVALID_TEXT),
        TryAnotherWay(Reason.TOKEN_REFUSED),
        RetryLater(1.0, Reason.RATE_LIMITED),
        RetryLater(1.0, Reason.KOMMO_BANNED),
        Unclear(5, Reason.KOMMO_UNAVAILABLE),
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200, {"_embedded": {}}), None),
        (Answer(204), None),
        (Answer(404), None),
        (LIMITED, Unclear(1.5, Reason.RATE_LIMITED)),
        (HTML_403, Unclear(30, Reason.KOMMO_BANNED)),
        (Answer(503), Unclear(5, Reason.KOMMO_UNAVAILABLE)),
        (Failure.TIMED_OUT, Unclear(5, Reason.TIMEOUT)),
        (Failure.NOT_CONNECTED, Unclear(5, Reason.CONNECTION_FAILED)),
        (Failure.BROKEN_OFF, Unclear(5, Reason.CONNECTION_FAILED)),
        (Answer(401), TellPerson(Reason.READ_BACK_REFUSED)),
        (problem(403, "Invalid scope"), TellPerson(Reason.READ_BACK_REFUSED)),
        (Answer(302), TellPerson(Reason.READ_BACK_REFUSED)),
    ],
)
def test_given_an_answer_to_a_read_back_when_classified_then_it_never_allows_a_second_send(
    answer: Answer | Failure, expected: Outcome | None
) -> None:
    assert of_read(answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200), None),
        (Answer(404), None),
        (LIMITED, RetryLater(1.5, Reason.RATE_LIMITED)),
        (Answer(500), RetryLater(5, Reason.KOMMO_UNAVAILABLE)),
        (Failure.TIMED_OUT, RetryLater(5, Reason.CONNECTION_FAILED)),
        (problem(402, "unpaid"), TryAnotherWay(Reason.PAYMENT_REQUIRED)),
        (Answer(401), TryAnotherWay(Reason.TOKEN_REFUSED)),
        (Answer(308), TryAnotherWay(Reason.ACCOUNT_MOVED)),
    ],
)
def test_given_a_failed_search_for_the_talk_when_classified_then_the_message_is_known_not_to_be_sent(
    answer: Answer | Failure, expected: Outcome | None
) -> None:
    assert of_talk_lookup(answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(204), None),
        (Answer(403), TryAnotherWay(Reason.SIGNATURE_REFUSED)),
        (Answer(403, drift_seconds=-900), TryAnotherWay(Reason.CLOCK_DRIFT)),
        (HTML_403, RetryLater(30, Reason.KOMMO_BANNED)),
    ],
)
def test_given_a_failed_reading_of_the_history_when_classified_then_it_names_the_channel_s_trouble(
    answer: Answer, expected: Outcome | None
) -> None:
    assert of_channel_lookup(answer) == expected


@pytest.mark.parametrize(("status", "expected"), [(200, False), (400, True), (403, False), (409, True), (422, True)])
def test_given_a_status_when_asked_whether_the_content_was_refused_then_only_these_say_so(
    status: int, expected: bool
) -> None:
    assert is_refusal_of_content(Answer(status)) is expected


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (RetryLater(3, Reason.RATE_LIMITED), Unclear(3, Reason.PARTLY_SENT)),
        (TryAnotherWay(Reason.TALK_CLOSED), TellPerson(Reason.TALK_CLOSED)),
        (Unclear(5, Reason.TIMEOUT), Unclear(5, Reason.TIMEOUT)),
        (Sent(("a",)), Sent(("a",))),
    ],
)
def test_given_an_earlier_piece_at_the_client_when_a_later_one_fails_then_nothing_starts_over(
    outcome: Outcome, expected: Outcome
) -> None:
    assert after_part(outcome) == expected


def test_given_several_reasons_when_one_is_told_then_it_is_the_one_a_person_can_act_on() -> None:
    assert most_telling([Reason.NOT_OWN_CHANNEL, Reason.QUOTA_USED_UP]) is Reason.QUOTA_USED_UP
    assert most_telling([Reason.NO_TALK, Reason.SIGNATURE_REFUSED]) is Reason.SIGNATURE_REFUSED
    assert most_telling([]) is Reason.NO_TRANSPORT
