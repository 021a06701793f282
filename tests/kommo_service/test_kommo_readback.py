"""Finding in Kommo's record what an unclear attempt left, and choosing the talk."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kommo_service.domain import history, talks
from kommo_service.domain.history import Client
from kommo_service.domain.message import NOTHING_SENT, Progress
from kommo_service.domain.readback import Seen, by_bot, progress

FIXTURES = Path(__file__).parents[1] / "fixtures" / "kommo"
SINCE = datetime.fromtimestamp(1_788_264_020, UTC)
AT = SINCE.timestamp()


def found(pieces: list[str], seen: list[Seen], drift: float = 0.0, claimed: frozenset[str] = frozenset()) -> Progress:
    return progress(pieces, seen, SINCE, drift, claimed, "4101")


def test_given_kommo_s_own_sample_when_read_then_only_the_bot_s_messages_count_in_time_order() -> None:
    body = json.loads((FIXTURES / "rest_talk_messages.json").read_text())["responses"][0]["body"]
    assert [message.text for message in by_bot(body["_embedded"]["messages"])] == [
        "Sí, tenemos el termo de 1 litro.",
        "(no llegó)",
    ]


@pytest.mark.parametrize("odd", [{}, {"id": "x"}, {"id": "x", "type": "outgoing", "author": "bot"}])
def test_given_odd_messages_when_read_then_they_are_left_out(odd: dict[str, Any]) -> None:
    assert by_bot([odd]) == []


def test_given_the_same_words_with_other_spaces_when_compared_then_they_are_the_same_message() -> None:
    assert found(["Sí,  claro"], [Seen("a", "Si\u0301, claro\n", AT)]) == Progress(("a",), 1, "4101")


@pytest.mark.parametrize(
    "seen",
    [
        Seen("a", "otra cosa", AT),
        Seen("a", "hola", AT - 6),
        Seen("claimed", "hola", AT + 1),
    ],
    ids=["other words", "before the attempt", "proof of another delivery"],
)
def test_given_a_message_that_is_not_ours_when_compared_then_nothing_is_found(seen: Seen) -> None:
    assert found(["hola"], [seen], claimed=frozenset({"claimed"})) == NOTHING_SENT


def test_given_a_clock_of_kommo_that_is_behind_when_compared_then_its_drift_is_taken_off() -> None:
    assert found(["hola"], [Seen("a", "hola", AT - 90)]) == NOTHING_SENT
    assert found(["hola"], [Seen("a", "hola", AT - 90)], drift=-90).pieces == 1


def test_given_equal_pieces_when_compared_then_each_needs_a_message_of_its_own() -> None:
    assert found(["ja", "ja"], [Seen("a", "ja", AT)]).pieces == 1
    assert found(["ja", "ja"], [Seen("a", "ja", AT), Seen("b", "ja", AT)]) == Progress(("a", "b"), 2, "4101")


def test_given_a_later_piece_when_found_then_the_ones_before_it_were_taken_too() -> None:
    assert found(["uno", "dos", "tres"], [Seen("b", "dos", AT)]) == Progress(("b",), 2, "4101")


def talk(talk_id: int, chat_id: str, is_open: bool = True, updated_at: int = 1) -> dict[str, Any]:
    return {"talk_id": talk_id, "chat_id": chat_id, "is_in_work": is_open, "updated_at": updated_at}


def test_given_talks_of_several_chats_when_chosen_then_it_is_the_newest_open_one_of_this_chat() -> None:
    listed = talks.listed(
        [talk(1, "ours"), talk(2, "ours", updated_at=5), talk(3, "theirs", updated_at=9), talk(4, "ours", False, 8)]
    )
    mine = talks.of_chat(listed, "ours", is_simulated=True)
    chosen = talks.newest_open(mine, other_than="")
    assert chosen is not None
    assert chosen.id == "2"
    other = talks.newest_open(mine, other_than="2")
    assert other is not None
    assert other.id == "1"


def test_given_only_other_chats_when_chosen_then_only_the_simulator_s_stand_in_is_taken() -> None:
    listed = talks.listed([talk(7, "contact-999")])
    assert talks.of_chat(listed, "ours", is_simulated=False) == []
    assert [found.id for found in talks.of_chat(listed, "ours", is_simulated=True)] == ["7"]


def test_given_kommo_s_own_history_sample_when_read_then_client_and_message_are_known() -> None:
    messages = json.loads((FIXTURES / "chats_api_history.json").read_text())["responses"][0]["body"]["messages"]
    assert history.client_of(messages) == Client("wa-5493510000001", "Elena V.")
    assert history.taken(messages) == {"out-0003": "32c31062-b94b-569d-9b76-040cbf1722d9"}


def test_given_a_history_without_the_channel_s_own_id_when_read_then_kommo_s_id_names_the_client() -> None:
    assert history.client_of([{"sender": {"id": "79c0", "name": "Elena"}}]) == Client("79c0", "Elena", "79c0")
    assert history.client_of([]) is None
