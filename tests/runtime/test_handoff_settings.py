"""The table `[handoff]` of an account: what is done in Kommo when a person is called."""

from pathlib import Path

import pytest

from kommomesh_runtime.accounts import Account, AccountsInvalid, load_account
from kommomesh_runtime.handoff import HandoffSettings


def test_given_no_table_when_read_then_note_and_task_are_on_and_the_lead_stays():
    handoff = Account(id="1", subdomain="uno").handoff
    assert (handoff.note, handoff.task, handoff.tags, handoff.status_id) == (True, True, (), None)
    assert [handoff.due_minutes(one) for one in ("low", "medium", "high", "critical")] == [240, 60, 15, 5]


def test_given_no_table_when_read_then_a_person_is_reminded_after_half_an_hour_and_no_address_is_called():
    handoff = Account(id="1", subdomain="uno").handoff
    assert (handoff.person_reminder_after_seconds, handoff.courtesy, handoff.alert_url) == (1800, True, None)


@pytest.mark.parametrize("url", ["https://hooks.example.com/kommo?x=1", "http://127.0.0.1:9000/", "http://localhost/"])
def test_given_an_address_that_may_be_called_when_read_then_kept(url: str):
    assert HandoffSettings(alert_url=url).alert_url == url


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
        ("person_reminder_after_seconds = -1", "person_reminder_after_seconds"),
        ("person_reminder_after_seconds = 604801", "person_reminder_after_seconds"),
        ('alert_url = "http://hooks.example.com/x"', "must be https://"),
        ('alert_url = "https://user:pass@hooks.example.com/x"', "must be https://"),
        ('alert_url = "https://hooks.example.com/x#y"', "must be https://"),
        ('alert_url = "https:///x"', "must be https://"),
        ('alert_url = "https://[::1"', "must be https://"),
        ('alert_url = "https://hooks.example.com/a b"', "must be https://"),
        ('alert_url = "file:///etc/passwd"', "must be https://"),
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
