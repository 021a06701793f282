"""Normalisation and spelling: many ways to write, one form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intent_service.adapters.rule_files import read_spellings
from intent_service.domain.spelling import build_speller, is_one_typo
from intent_service.domain.text import fold, normalise

SPELLINGS = read_spellings()


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("Holaaaa!!!", "hola !"),
        ("¿CUÁNTO sale?", "cuanto sale ?"),
        ("q precio tiene xfa", "que precio tiene por favor"),
        ("jajajaja dale", "jaja dale"),
        ("kkkkk boa", "jaja boa"),
        ("son 12.500 pesos", "son 0 pesos"),
        ("gracias 🙏🏽", "gracias emojigracias emoji"),
        ("don't worry", "do not worry"),
    ],
)
def test_given_a_way_to_write_when_normalised_then_form_is_the_common_one(written, form):
    assert normalise(written, SPELLINGS) == form


@given(st.text(max_size=200))
def test_given_any_text_when_normalised_twice_then_nothing_changes_further(text):
    once = normalise(text, SPELLINGS)
    assert "  " not in once
    assert once == once.strip()
    assert fold(once) == once


def test_given_unknown_word_one_typo_away_when_corrected_then_the_known_word_comes_back():
    speller = build_speller({"direccion": 3, "horario": 2}, ["horarios"])
    assert speller.corrected("la direcion y el horaroi") == "la direccion y el horario"


def test_given_known_word_when_corrected_then_it_stays():
    speller = build_speller({"turno": 3}, ["turnos"])
    assert speller.corrected("turnos") == "turnos"


@pytest.mark.parametrize(
    ("left", "right", "is_one"),
    [
        ("turno", "turnos", True),
        ("turno", "truno", True),
        ("turno", "tutno", True),
        ("turno", "turon", True),
        ("turno", "tronu", False),
        ("ab", "abcd", False),
    ],
)
def test_given_two_words_when_compared_then_one_typo_is_told(left, right, is_one):
    assert is_one_typo(left, right) is is_one
