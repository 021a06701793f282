"""What a check of an account found, in words for the person who has to repair it."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Args:
        check: what was looked at, such as `token`.
        severity: how it is.
        summary: what was found, without any secret.
        remedy: what to do; empty when nothing is to be done.
    """

    check: str
    severity: Severity
    summary: str
    remedy: str = ""


def fine(check: str, summary: str) -> Finding:
    """Return a finding of something that is as it should be."""
    return Finding(check, Severity.OK, summary)


def unknown(check: str, summary: str, remedy: str = "") -> Finding:
    """Return a finding of something that could not be looked at."""
    return Finding(check, Severity.UNKNOWN, summary, remedy)


def warning(check: str, summary: str, remedy: str) -> Finding:
    """Return a finding of something that works now and should be changed."""
    return Finding(check, Severity.WARNING, summary, remedy)


def problem(check: str, summary: str, remedy: str) -> Finding:
    """Return a finding of something that keeps the bot from working, or others from being kept out."""
    return Finding(check, Severity.PROBLEM, summary, remedy)
