"""The analyzer as callers see it: intents with their borders, input limits, robustness."""

import random

import pytest

from intent_service.domain.analysis import Intent, Sentiment
from intent_service.domain.analyzer import Request
from kommomesh_runtime.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("buenas noches, cómo andan?", Intent.GREETING),
        ("a cuánto está el saco de lana?", Intent.PRICE_INQUIRY),
        ("cuánto me sale el envío a Junín?", Intent.PRICE_INQUIRY),
        ("tenés la blusa en talle 44?", Intent.AVAILABILITY_INQUIRY),
        ("qué me recomendás para un nene de 3?", Intent.PRODUCT_INQUIRY),
        ("hasta qué hora abren los domingos", Intent.FAQ),
        ("tienen teléfono?", Intent.FAQ),
        ("necesito un turno para el jueves a la tarde", Intent.APPOINTMENT),
        ("la silla llegó con una pata quebrada", Intent.COMPLAINT),
        ("me pasás con un vendedor por favor", Intent.ESCALATION),
        ("mil gracias, un abrazo", Intent.OTHER),
        ("no hace falta que me llamen", Intent.OTHER),
        ("não precisa chamar ninguém", Intent.OTHER),
        ("quanto custa a blusa azul?", Intent.PRICE_INQUIRY),
        ("can i talk to a human", Intent.ESCALATION),
        ("my parcel came damaged", Intent.COMPLAINT),
    ],
)
def test_given_message_when_analysed_then_its_intent_is_told(analyzer, text, intent):
    assert analyzer.analyze(text).intent is intent


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("hola! cuánto sale el corte y me das un turno para mañana?", Intent.APPOINTMENT),
        ("vino rota la lámpara, quiero hablar con una persona", Intent.ESCALATION),
        ("tenés talle 40? cuánto sale?", Intent.PRICE_INQUIRY),
    ],
)
def test_given_several_wishes_when_analysed_then_the_first_in_precedence_wins(analyzer, text, intent):
    assert analyzer.analyze(text).intent is intent


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "required"), ("  \n ", "required"), ("a" * 4097, "at most"), ("a" * 100_000, "at most"), ("a\0b", "NUL")],
)
def test_given_text_that_cannot_be_analysed_when_analysed_then_error_names_the_field(analyzer, text, problem):
    with pytest.raises(InvalidArgument, match=f"text.*{problem}"):
        analyzer.analyze(text)


@pytest.mark.parametrize(
    "text", ["a" * 4096, "(" * 4096, "😀" * 4096, "hola " * 819, "\u0301" * 4096, "?!" * 2048, "ѫ"]
)
def test_given_longest_odd_text_when_analysed_then_an_analysis_comes_back(analyzer, text):
    analysis = analyzer.analyze(text)
    assert 0 <= analysis.confidence <= 1
    assert len(analysis.runners_up) == 3


def test_given_many_requests_when_analysed_together_then_each_is_as_alone(analyzer):
    texts = ["hola", "cuánto sale el termo?", "me llegó roto", "gracias!", "quiero un turno"]
    together = analyzer.analyze_many([Request(text) for text in texts])
    alone = [analyzer.analyze(text) for text in texts]
    assert [one.intent for one in together] == [one.intent for one in alone]
    assert [one.confidence for one in together] == pytest.approx([one.confidence for one in alone], abs=1e-3)
    assert analyzer.analyze_many([]) == []


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("hola, cuánto sale el envío?", "es"),
        ("vocês entregam no sábado?", "pt"),
        ("do you deliver on saturday?", "en"),
        ("👍", "und"),
        ("Guten Tag, wann haben Sie geöffnet", "und"),
    ],
)
def test_given_message_when_analysed_then_its_language_is_told(analyzer, text, language):
    assert analyzer.analyze(text).language == language


@pytest.mark.parametrize(
    ("text", "sentiment"),
    [
        ("me encantó, son lo más!", Sentiment.POSITIVE),
        ("hasta qué hora abren?", Sentiment.NEUTRAL),
        ("pésimo servicio, una vergüenza", Sentiment.NEGATIVE),
        ("péssimo atendimento", Sentiment.NEGATIVE),
        ("this is great, thank you", Sentiment.POSITIVE),
    ],
)
def test_given_message_when_analysed_then_its_sentiment_is_told(analyzer, text, sentiment):
    assert analyzer.analyze(text).sentiment is sentiment


def test_given_accents_and_case_changed_when_analysed_then_nothing_changes(analyzer):
    plain = analyzer.analyze("¿Cuánto cuesta la instalación en Córdoba?")
    shouted = analyzer.analyze("CUANTO CUESTA LA INSTALACION EN CORDOBA?")
    assert shouted.intent is plain.intent
    assert shouted.confidence == pytest.approx(plain.confidence, abs=1e-6)


def test_given_burst_of_lines_when_analysed_then_the_request_in_it_is_found(analyzer):
    assert (
        analyzer.analyze("hola\nbuen día\nquería saber\ncuánto sale la torta grande\n🙏").intent is Intent.PRICE_INQUIRY
    )


def test_given_random_bytes_as_text_when_analysed_then_it_never_fails(analyzer):
    rng = random.Random(3)
    for _ in range(50):
        text = "".join(chr(rng.choice([rng.randrange(32, 127), rng.randrange(160, 0x3000)])) for _ in range(60))
        assert analyzer.analyze(text).intent in Intent
