"""Every recorded file is used: by its name, or as one of a kind that a test runs through whole."""

import json
from pathlib import Path

TESTS = Path(__file__).parents[1]
FIXTURES = TESTS / "fixtures" / "kommo"
WHOLE_KINDS = {"crm_webhook", "chats_webhook", "salesbot_request"}
IN_TURN = TESTS / "kommo_simulator" / "test_recorded_requests.py"


def test_given_recorded_files_when_looked_for_then_each_is_used_by_a_test():
    index = json.loads((FIXTURES / "index.json").read_text("utf-8"))["items"]
    sources = "".join(path.read_text() for path in TESTS.rglob("test_*.py") if path != Path(__file__))
    in_turn = IN_TURN.read_text()
    unused = [
        item["file"]
        for item in index
        if item["kind"] not in WHOLE_KINDS
        and item["file"] not in sources
        # These are named without the part that they share.
        and f'"{Path(item["file"]).stem.partition("_")[2].removeprefix("api_")}"' not in in_turn
    ]
    assert unused == []


def test_given_the_folder_when_compared_then_the_index_names_every_file():
    index = json.loads((FIXTURES / "index.json").read_text("utf-8"))["items"]
    there = {path.name for path in FIXTURES.iterdir()} - {"index.json"}
    assert {item["file"] for item in index} == there
