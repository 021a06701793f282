"""What an error of another service means for a turn."""

import pytest

from gateway.worker.failures import Kind, dependency_failed, kind_of
from kommomesh_runtime.errors import RemoteError


def answered(code: str, reason: str = "") -> RemoteError:
    return RemoteError(code, reason, {}, "", None)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (answered("UNAVAILABLE"), Kind.LATER),
        (answered("CANCELLED"), Kind.LATER),
        (answered("NOT_FOUND", "ACCOUNT_NOT_FOUND"), Kind.LATER),
        (answered("INTERNAL"), Kind.AGAIN),
        (answered("INVALID_ARGUMENT", "INVALID_FIELD"), Kind.NEVER),
        (answered("NOT_FOUND"), Kind.NEVER),
    ],
)
def test_given_an_error_when_judged_then_it_says_when_the_call_may_succeed(error: RemoteError, kind: Kind) -> None:
    assert kind_of(error) is kind


def test_given_service_that_does_not_know_a_new_account_yet_when_it_answers_so_then_the_turn_waits() -> None:
    failed = dependency_failed("llm", answered("NOT_FOUND", "ACCOUNT_NOT_FOUND"))
    assert (failed.reason, failed.is_transient) == ("llm_unavailable", True)
