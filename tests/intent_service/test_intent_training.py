"""The phrase files: templates grow as written, and every intent is there in every language."""

import random
import shutil
from collections import Counter

from intent_service.training.__main__ import DATA
from intent_service.training.corpus import LANGUAGES, plain_phrases
from intent_service.training.held_out import FILE_NAME, hold_out, too_near
from intent_service.training.noise import with_typos
from intent_service.training.phrases import INTENTS, Slots, Template, alternatives, grow

SLOTS = Slots("es", {"thing": ["mesa/f/mesas"]}, {"day": ["lunes"]})


def test_given_template_when_grown_then_each_alternative_comes_and_slots_are_filled():
    template = Template("(quiero|busco) ({a:thing}|{thepl:thing}) el {day}", "other", "es", "neutral", 0)
    assert alternatives(template.text) == 4
    assert set(grow(template, SLOTS, random.Random(1))) == {
        "quiero una mesa el lunes",
        "quiero las mesas el lunes",
        "busco una mesa el lunes",
        "busco las mesas el lunes",
    }


def test_given_optional_part_when_grown_then_it_comes_and_goes():
    template = Template("hola[ che]", "greeting", "es", "neutral", 0)
    assert set(grow(template, SLOTS, random.Random(1))) <= {"hola", "hola che"}


def test_given_phrase_files_when_read_then_thousands_cover_all_intents_and_languages():
    phrases = plain_phrases(DATA, 7)
    counts = Counter((phrase.language, phrase.intent) for phrase in phrases)
    assert len(phrases) > 9000
    assert all(counts[language, intent] >= 40 for language in LANGUAGES for intent in INTENTS)
    assert not [phrase.text for phrase in phrases if set(phrase.text) & set("{}[]|")]


def test_given_the_same_seed_when_read_twice_then_the_phrases_are_the_same():
    assert plain_phrases(DATA, 3) == plain_phrases(DATA, 3)


def test_given_text_when_typos_are_put_in_then_only_long_words_change():
    changed = with_typos("hola quiero comprar una bicicleta", random.Random(2), shortest=6).split()
    assert (changed[0], changed[3]) == ("hola", "una")
    assert changed[4] != "bicicleta"


def test_given_sentences_when_compared_then_near_ones_are_found_whatever_their_case_accents_and_marks():
    near = too_near(["Cuánto sale la taza?", "cuanto sale la tasa", "dónde quedan"], ["¿cuanto SALE la taza"])
    assert near == {"cuanto sale la taza": ["cuanto sale la tasa", "cuanto sale la taza"]}
    assert too_near(["quiero una mesa para dos hoy"], ["quiero una mesa para dos"]) != {}
    assert too_near(["dónde quedan"], ["cuánto sale la taza"]) == {}


def test_given_phrase_held_out_when_phrases_are_read_then_it_is_left_out(tmp_path):
    data = tmp_path / "data"
    shutil.copytree(DATA, data)
    phrase = plain_phrases(data, 3)[0].text
    assert hold_out(data, [phrase.upper()]) == 1
    assert hold_out(data, [phrase]) == 0
    assert phrase not in {one.text for one in plain_phrases(data, 3)}
    assert phrase not in (data / FILE_NAME).read_text("utf-8")
