"""Conversations without a model: everything said comes from the business's data, or a person is asked for."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_service.adapters.library import Business, load_business, shipped_texts
from llm_service.domain.data_replies import DataReply, reply_from_data
from llm_service.domain.guards.amounts import check_amounts
from llm_service.domain.guards.evidence import Evidence
from llm_service.domain.values import Handover, Question, Said, Speaker, Urgency

BUSINESS = load_business(None)


class Chat:
    """A chat with the bot that remembers what was said."""

    def __init__(self, business: Business) -> None:
        self.business = business
        self.history: list[Said] = []

    def say(self, *burst: str, content_type: str = "text", language: str = "", intent: str = "") -> DataReply:
        said = tuple(Said(Speaker.CLIENT, text, content_type) for text in burst)
        question = Question(said, tuple(self.history), language, intent)
        reply = reply_from_data(question, self.business.knowledge, self.business.voice)
        self.history += said
        if isinstance(reply.result, str):
            self.history.append(Said(Speaker.BOT, reply.result))
        return reply

    def text(self, *burst: str) -> str:
        result = self.say(*burst).result
        assert isinstance(result, str), result
        return result

    def person(self, *burst: str) -> Handover:
        result = self.say(*burst).result
        assert isinstance(result, Handover), result
        return result


@pytest.fixture
def chat(business: Business) -> Chat:
    return Chat(business)


def _ids(reply: DataReply) -> list[str]:
    return [row.id for row in reply.rows]


def test_given_a_first_hello_when_answered_then_the_business_greets(chat: Chat) -> None:
    assert "Casa Lumbre" in chat.text("Hola, necesito información")


def test_given_a_product_when_asked_then_price_stock_and_link_are_told(chat: Chat) -> None:
    text = chat.text("Hola! cuánto sale la sartén de 24?")
    assert "$31.990" in text
    assert "Hay stock" in text
    assert "https://casalumbre.example/p/sarten-antiadherente-24-cm" in text
    assert text.startswith("¡Hola!")


def test_given_several_products_when_asked_then_a_short_list_is_told(chat: Chat) -> None:
    text = chat.text("tenés sartenes?")
    assert text.count("•") == 3
    assert "sin stock" in text
    assert text.endswith("¿Cuál te interesa?")


def test_given_a_product_out_of_stock_when_asked_then_what_is_in_stock_is_told_too(chat: Chat) -> None:
    text = chat.text("tenés la sartén de 28?")
    assert "sin stock" in text
    assert "Sartén antiadherente 24 cm: $31.990" in text


def test_given_follow_ups_when_asked_then_the_products_spoken_of_are_meant(chat: Chat) -> None:
    chat.text("tienen termos?")
    assert _ids(chat.say("y en azul?")) == ["MAT-TER-10"]
    assert "$69.900" in chat.text("cuánto sale?")
    assert chat.text("pasame el link") == "https://casalumbre.example/p/termo-de-acero-inoxidable-1-l"
    assert "no figura" in chat.text("y en rosa?")


def test_given_a_list_when_the_cheapest_or_one_of_it_is_asked_for_then_that_one_is_told(chat: Chat) -> None:
    chat.text("tenés sartenes?")
    assert _ids(chat.say("la de 20"))[0] == "COC-SAR-20"
    chat.text("tenés sartenes?")
    assert "$24.990" in chat.text("cuál es la más barata?")


def test_given_a_burst_of_questions_when_answered_then_each_is_answered(chat: Chat) -> None:
    reply = chat.say("hola", "tienen sartenes?", "hacen envíos a Córdoba?", "y factura A?")
    assert isinstance(reply.result, str)
    assert "$24.990" in reply.result
    assert "$9.800" in reply.result
    assert "factura A" in reply.result
    assert {"COC-SAR-24", "shipping-cost-interior", "invoice"} <= set(_ids(reply))


def test_given_two_questions_in_one_message_when_answered_then_both_are(chat: Chat) -> None:
    text = chat.text("hola buenas, quería saber el precio de la pava eléctrica y si hacen envíos a Mendoza")
    assert "$59.900" in text
    assert "$9.800" in text


def test_given_one_question_without_an_answer_when_answered_then_the_rest_is_and_a_person_is_offered(
    chat: Chat,
) -> None:
    text = chat.text("a qué hora abren?", "venden zapatillas?")
    assert "9:30" in text
    assert "no tengo el dato" in text
    assert chat.person("sí, por favor").reason_code == "human_request"


def test_given_something_not_sold_when_asked_then_that_is_said_and_a_person_offered_once(chat: Chat) -> None:
    assert "No encontré" in chat.text("tenés zapatillas nike?")
    assert chat.person("y notebooks?").reason_code == "no_answer_in_data"


def test_given_an_offer_when_declined_then_nobody_is_called(chat: Chat) -> None:
    chat.text("tenés zapatillas nike?")
    assert "Si necesitás algo más" in chat.text("no, gracias")


def test_given_a_riddle_when_asked_twice_then_it_is_clarified_once_and_then_a_person_comes(chat: Chat) -> None:
    assert "no te entendí" in chat.text("asdf qwer")
    wanted = chat.person("zxcv")
    assert (wanted.reason_code, wanted.priority, wanted.is_failure) == ("no_answer_in_data", Urgency.LOW, False)


def test_given_a_question_beyond_the_data_when_asked_then_a_person_is_offered_and_comes_when_it_goes_on(
    chat: Chat,
) -> None:
    assert "persona del equipo" in chat.text("¿El dueño juega al fútbol los jueves?")
    assert chat.person("¿Y al tenis los lunes?").reason_code == "no_answer_in_data"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("quiero hablar con una persona", "human_request"),
        ("pasame con un asesor por favor", "human_request"),
        ("I want to talk to a human", "human_request"),
        ("quero falar com um atendente", "human_request"),
        ("quiero un turno para mañana a las 10", "appointment"),
        ("me reservás un turno?", "appointment"),
        ("can I book an appointment?", "appointment"),
        ("me llegó rota la taza", "own_order"),
        ("dónde está mi pedido?", "own_order"),
        ("la licuadora no funciona", "own_order"),
        ("me la llevo", "order"),
        ("quiero hacer un pedido", "order"),
    ],
)
def test_given_what_only_a_person_can_do_when_asked_then_nothing_is_claimed_as_done(
    chat: Chat, message: str, code: str
) -> None:
    assert chat.person(message).reason_code == code


def test_given_thanks_a_goodbye_or_a_thumb_when_said_then_the_reply_is_polite(chat: Chat) -> None:
    chat.text("a qué hora abren?")
    assert "De nada" in chat.text("muchas gracias!")
    assert "¡Genial!" in chat.text("👍")
    assert "Hasta luego" in chat.text("chau")


def test_given_the_question_whether_it_is_a_bot_when_asked_then_it_says_so(chat: Chat) -> None:
    assert "asistente virtual" in chat.text("sos un bot?")


def test_given_portuguese_when_asked_then_the_reply_is_portuguese(chat: Chat) -> None:
    assert "Temos estas opções" in chat.text("Oi! Vocês têm frigideira?")
    assert "Entregamos" in chat.text("quanto custa o frete?")
    assert "Não encontrei" in chat.text("vocês vendem tênis de corrida?")
    assert "De nada" in chat.text("obrigado")


def test_given_english_when_asked_then_the_reply_is_english(chat: Chat) -> None:
    assert "ARS 31,990" in chat.text("Hi, do you have frying pans?")
    assert "We ship" in chat.text("How much is shipping?")
    assert "couldn't find" in chat.text("do you sell running shoes?")
    assert "You're welcome" in chat.text("thank you!")


def test_given_the_language_of_the_analysis_when_the_words_do_not_tell_then_it_is_used(chat: Chat) -> None:
    told = {language: chat.say("asdf qwer zxcv uiop", language=language).result for language in ("en", "pt")}
    assert "Sorry" in str(told["en"])
    assert "cliente" in str(told["pt"])


@pytest.mark.parametrize(("content_type", "word"), [("voice", "audio"), ("picture", "imagen"), ("sticker", "Lindo")])
def test_given_media_without_text_when_answered_then_it_is_acknowledged(
    chat: Chat, content_type: str, word: str
) -> None:
    result = chat.say("", content_type=content_type).result
    assert isinstance(result, str)
    assert word in result


def test_given_a_picture_with_a_caption_when_answered_then_the_caption_is(chat: Chat) -> None:
    result = chat.say("tenés esta licuadora?", content_type="picture").result
    assert isinstance(result, str)
    assert "$89.900" in result


def test_given_words_of_a_person_in_the_history_when_followed_up_then_they_count(chat: Chat) -> None:
    chat.history.append(Said(Speaker.PERSON, "Te recomiendo la Licuadora de vaso 1,5 l 600 W"))
    assert "$89.900" in chat.text("cuánto sale?")


def _evidence(rows: Sequence[object]) -> Evidence:
    return Evidence(rows=tuple(rows), max_installments=6)  # type: ignore[arg-type]


VOCABULARY = (
    "hola tenés sartén termo azul 24 cuánto sale envío córdoba y o el la factura turno gracias no sí 👍 ? ! link "
    "barato mañana $500 zapatillas frigideira shipping horario COC-SAR-24 olla express pedido bot persona"
)
WORDS = st.sampled_from(VOCABULARY.split())


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.lists(WORDS, max_size=7).map(" ".join), min_size=1, max_size=3), min_size=1, max_size=4))
def test_given_any_chat_of_such_words_when_answered_then_it_stays_sane_and_invents_no_amount(
    bursts: list[list[str]],
) -> None:
    chat = Chat(BUSINESS)
    for burst in bursts:
        reply = chat.say(*burst)
        if isinstance(reply.result, str):
            assert reply.result.strip()
            assert "{" not in reply.result
            assert check_amounts(reply.result, _evidence(reply.rows)).passed, reply.result
        else:
            assert reply.result.reason


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=300), min_size=1, max_size=4))
def test_given_any_text_at_all_when_answered_then_there_is_a_reply_or_a_reason(burst: list[str]) -> None:
    reply = Chat(BUSINESS).say(*burst)
    assert isinstance(reply.result, Handover) or reply.result.strip()


def test_given_the_built_in_texts_when_read_then_each_is_in_three_languages_with_the_same_placeholders() -> None:
    for name, by_language in shipped_texts().by_name.items():
        assert {"es", "pt", "en"} <= set(by_language) <= {"es", "es_neutral", "pt", "en"}, name
        if name != "other_language":
            assert len({tuple(sorted(re.findall(r"{(\w+)}", text))) for text in by_language.values()}) == 1, name


def test_given_messages_without_a_subject_when_said_then_they_neither_find_nor_hide_anything(chat: Chat) -> None:
    assert "no te entendí" in chat.text("precio?")
    assert chat.text("puedo ir ahora? están abiertos?").startswith("Atendemos")
    assert "¡Genial!" in chat.text("ok")


def test_given_a_question_about_an_attribute_when_products_were_listed_then_each_is_described(chat: Chat) -> None:
    chat.text("tienen juego de sábanas?")
    assert chat.text("de qué colores?").count("Colores") >= 2


def test_given_shipping_of_a_product_when_asked_then_both_are_answered(chat: Chat) -> None:
    text = chat.text("cuánto sale el envío de una licuadora a rosario")
    assert "$9.800" in text
    assert "$89.900" in text
    assert "No encontré" not in text


def test_given_a_voice_note_beside_words_when_answered_then_only_the_words_are(business: Business) -> None:
    burst = (Said(Speaker.CLIENT, "", "voice"), Said(Speaker.CLIENT, "a qué hora abren?"))
    reply = reply_from_data(Question(burst), business.knowledge, business.voice)
    assert isinstance(reply.result, str)
    assert "audio" not in reply.result
