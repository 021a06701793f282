"""People, Kommo's news and crashes race a reply in flight: the short form of `make floor-runs`."""

from pathlib import Path

from support.floor_line import Shift
from support.floor_rounds import play_runs

from conversation_service.adapters.open_store import open_store
from conversation_service.migrate import migrate_sqlite

RUNS = range(1, 51)
RUNS_AT_ONCE = range(1, 9)


async def test_given_random_runs_when_the_floor_changes_then_nothing_is_leased_after_it_nor_begun_late(
    tmp_path: Path,
) -> None:
    path, shift = str(tmp_path / "mesh.db"), Shift()
    migrate_sqlite(path)
    async with open_store(f"sqlite:///{path}", shift=shift.read) as store:
        played = await play_runs(store, shift, RUNS, at_once=False)
    assert played.violations == []
    # It was a race: things were sent, dropped, under way when a person came, and too late to be begun.
    assert min(played.figures[one] for one in ("started", "dropped", "in flight", "too late to start", "echoes")) > 0


async def test_given_everybody_at_once_when_the_floor_changes_then_nothing_is_leased_after_it_nor_begun_late(
    postgres_url: str,
) -> None:
    shift = Shift()
    async with open_store(postgres_url, acquire_seconds=30, limit_seconds=60, shift=shift.read) as store:
        played = await play_runs(store, shift, RUNS_AT_ONCE, at_once=True)
    assert played.violations == []
    assert played.figures["started"] > 0
