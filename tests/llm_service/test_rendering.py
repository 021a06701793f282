"""Bubbles of a chat: no Markdown, cut at sentence ends, never inside an amount, a link or an emoji."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_service.domain.guards.manners import fewer_emoji
from llm_service.domain.plain_text import plain
from llm_service.domain.rendering import render, split, whole_sentences


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("La **sartén** sale *$31.990*", "La sartén sale $31.990"),
        ("# Precios\n- uno\n* dos", "Precios\n• uno\n• dos"),
        ("Mirá [la sartén](https://x.example/a_b_c)", "Mirá la sartén: https://x.example/a_b_c"),
        ("[https://x.example/a](https://x.example/a)", "https://x.example/a"),
        ("Tu pedido #123 y 2 * 3 * 4", "Tu pedido #123 y 2 * 3 * 4"),
        ("`código` y ~~viejo~~", "código y viejo"),
        ("```\nlínea\n```", "línea"),
        ("> cita", "cita"),
        ("uno\n\n\n\ndos", "uno\n\ndos"),
        ("| Producto | Precio |\n|---|---|\n| Olla | $1 |", "Producto · Precio\nOlla · $1"),
        ("<b>Hola</b><br>chau", "Hola\nchau"),
        ("https://x.example/a_b_c*d*e", "https://x.example/a_b_c*d*e"),
        ("snake_case_word", "snake_case_word"),
        ("---\nfin", "fin"),
    ],
)
def test_given_markdown_when_made_plain_then_only_the_words_stay(markdown: str, text: str) -> None:
    assert plain(markdown) == text


def test_given_a_link_on_its_own_line_when_split_then_it_has_its_own_bubble() -> None:
    assert split("Acá está:\nhttps://x.example/a\n¿Algo más?") == ("Acá está:", "https://x.example/a", "¿Algo más?")


def test_given_a_code_on_its_own_line_when_split_then_it_has_its_own_bubble() -> None:
    assert split("Tu código:\nAB12-CD34\nGuardalo.") == ("Tu código:", "AB12-CD34", "Guardalo.")


def test_given_a_long_text_when_split_then_bubbles_end_at_sentences() -> None:
    text = " ".join(f"Esta es la oración número {number} de un texto largo." for number in range(60))
    parts = split(text)
    assert all(len(part) <= 1000 and part.endswith(".") for part in parts)


def test_given_more_than_fits_when_split_then_four_bubbles_are_left() -> None:
    text = "\n".join(f"https://x.example/{number}" for number in range(9))
    assert len(split(text)) <= 4


def test_given_few_bubbles_allowed_when_split_then_small_neighbours_share_one() -> None:
    text = "Uno:\nhttps://x.example/1\nDos:\nhttps://x.example/2\nTres:\nhttps://x.example/3"
    parts = split(text, max_parts=3)
    assert len(parts) == 3
    assert "\n".join(parts) == text


ATOMS = ("$31.990", "US$ 1.250,50", "https://casalumbre.example/p/una-cosa", "👨\u200d👩\u200d👧", "🇦🇷", "👍🏽")
PIECES = st.sampled_from((*ATOMS, "hola.", "sí", "¿cuál?", "\n", "una palabra", "Sale 31.990 pesos."))


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=60), st.integers(min_value=60, max_value=200))
def test_given_any_text_when_split_then_amounts_links_and_emoji_stay_whole(pieces: list[str], limit: int) -> None:
    text = " ".join(pieces)
    parts = split(text, max_parts=100, limit=limit)
    joined = "\n".join(parts)
    assert all(part and len(part) <= limit for part in parts)
    for whole in ATOMS:
        assert joined.count(whole) == text.count(whole)
    assert re.sub(r"\s+", "", joined) == re.sub(r"\s+", "", text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=3000))
def test_given_any_text_when_rendered_then_the_parts_say_the_text(text: str) -> None:
    whole, parts = render(text)
    assert "\n".join(parts) == whole
    assert len(parts) <= 4
    assert all(part.strip() == part and part for part in parts)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Sale $31.990. Y además te cue", "Sale $31.990."),
        ("Todo bien.", "Todo bien."),
        ("sin final", ""),
        ("Av. Rivadavia 5420 y", ""),
    ],
)
def test_given_a_text_that_was_cut_when_trimmed_then_whole_sentences_stay(text: str, kept: str) -> None:
    assert whole_sentences(text) == kept


def test_given_many_emoji_when_reduced_then_two_stay() -> None:
    assert fewer_emoji("Hola 👋 qué 😀 tal 🎉 vos 👍🏽") == "Hola 👋 qué 😀 tal vos "
    assert fewer_emoji("Hola 👋") == "Hola 👋"
