"""Short questions after an answer: what they are about is what was answered last."""

import pytest

from llm_service.adapters.encoder import shipped_encoder
from llm_service.adapters.library import load_business
from llm_service.domain.data_replies import DataReply, reply_from_data
from llm_service.domain.values import Handover, Question, Said, Speaker

BUSINESS = load_business(None, shipped_encoder())


def chat(*messages: str) -> list[DataReply]:
    """Return the reply to each message of a chat."""
    history: list[Said] = []
    replies: list[DataReply] = []
    for message in messages:
        said = Said(Speaker.CLIENT, message)
        reply = reply_from_data(Question((said,), tuple(history)), BUSINESS.knowledge, BUSINESS.voice)
        replies.append(reply)
        history += [said, Said(Speaker.BOT, str(reply.result))]
    return replies


def faqs(reply: DataReply) -> list[str]:
    """Return the ids of the rows that a reply used."""
    return [row.id for row in reply.rows]


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        ("puedo pagar en cuotas?", "cuántas?", "installments"),
        ("cuánto sale el envío?", "a córdoba", "shipping-cost-interior"),
        ("cuánto sale el envío?", "y a bariloche?", "shipping-cost-patagonia"),
        ("hacen envíos?", "cuánto?", "shipping-cost"),
        ("Do you ship to Rosario?", "how much?", "shipping-en"),
    ],
)
def test_given_an_answer_when_a_short_question_follows_then_it_is_about_the_same(first, then, expected):
    assert faqs(chat(first, then)[-1]) == [expected]


def test_given_words_that_name_two_zones_when_the_shipping_is_asked_for_then_both_prices_are_told():
    (reply,) = chat("cuánto me sale el envío a córdoba capital?")
    assert set(faqs(reply)) == {"shipping-cost-caba", "shipping-cost-interior"}


def test_given_spanish_when_only_an_english_row_is_near_then_it_is_not_the_answer():
    assert "We ship" not in str(chat("hacen envíos a rosario?", "y si no estoy en casa?")[-1].result)


def test_given_somebody_lost_when_they_say_so_then_the_bot_excuses_itself_and_offers_a_person():
    assert "no fui claro" in str(chat("hacen envíos?", "no entiendo")[-1].result)


def test_given_what_else_is_sold_when_asked_then_the_categories_are_told():
    assert "cocina" in str(chat("qué más tienen?")[0].result)


def test_given_a_product_some_answers_ago_when_it_is_taken_then_the_person_is_told_which():
    reply = chat("cuánto sale la freidora de aire?", "hacen envíos?", "puedo pagar en cuotas?", "dale, la quiero")[-1]
    assert isinstance(reply.result, Handover)
    assert "Freidora de aire 4 l" in reply.result.reason


def test_given_a_price_asked_after_another_answer_when_a_product_was_spoken_of_then_it_is_its_price():
    assert "$149.900" in str(chat("cuánto sale la freidora de aire?", "a qué hora cierran?", "precio?")[-1].result)


def test_given_a_wish_for_a_slot_in_any_words_when_the_intent_is_sure_then_a_person_is_called():
    burst = (Said(Speaker.CLIENT, "me podrían recibir mañana?"),)
    question = Question(burst, intent="appointment", confidence=0.97)
    assert isinstance(reply_from_data(question, BUSINESS.knowledge, BUSINESS.voice).result, Handover)
