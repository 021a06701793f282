"""The catalogue of a business, from `catalog.csv` or `catalog.json`."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from kommomesh_runtime.profile import ProfileError
from llm_service.domain.values import Product

CSV_FILE = "catalog.csv"
JSON_FILE = "catalog.json"
COLUMNS = ("sku", "name", "price", "currency", "stock", "tags", "category", "description", "url")
REQUIRED_COLUMNS = ("sku", "name", "price")


def _blank_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _split_tags(value: Any) -> Any:
    return [tag.strip() for tag in re.split("[;|,]", value) if tag.strip()] if isinstance(value, str) else value


class _CatalogRow(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, coerce_numbers_to_str=True)

    sku: str = Field(min_length=1, max_length=100)
    name: str = Field(min_length=1, max_length=300)
    price: Annotated[Decimal | None, BeforeValidator(_blank_is_none)] = Field(
        default=None, ge=0, max_digits=14, decimal_places=2
    )
    currency: str = Field(default="", pattern="^([A-Z]{3})?$")
    stock: Annotated[int | None, BeforeValidator(_blank_is_none)] = Field(default=None, ge=0, le=2_000_000_000)
    tags: Annotated[tuple[str, ...], BeforeValidator(_split_tags)] = ()
    category: str = ""
    description: str = Field(default="", max_length=4000)
    url: str = ""

    @field_validator("url")
    @classmethod
    def _is_web(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://\S+", value):
            raise ValueError("must begin with https:// or http://")
        return value


def _product(path: Path, line: int, cells: Mapping[str, Any], currency: str) -> Product:
    try:
        row = _CatalogRow.model_validate(cells)
    except ValidationError as error:
        problem = error.errors()[0]
        raise ProfileError(path, ".".join(str(part) for part in problem["loc"]), problem["msg"], line) from None
    return Product(**{**row.model_dump(), "currency": row.currency or currency})


def _csv_rows(path: Path, source: str) -> Iterable[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(source, newline=""))
    columns = reader.fieldnames or []
    for name in REQUIRED_COLUMNS:
        if name not in columns:
            raise ProfileError(path, name, "the column is missing", 1)
    for name in columns:
        if name not in COLUMNS:
            raise ProfileError(path, name, f"unknown column; columns are {', '.join(COLUMNS)}", 1)
    for cells in reader:
        if None in cells or None in cells.values():
            raise ProfileError(path, "", f"has not the {len(columns)} cells of the header", reader.line_num)
        yield reader.line_num, cells


def _json_rows(path: Path, source: str) -> Iterable[tuple[int, Mapping[str, Any]]]:
    try:
        rows = json.loads(source)
    except json.JSONDecodeError as error:
        raise ProfileError(path, "", f"is not JSON: {error.msg}", error.lineno) from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ProfileError(path, "", "must be a list of objects")
    for row in rows:
        yield _line_holding(source, str(row.get("sku", ""))), row


def _line_holding(source: str, value: str) -> int:
    place = source.find(json.dumps(value, ensure_ascii=False)) if value else -1
    return source.count("\n", 0, max(place, 0)) + 1


def _unique(path: Path, rows: Iterable[tuple[int, Mapping[str, Any]]], currency: str) -> tuple[Product, ...]:
    found: dict[str, Product] = {}
    for line, cells in rows:
        product = _product(path, line, cells, currency)
        if product.sku in found:
            raise ProfileError(path, "sku", f"{product.sku} is named twice", line)
        found[product.sku] = product
    return tuple(found.values())


def load_catalog(directory: Path, currency: str) -> tuple[Product, ...]:
    """Return the products of a profile directory; none where it has no catalogue.

    Args:
        directory: holds `catalog.csv` or `catalog.json`, not both.
        currency: ISO 4217 code for rows that name none.

    Raises:
        ProfileError: a row is wrong; it names file, line and field.
    """
    csv_path, json_path = directory / CSV_FILE, directory / JSON_FILE
    if csv_path.exists() and json_path.exists():
        raise ProfileError(json_path, "", f"there is a {CSV_FILE} too; keep one of them")
    path = json_path if json_path.exists() else csv_path
    if not path.exists():
        return ()
    try:
        source = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ProfileError(path, "", "is not UTF-8") from None
    rows = _json_rows(path, source) if path == json_path else _csv_rows(path, source)
    return _unique(path, rows, currency)
