"""Rules: negation has a scope, patterns run in linear time."""

from intent_service.domain.rules import Rule, RuleSet

NEGATION = r"\b(no|sin)( (quiero|necesito))? $"


def test_given_negation_just_before_when_matched_then_the_rule_is_silent():
    rules = RuleSet([Rule("person", "escalation", (r"\bhablar con un asesor\b",), is_negatable=True)], NEGATION)
    assert rules.matches("no quiero hablar con un asesor") == []
    assert [rule.name for rule in rules.matches("quiero hablar con un asesor")] == ["person"]


def test_given_negation_of_something_else_when_matched_then_the_rule_speaks():
    rules = RuleSet([Rule("person", "escalation", (r"\bun asesor\b",), is_negatable=True)], NEGATION)
    assert rules.matches("no me llego el pedido asi que quiero un asesor")


def test_given_exception_when_matched_then_the_rule_is_silent():
    rules = RuleSet([Rule("fire", "legal_or_urgent", (r"\bhumo\b",), unless=(r"\bvenden\b",))])
    assert rules.matches("sale humo del equipo")
    assert rules.matches("venden maquina de humo") == []


def test_given_pattern_that_hangs_other_engines_when_matched_then_it_answers():
    rules = RuleSet([Rule("nested", "other", (r"(a+)+$",))])
    assert rules.matches("a" * 4000 + "b") == []
