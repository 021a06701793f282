"""The page on intake names every reason for which an event is ignored, and every refusal of a body."""

import re
from pathlib import Path

from gateway.domain.events import IgnoreReason
from gateway.webhooks import PROBLEMS

PAGE = (Path(__file__).parents[2] / "docs" / "architecture" / "intake.md").read_text("utf-8")


def test_given_reasons_when_compared_then_the_table_names_exactly_those_of_the_code():
    section = PAGE.partition("## What is ignored\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ((?:`\w+` ?)+) \|", section, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == {reason.value for reason in IgnoreReason}


def test_given_refusals_when_compared_then_the_gateways_page_names_each():
    readme = (Path(__file__).parents[2] / "gateway" / "README.md").read_text("utf-8")
    assert [code for code in PROBLEMS if f"`{code}`" not in readme] == []
