"""The last look at a text: marks that would show, and pieces that are too long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kommo_service.domain.channel import Channel
from kommo_service.domain.rendering import is_cuttable, normalized, render, split


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Precios\nHola", "Precios\nHola"),
        ("**Termo** a __$ 1.000__", "Termo a $ 1.000"),
        ("Es *muy* lindo y _barato_", "Es muy lindo y barato"),
        ("- uno\n- dos\n* tres", "• uno\n• dos\n• tres"),
        ("[la tienda](https://x.test/a_b_c)", "la tienda: https://x.test/a_b_c"),
        ("![foto](https://x.test/a.png)", "foto: https://x.test/a.png"),
        ("[https://x.test](https://x.test)", "https://x.test"),
        ("```python\nx = 1\n```\nlisto", "x = 1\nlisto"),
        ("usá `SKU-1`", "usá SKU-1"),
        ("antes\n\n---\n\n\n\ndespués", "antes\n\ndespués"),
        ("> dijo ella", "dijo ella"),
        ("~~$ 900~~ $ 800", "$ 900 $ 800"),
    ],
)
def test_given_markdown_when_rendered_for_instagram_then_no_mark_is_left(text: str, expected: str) -> None:
    assert render(text, Channel.INSTAGRAM) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2 * 3 * 4 = 24",
        "2*3*4",
        "termo_acero_1l",
        "precio* con envío\n*sujeto a stock",
        "> 10 unidades: 5 % menos",
        "#oferta de hoy",
        "https://x.test/__a__/**b**/c_d_e",
        "$ 1.000 - $ 2.000",
        "+ 54 9 351 000 0001",
        "a\nb",
    ],
)
def test_given_plain_text_with_signs_when_rendered_then_it_stays_as_it_is(text: str) -> None:
    assert render(text, Channel.OTHER) == text


def test_given_bold_when_rendered_for_whatsapp_then_it_is_whatsapp_s_own_bold() -> None:
    assert render("**Termo** *ya* _hoy_", Channel.WHATSAPP) == "*Termo* *ya* _hoy_"


@pytest.mark.parametrize("text", ["---", "```\n```"])
def test_given_nothing_but_marks_when_rendered_then_the_text_is_not_lost(text: str) -> None:
    assert render(text, Channel.WHATSAPP) == text


def test_given_a_long_text_when_split_then_it_is_cut_after_a_sentence() -> None:
    text = "Tenemos el termo de 1.5 litros. " * 3 + "¿Te lo reservo? Decime."
    pieces = split(text, 60)
    assert all(len(piece) <= 60 for piece in pieces)
    assert all(piece[-1] in ".?" for piece in pieces)
    assert normalized(" ".join(pieces)) == normalized(text)


def test_given_paragraphs_when_split_then_the_cut_is_between_them() -> None:
    assert split("Primero uno. Y dos.\n\nSegundo tres. Y cuatro.", 30) == [
        "Primero uno. Y dos.",
        "Segundo tres. Y cuatro.",
    ]


def test_given_one_endless_word_of_emoji_when_split_then_no_emoji_is_cut_in_two() -> None:
    family = "👩‍👩‍👧‍👦"
    pieces = split(family * 9, 32)
    assert "".join(pieces) == family * 9
    assert all(len(piece) % len(family) == 0 for piece in pieces)


@given(st.text(max_size=400), st.integers(10, 60))
def test_given_any_text_when_split_then_nothing_is_lost_or_too_long_and_it_is_always_cut_alike(
    text: str, limit: int
) -> None:
    pieces = split(text, limit)
    assert all(0 < len(piece) <= limit for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert split(text, limit) == pieces


WHOLE = st.sampled_from(
    [
        "https://tienda.example/termos?color=azul&talle=1.5",
        "www.tienda.example/p/77",
        "ventas@tienda.example",
        "$ 1.250.000,50",
        "US$ 15",
        "R$ 1.299,90",
        "24.900 pesos",
        "15 %",
        "1,5 l",
        "+54 9 351 555 0123",
        "10:30",
        "2026-11-22",
        "PROMO-2026",
        "77AB-41",
        "👩‍👩‍👧‍👦",
        "🇦🇷🇧🇷",
        "👍🏽",
        "1️⃣",
        "e\u0301e\u0301",
    ]
)
PLAIN = st.sampled_from(["Hola", "tenemos", "stock.", "¿Lo", "querés?", "Av.", "Genial!", "porque", "\n", "\n\n", "…"])


@given(st.lists(st.one_of(WHOLE, PLAIN), max_size=60), st.integers(55, 120))
def test_given_addresses_prices_and_signs_when_split_then_each_is_whole_in_one_piece(
    words: list[str], limit: int
) -> None:
    text = " ".join(words)
    pieces = split(text, limit)
    assert all(len(piece) <= limit for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    rest, place = list(pieces), 0
    for word in (word for word in words if word.strip()):
        while word not in rest[place]:
            place += 1
            assert place < len(rest), f"{word!r} was cut"
        rest[place] = rest[place].split(word, 1)[1]


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("Sale $ 1.250 hoy mismo", 10, ["Sale", "$ 1.250", "hoy mismo"]),
        ("Son 24.900 pesos en total", 12, ["Son", "24.900 pesos", "en total"]),
        ("🇦🇷🇧🇷🇺🇾🇨🇱", 3, ["🇦🇷", "🇧🇷", "🇺🇾", "🇨🇱"]),
        ("Estamos en Av. Colón 1234, esquina Rivera", 30, ["Estamos en Av. Colón 1234,", "esquina Rivera"]),
    ],
)
def test_given_no_end_of_a_sentence_when_split_then_what_belongs_together_stays_together(
    text: str, limit: int, expected: list[str]
) -> None:
    assert split(text, limit) == expected


def test_given_an_address_longer_than_a_piece_when_asked_then_it_cannot_be_cut() -> None:
    assert not is_cuttable(f"Mirá https://tienda.example/{'a' * 80}", 80)
    assert is_cuttable("Mirá https://tienda.example/a. " * 20, 80)


@given(st.text(max_size=200))
def test_given_any_text_when_rendered_then_nothing_but_blanks_becomes_empty(text: str) -> None:
    assert bool(render(text, Channel.OTHER)) == bool(text.strip())
