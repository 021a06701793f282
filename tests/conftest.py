"""What every suite may use: one PostgreSQL for the whole run, and databases on it."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from support.postgres import PostgresCluster, running_postgres

from conversation_service.migrate import migrate

TEMPLATE = "mesh_template"

# No example fails because the machine is slow, and every run tries the same ones.
settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("suite")
_numbers = count(1)


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresCluster]:
    """Give a server with a migrated template database."""
    with running_postgres() as cluster:
        url = cluster.make_database(TEMPLATE)
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, migrate(url)).result()
        yield cluster


@pytest.fixture
def postgres_url(postgres_cluster: PostgresCluster) -> Iterator[str]:
    """Give the address of a migrated database of the test's own."""
    name = f"mesh_{next(_numbers)}"
    yield postgres_cluster.make_database(name, TEMPLATE)
    postgres_cluster.drop_database(name)


@pytest.fixture
def empty_postgres_url(postgres_cluster: PostgresCluster) -> Iterator[str]:
    """Give the address of an empty database of the test's own."""
    name = f"empty_{next(_numbers)}"
    yield postgres_cluster.make_database(name)
    postgres_cluster.drop_database(name)
