"""The table `[handoff]` of an account: what is done in Kommo when a person is called."""

from pathlib import Path

import pytest

from kommomesh_runtime.accounts import Account, AccountsInvalid, load_account
from kommomesh_runtime.handoff import HandoffSettings


def test_given_no_table_when_read_then_note_and_task_are_on_and_the_lead_stays():
    handoff = Account(id="1", subdomain="uno").handoff
    assert (handoff.note, handoff.task, handoff.tags, handoff.status_id) == (True, True, (), None)
    assert [handoff.due_minutes(one) for one in ("low", "medium", "high", "critical")] == [240, 60, 15, 5]


def test_given_some_minutes_when_read_then_the_others_keep_their_default():
    handoff = HandoffSettings(task_due_minutes={"high": 10})
    assert (handoff.due_minutes("high"), handoff.due_minutes("low")) == (10, 240)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("status_id = 5", "pipeline_id and status_id are given together"),
        ("pipeline_id = 5", "pipeline_id and status_id are given together"),
        ("responsible_user_id = 0", "responsible_user_id"),
        ('tags = [" "]', "a tag needs a name"),
        ("task_due_minutes = { urgent = 5 }", "task_due_minutes"),
        ("task_due_minutes = { high = 0 }", "task_due_minutes"),
        ('trace_url = "https://mesh.example/{phone}"', "knows only account_id, conversation_id, turn_id in braces"),
        ('trace_url = "https://mesh.example/{turn_id.x}"', "knows only"),
        ('trace_url = "https://mesh.example/{turn_id!r}"', "knows only"),
        ('trace_url = "https://mesh.example/{"', "trace_url"),
        ("nota = true", "nota"),
    ],
)
def test_given_a_wrong_table_when_loaded_then_file_field_and_problem_are_named(tmp_path: Path, line: str, problem: str):
    path = tmp_path / "uno.toml"
    path.write_text(f'id = "1"\nsubdomain = "uno"\n[handoff]\n{line}\n')
    with pytest.raises(AccountsInvalid, match="handoff") as caught:
        load_account(path)
    assert str(path) in str(caught.value)
    assert problem in str(caught.value)


def test_given_a_whole_table_when_loaded_then_it_is_taken(tmp_path: Path):
    path = tmp_path / "uno.toml"
    path.write_text(
        'id = "1"\nsubdomain = "uno"\n[handoff]\nnote = false\nresponsible_user_id = 7\n'
        'pipeline_id = 3\nstatus_id = 4\ntags = ["bot"]\ntrace_url = "https://mesh.example/{account_id}/{conversation_id}/{turn_id}"\n'
    )
    handoff = load_account(path).handoff
    assert (handoff.note, handoff.pipeline_id, handoff.status_id, handoff.tags) == (False, 3, 4, ("bot",))
