"""Whatever Kommo does to a reply: it is delivered once, with evidence, or a person is told."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import pytest_asyncio
from support.faults.case import DELIVERED, TOLD, Case
from support.faults.cases import CASES
from support.faults.table import Fate, run_cases, table

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fates(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Fate]:
    """Run all cases side by side over one mesh, and give what became of each."""
    folder: Path = tmp_path_factory.mktemp("faults")
    return {fate.case.name: fate for fate in await run_cases(folder)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_given_a_fault_when_a_reply_is_sent_then_it_is_delivered_once_or_a_person_is_told(
    case: Case, fates: Mapping[str, Fate]
):
    fate = fates[case.name]
    assert (fate.outcome, fate.at_kommo) == (case.outcome, case.at_kommo), fate.because
    assert case.because in fate.because
    assert fate.most_alike <= 1
    assert fate.problems == []


async def test_given_the_cases_when_shown_then_the_table_has_a_row_for_each(fates: Mapping[str, Fate]):
    assert len(fates) == len(CASES) >= 24
    assert {case.outcome for case in CASES} == {DELIVERED, TOLD}
    rows = table(list(fates.values())).splitlines()
    assert [row.split("  ")[0] for row in rows[2:]] == [case.name for case in CASES]
    assert not any(row.endswith("WRONG") for row in rows)
