"""The decision to call a person, over the message and the conversation before it."""

import pytest

from intent_service.domain.analysis import Priority, Reason, Role, Utterance


def conversation(*lines):
    """Return utterances from lines that start with `c:` (customer) or `a:` (assistant)."""
    roles = {"c": Role.USER, "a": Role.ASSISTANT}
    return [Utterance(roles[line[0]], line[2:].strip()) for line in lines]


@pytest.mark.parametrize(
    ("text", "reason", "priority"),
    [
        ("necesito hablar con un asesor", Reason.HUMAN_REQUEST, Priority.HIGH),
        ("que me llame alguien por favor", Reason.HUMAN_REQUEST, Priority.HIGH),
        ("no me entendés nada", Reason.HUMAN_REQUEST, Priority.MEDIUM),
        ("sos un robot?", Reason.HUMAN_REQUEST, Priority.HIGH),
        ("el lavarropas que compré no enciende", Reason.COMPLAINT, Priority.HIGH),
        ("los voy a denunciar en defensa al consumidor", Reason.LEGAL_OR_URGENT, Priority.CRITICAL),
        ("vou procurar o procon", Reason.LEGAL_OR_URGENT, Priority.CRITICAL),
        ("me clonaron la tarjeta y hay compras que no hice", Reason.LEGAL_OR_URGENT, Priority.CRITICAL),
        ("la estufa que me vendieron larga chispas", Reason.LEGAL_OR_URGENT, Priority.CRITICAL),
        ("terminé en el hospital por la crema que compré", Reason.LEGAL_OR_URGENT, Priority.CRITICAL),
        ("i will take legal action against you", Reason.LEGAL_OR_URGENT, Priority.CRITICAL),
    ],
)
def test_given_message_that_needs_a_person_when_analysed_then_reason_and_priority_are_told(
    analyzer, text, reason, priority
):
    escalation = analyzer.analyze(text).escalation
    assert (escalation.should_escalate, escalation.reason_code, escalation.priority) == (True, reason, priority)
    assert escalation.matched
    assert escalation.reason


@pytest.mark.parametrize(
    "text",
    [
        "cómo es la política de devoluciones?",
        "si viene con fallas, qué hago?",
        "no tengo ninguna queja, todo perfecto",
        "no hay problema, espero",
        "no hace falta que hable con nadie, gracias",
        "mi vecina tuvo un problema con otra tienda, acá siempre bien",
        "es carísimo, lo voy a pensar",
        "ya salió mi pedido?",
        "necesito urgente un regalo para hoy",
        "venden luces de emergencia?",
        "tienen matafuegos?",
        "la torta estaba de muerte, gracias",
        "quedan frente al hospital?",
        "gracias por el descuento!",
        "mesa para una persona el viernes",
    ],
)
def test_given_message_that_needs_nobody_when_analysed_then_nobody_is_called(analyzer, text):
    assert not analyzer.analyze(text).escalation.should_escalate


def test_given_two_failed_answers_when_customer_asks_again_then_a_person_is_called(analyzer):
    history = conversation(
        "c: hacen arreglos de cierres?",
        "a: Disculpá, no entendí tu consulta.",
        "c: si arreglan cierres de camperas",
        "a: No encontré información sobre eso.",
    )
    escalation = analyzer.analyze("pregunto si cambian el cierre", history).escalation
    assert escalation.reason_code is Reason.REPEATED_FAILURE
    assert escalation.priority is Priority.MEDIUM


def test_given_two_failed_answers_when_customer_lets_it_be_then_nobody_is_called(analyzer):
    history = conversation("c: x", "a: No entendí tu mensaje.", "c: y", "a: No entendí tu mensaje.")
    assert not analyzer.analyze("dejá, gracias", history).escalation.should_escalate


def test_given_one_failed_answer_then_a_good_one_when_customer_goes_on_then_nobody_is_called(analyzer):
    history = conversation(
        "c: tienen remeras?", "a: No entendí tu mensaje.", "c: remeras de algodón", "a: Sí, de algodón peinado."
    )
    assert not analyzer.analyze("y en azul?", history).escalation.should_escalate


def test_given_the_same_answer_twice_when_customer_still_asks_then_a_person_is_called(analyzer):
    answer = "a: Atendemos de lunes a viernes de 9 a 18 en San Martín 120."
    history = conversation("c: hacen envíos a Chile?", answer, "c: pero envían a Chile?", answer)
    assert analyzer.analyze("te pregunto por envíos a Chile", history).escalation.reason_code is Reason.REPEATED_FAILURE


def test_given_long_happy_conversation_when_it_goes_on_then_length_never_calls_a_person(analyzer):
    history = conversation(
        "c: hola!", "a: ¡Hola! ¿Qué estás buscando?", "c: una manta", "a: Tenemos de polar y de algodón.",
        "c: de polar", "a: La de polar sale $12.000.", "c: en gris hay?", "a: Sí, en gris y en azul.",
        "c: buenísimo", "a: ¿Te la separo?", "c: dale", "a: ¡Lista!",
    )  # fmt: skip
    for text in ("perfecto, hasta qué hora están?", "gracias, paso a la tarde", "genial 😊"):
        assert not analyzer.analyze(text, history).escalation.should_escalate


def test_given_useless_answer_when_customer_says_so_then_a_person_is_called(analyzer):
    history = conversation("c: cómo configuro el módem?", "a: Podés ver todas nuestras promociones en la web.")
    assert analyzer.analyze("eso no me sirve", history).escalation.reason_code is Reason.HUMAN_REQUEST


def test_given_offered_slot_that_does_not_suit_when_customer_says_so_then_nobody_is_called(analyzer):
    history = conversation("c: quiero un turno", "a: Tengo el martes a las 10, ¿te sirve?")
    assert not analyzer.analyze("no me sirve", history).escalation.should_escalate


@pytest.mark.parametrize(
    ("locale", "word"), [("es-AR", "cliente"), ("pt-BR", "pessoa"), ("en", "person"), ("", "persona")]
)
def test_given_locale_when_a_person_is_called_then_the_reason_is_in_its_language(analyzer, locale, word):
    assert word in analyzer.analyze("quiero un humano", locale=locale).escalation.reason


def test_given_one_answer_to_two_questions_when_customer_asks_something_new_then_nobody_is_called(analyzer):
    answer = "a: Atendemos de lunes a viernes de 9 a 18 y los sábados de 10 a 14."
    history = conversation("c: a qué hora cierran?", answer, "c: los sábados también?", answer)
    assert not analyzer.analyze("tienen estacionamiento?", history).escalation.should_escalate
    assert "history.same_answer_again" in analyzer.analyze("no, eso ya me lo dijiste", history).escalation.matched


def test_given_a_list_that_became_shorter_when_customer_goes_on_then_nobody_is_called(analyzer):
    three = (
        "a: Tenemos: Jean recto talle 38: $48.900 Jean recto talle 40: $48.900 Jean chupín talle 40: $45.500. ¿Cuál?"
    )
    two = "a: Tenemos: Jean recto talle 40: $48.900 Jean chupín talle 40: $45.500. ¿Cuál?"
    history = conversation("c: tienen jeans?", three, "c: en 40?", two)
    assert not analyzer.analyze("cuánto sale", history).escalation.should_escalate
