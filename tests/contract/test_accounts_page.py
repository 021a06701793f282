"""The page on accounts names every field that an account file may have, and what the check looks at."""

import re
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from kommomesh_runtime.accounts import SECRET_NAMES, Account

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations" / "accounts.md"
CHECKS = ROOT / "kommo-service" / "src" / "kommo_service"


def in_tables() -> set[str]:
    """Return what the first cells of the page's tables name."""
    cells = re.findall(r"^\| ([^|]+) \|", PAGE.read_text(), re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([\w.*]+)`", cell)}


def tables_of(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [one for part in get_args(annotation) for one in tables_of(part)]


def test_given_account_when_compared_then_the_page_names_every_field_and_those_of_its_tables():
    named = in_tables()
    assert set(Account.model_fields) - named == set()
    for name, field in Account.model_fields.items():
        for table in tables_of(field.annotation) if name != "secrets" else []:
            assert set(table.model_fields) - named == set(), f"[{name}]"
    assert set(SECRET_NAMES) - named == set()


def test_given_the_check_when_compared_then_the_page_names_everything_it_looks_at():
    sources = [
        *CHECKS.glob("domain/*_check.py"),
        *CHECKS.glob("adapters/*_check.py"),
        CHECKS / "domain/account_answer.py",
    ]
    found = {
        name
        for path in sources
        for name in re.findall(r"(?:fine|problem|warning|unknown)\(\s*\"(\w+)\"", path.read_text())
    }
    assert found - in_tables() - {"webhook_fix", "kommo"} == set()
