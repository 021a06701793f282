"""What conversation-service can be told from outside."""

import pytest
from pydantic import ValidationError

from conversation_service.adapters.postgres_url import is_postgres, parse_postgres_url
from conversation_service.settings import ConversationSettings


@pytest.fixture(autouse=True)
def _no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MESH_DATABASE_URL", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)


def test_given_nothing_when_read_then_a_file_is_used_and_migrated_at_start() -> None:
    settings = ConversationSettings()
    assert settings.database_url.get_secret_value() == "sqlite:///var/mesh.db"
    assert (settings.port, settings.migrates_on_start) == (50061, True)


def test_given_the_guides_name_when_read_then_it_is_the_address_and_a_job_migrates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://mesh:secret@db/mesh")
    settings = ConversationSettings()
    assert settings.database_url.get_secret_value() == "postgres://mesh:secret@db/mesh"
    assert not settings.migrates_on_start
    assert "secret" not in repr(settings)


def test_given_both_names_when_read_then_ours_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://db/theirs")
    monkeypatch.setenv("MESH_DATABASE_URL", "postgres://db/ours")
    monkeypatch.setenv("MESH_MIGRATE_ON_START", "true")
    settings = ConversationSettings()
    assert settings.database_url.get_secret_value().endswith("/ours")
    assert settings.migrates_on_start


def test_given_a_limit_that_cannot_be_when_read_then_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESH_DATABASE_POOL_SIZE", "0")
    with pytest.raises(ValidationError, match="database_pool_size"):
        ConversationSettings()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_given_a_postgres_address_when_parsed_then_every_part_is_where_the_driver_wants_it(scheme: str) -> None:
    url = f"{scheme}://me:pa%40ss@db.example:6543/mesh?sslmode=require&application_name=x"
    address = parse_postgres_url(url)
    assert is_postgres(url)
    assert address.url.drivername == "postgresql+asyncpg"
    assert not address.url.query
    assert address.connect_args["ssl"] == "require"
    found = address.asyncpg_args()
    assert [found[key] for key in ("host", "port", "user", "password", "database")] == [
        "db.example",
        6543,
        "me",
        "pa@ss",
        "mesh",
    ]


def test_given_a_pooler_when_parsed_then_nothing_is_kept_in_a_session() -> None:
    args = parse_postgres_url("postgresql://db/mesh", is_pooled=True).connect_args
    assert (args["statement_cache_size"], args["prepared_statement_cache_size"]) == (0, 0)
    assert "server_settings" not in args


@pytest.mark.parametrize("url", ["sqlite:///var/mesh.db", "mysql://db/mesh"])
def test_given_another_address_when_asked_then_it_is_not_postgres(url: str) -> None:
    assert not is_postgres(url)
