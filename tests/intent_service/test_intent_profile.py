"""The intents file of a business: what it adds counts at once, and a bad one is refused with its place."""

import pytest

from intent_service.adapters.profile_file import load_profile_rules
from intent_service.adapters.profiles import Profiles
from intent_service.adapters.rule_files import read_spellings
from intent_service.domain.analysis import Intent, Priority, Reason
from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.profile import ProfileError

PHRASES = """
[intents.appointment]
examples = [
  "quiero tirar un globo", "tenés globo para el sábado", "anotame en el globo de la tarde", "me sumo al globo",
  "hay vuelo en globo mañana", "quiero volar en globo el domingo", "reservo globo para dos", "sumame al vuelo",
  "pongo mi nombre para el vuelo", "apuntame para volar",
]
"""


def rules_of(tmp_path, source):
    (tmp_path / "intents.toml").write_text(source, "utf-8")
    return load_profile_rules(tmp_path, read_spellings())


def test_given_ten_phrases_when_added_and_removed_then_paraphrases_follow(analyzer, tmp_path):
    message = "apuntame a mí y a mi novia para volar"
    before = analyzer.analyze(message)
    profile = analyzer.profile(rules_of(tmp_path, PHRASES))
    during = analyzer.analyze(message, profile=profile)
    assert during.intent is Intent.APPOINTMENT
    assert during.confidence > dict([(before.intent, before.confidence), *before.runners_up]).get(Intent.APPOINTMENT, 0)
    assert during.matched[0].startswith("profile.phrase")
    assert analyzer.analyze("vuelo en globo el domingo para mi viejo", profile=profile).intent is Intent.APPOINTMENT
    assert analyzer.analyze(message) == before


def test_given_phrases_of_a_business_when_other_things_are_asked_then_nothing_changes(analyzer, tmp_path):
    profile = analyzer.profile(rules_of(tmp_path, PHRASES))
    for text in ("hola!", "cuánto sale el termo?", "me llegó todo roto", "hasta qué hora abren?", "gracias, genia"):
        assert analyzer.analyze(text, profile=profile).intent is analyzer.analyze(text).intent


def test_given_keywords_and_patterns_when_matched_then_they_decide(analyzer, tmp_path):
    source = '[intents.faq]\nkeywords = ["Ñandú Club"]\n[intents.price_inquiry]\npatterns = ["cu[aá]nta mosca"]\n'
    profile = analyzer.profile(rules_of(tmp_path, source))
    assert analyzer.analyze("contame del ñandu club", profile=profile).intent is Intent.FAQ
    found = analyzer.analyze("CUÁNTA MOSCA es", profile=profile)
    assert (found.intent, found.matched[0]) == (Intent.PRICE_INQUIRY, "profile.price_inquiry.patterns")


def test_given_threshold_when_confidence_is_below_then_the_intent_is_other(analyzer, tmp_path):
    profile = analyzer.profile(rules_of(tmp_path, "[intents.greeting]\nthreshold = 1.0\n"))
    assert analyzer.analyze("hola buenas", profile=profile).intent is Intent.OTHER


def test_given_escalation_rule_when_matched_then_a_person_is_called_with_its_reason(analyzer, tmp_path):
    source = (
        '[[escalation]]\nname = "mayoristas"\nkeywords = ["por mayor"]\npriority = "low"\nreason = "Venta mayorista"\n'
    )
    profile = analyzer.profile(rules_of(tmp_path, source))
    escalation = analyzer.analyze("venden por mayor?", profile=profile).escalation
    assert (escalation.reason_code, escalation.priority) == (Reason.PROFILE_RULE, Priority.LOW)
    assert escalation.reason == "Venta mayorista"
    assert escalation.matched == ("profile.mayoristas",)


@pytest.mark.parametrize(
    ("source", "line", "field", "problem"),
    [
        ("[intents.prices]\n", 1, "intents.prices", "Input should be"),
        ("[intents.faq]\nexamples = []\n[intents.other]\nexample = []\n", 4, "intents.other.example", "not permitted"),
        ('[intents.faq]\nkeywords = ["a"]\npatterns = ["(abc"]\n', 3, "intents.faq.patterns", "no regular expression"),
        ('[intents.faq]\npatterns = ["x*"]\n', 2, "intents.faq.patterns", "matches every message"),
        ("[intents.faq]\nthreshold = 3\n", 2, "intents.faq.threshold", "less than or equal"),
        (
            '[[escalation]]\nname = "a"\n\n[[escalation]]\nname = "b"\npriority = "now"\n',
            6,
            "escalation.1.priority",
            "be",
        ),
        ("[intents.faq\n", 1, "", "line 1"),
    ],
)
def test_given_bad_file_when_loaded_then_file_line_and_field_are_named(tmp_path, source, line, field, problem):
    with pytest.raises(ProfileError, match=problem) as caught:
        rules_of(tmp_path, source)
    assert (caught.value.line, caught.value.field) == (line, field)
    assert caught.value.file.name == "intents.toml"


async def test_given_good_file_when_a_bad_version_comes_then_the_good_one_stays(analyzer, tmp_path):
    account = Account(id="77", subdomain="shop", profile=tmp_path)
    profiles = Profiles(Accounts.of(account), analyzer)
    (tmp_path / "intents.toml").write_text(PHRASES, "utf-8")
    assert await profiles.refresh() == {"77": True}
    assert await profiles.refresh() == {}
    (tmp_path / "intents.toml").write_text("[intents.nothing]\n", "utf-8")
    assert await profiles.refresh() == {"77": False}
    assert len(profiles.get("77").texts) == 10
    (tmp_path / "intents.toml").unlink()
    assert await profiles.refresh() == {"77": True}
    assert profiles.get("77").texts == ()


def test_given_nested_repetition_in_a_pattern_when_a_hostile_message_comes_then_it_is_answered(analyzer, tmp_path):
    profile = analyzer.profile(rules_of(tmp_path, '[intents.faq]\npatterns = ["(a+)+z"]\n'))
    assert analyzer.analyze("a" * 4096, profile=profile).intent in Intent
