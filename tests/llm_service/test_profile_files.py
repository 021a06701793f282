"""Catalogue and questions as files: what is read, and how a mistake is named."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from kommomesh_runtime.profile import ProfileError
from llm_service.adapters.catalog import load_catalog
from llm_service.adapters.data_files import load_lexicon
from llm_service.adapters.faqs import load_faqs
from llm_service.adapters.library import Business
from llm_service.domain.normalise import stem

HEADER = "sku,name,price,currency,stock,tags,category,description,url\n"
GOOD = "A-1,Mesa,100.50,ARS,3,madera;living,Muebles,De pino,https://x.example/a\n"


def _catalog(tmp_path: Path, text: str) -> Path:
    (tmp_path / "catalog.csv").write_text(text, encoding="utf-8")
    return tmp_path


def test_given_the_example_business_when_loaded_then_it_is_complete(business: Business) -> None:
    products = business.knowledge.products.values()
    assert 60 <= len(products) <= 80
    assert len(business.knowledge.faqs) >= 25
    assert any(product.stock == 0 for product in products)
    assert {product.currency for product in products} == {"ARS"}
    assert {faq.language for faq in business.knowledge.faqs.values()} == {"es", "pt", "en"}


def test_given_a_csv_row_when_loaded_then_every_column_is_read(tmp_path: Path) -> None:
    (product,) = load_catalog(_catalog(tmp_path, HEADER + GOOD), "ARS")
    assert product.price == Decimal("100.50")
    assert (product.sku, product.stock, product.tags) == ("A-1", 3, ("madera", "living"))


def test_given_blank_price_stock_and_currency_when_loaded_then_they_are_unknown(tmp_path: Path) -> None:
    (product,) = load_catalog(_catalog(tmp_path, HEADER + "A-1,Mesa,,,,,,,\n"), "USD")
    assert (product.price, product.stock, product.currency) == (None, None, "USD")


@pytest.mark.parametrize(
    ("rows", "line", "field"),
    [
        (GOOD + "A-2,Silla,caro,ARS,3,,,,\n", 3, "price"),
        (GOOD + "A-2,Silla,-5,ARS,3,,,,\n", 3, "price"),
        (GOOD + "A-2,Silla,5,ARS,muchas,,,,\n", 3, "stock"),
        (GOOD + "A-2,,5,ARS,1,,,,\n", 3, "name"),
        (GOOD + GOOD, 3, "sku"),
        ("A-1,Mesa,1,pesos,1,,,,\n", 2, "currency"),
        ("A-1,Mesa,1,ARS,1,,,,ftp://x\n", 2, "url"),
        (GOOD + "A-2,Silla\n", 3, ""),
        ('A-1,"Mesa\nde pino",1,ARS,1,,,,\nA-2,Silla,x,ARS,1,,,,\n', 4, "price"),
    ],
)
def test_given_a_wrong_row_when_loaded_then_file_line_and_field_are_named(
    tmp_path: Path, rows: str, line: int, field: str
) -> None:
    with pytest.raises(ProfileError) as caught:
        load_catalog(_catalog(tmp_path, HEADER + rows), "ARS")
    assert (caught.value.file.name, caught.value.line, caught.value.field) == ("catalog.csv", line, field)


def test_given_unknown_or_missing_columns_when_loaded_then_the_column_is_named(tmp_path: Path) -> None:
    for header, field in (("sku,name,price,colour\n", "colour"), ("sku,name\n", "price")):
        with pytest.raises(ProfileError) as caught:
            load_catalog(_catalog(tmp_path, header), "ARS")
        assert (caught.value.line, caught.value.field) == (1, field)


def test_given_a_json_catalogue_when_loaded_then_it_reads_as_the_csv(tmp_path: Path) -> None:
    rows = [{"sku": "A-1", "name": "Mesa", "price": 100.5, "stock": 3, "tags": ["madera"]}]
    (tmp_path / "catalog.json").write_text(json.dumps(rows))
    (product,) = load_catalog(tmp_path, "ARS")
    assert (product.price, product.currency, product.tags) == (Decimal("100.5"), "ARS", ("madera",))


def test_given_a_wrong_json_row_when_loaded_then_its_line_is_named(tmp_path: Path) -> None:
    text = '[\n  {"sku": "A-1", "name": "Mesa", "price": 1},\n  {"sku": "A-2", "name": "Silla", "price": "x"}\n]'
    (tmp_path / "catalog.json").write_text(text)
    with pytest.raises(ProfileError) as caught:
        load_catalog(tmp_path, "ARS")
    assert (caught.value.line, caught.value.field) == (3, "price")


def test_given_both_catalogues_when_loaded_then_neither_is_guessed(tmp_path: Path) -> None:
    _catalog(tmp_path, HEADER)
    (tmp_path / "catalog.json").write_text("[]")
    with pytest.raises(ProfileError, match=r"keep one"):
        load_catalog(tmp_path, "ARS")


def test_given_no_files_when_loaded_then_there_is_nothing_to_sell(tmp_path: Path) -> None:
    assert load_catalog(tmp_path, "ARS") == ()
    assert load_faqs(tmp_path, "es") == ()


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        ('[[faq]]\nid = "a"\nquestion = "¿?"\nanswer = ""\n', 4, "answer"),
        ('[[faq]]\nid = "a"\nquestion = "q"\n', 1, "answer"),
        ('[[faq]]\nid = "a"\nquestion = "q"\nanswer = "x"\nlanguage = "spanish"\n', 5, "language"),
        ('[[faq]]\nid="a"\nquestion="q"\nanswer="x"\n\n[[faq]]\nid="a"\nquestion="q"\nanswer="x"\n', 7, "id"),
        ('[[faq]]\nid="a"\nquestion="q"\nanswer="x"\n\n[[faq]]\nid="b"\nquestions="q"\nanswer="x"\n', 6, "question"),
    ],
)
def test_given_a_wrong_question_when_loaded_then_file_line_and_field_are_named(
    tmp_path: Path, text: str, line: int, field: str
) -> None:
    (tmp_path / "faqs.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ProfileError) as caught:
        load_faqs(tmp_path, "es")
    assert (caught.value.file.name, caught.value.line, caught.value.field) == ("faqs.toml", line, field)


def test_given_synonyms_of_a_business_when_loaded_then_they_join_the_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "synonyms.toml").write_text('synonyms = [["cucha", "casita"]]')
    lexicon = load_lexicon(tmp_path)
    assert stem("casita") in lexicon.synonyms[(stem("cucha"),)]
    (tmp_path / "synonyms.toml").write_text("synonyms = [1]")
    with pytest.raises(ProfileError, match="synonyms"):
        load_lexicon(tmp_path)
