"""What the guards let through and what they stop."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_service.adapters.library import shipped_guards, shipped_languages
from llm_service.domain.guards.amounts import check_amounts
from llm_service.domain.guards.evidence import Evidence
from llm_service.domain.guards.manners import check_form, check_language, check_leaks, check_loops
from llm_service.domain.guards.money import amounts, to_decimal
from llm_service.domain.guards.sources import check_claims, check_links, check_names, check_perceptions, check_stock
from llm_service.domain.guards.verdicts import failed
from llm_service.domain.values import Kind, Row

PAN = Row(
    Kind.PRODUCT,
    "COC-SAR-24",
    "Sartén 24 cm",
    "Apta para gas",
    1,
    Decimal("31990"),
    "ARS",
    9,
    "https://shop.example/p/24",
)
KETTLE = Row(Kind.PRODUCT, "ELE-PAV-17", "Pava 1,7 l", "1850 W, modelo KT1700", 1, Decimal("59900.50"), "ARS", 2)
SHIPPING = Row(
    Kind.FAQ, "shipping", "¿Cuánto sale el envío?", "CABA cuesta $4.500. Por transferencia hay 10% de descuento.", 1
)
EVIDENCE = Evidence(
    rows=(PAN, KETTLE, SHIPPING),
    business_texts=(
        "Hasta 6 cuotas. Escribinos a hola@shop.example o al +54 11 4567-8901. Sitio: https://shop.example",
    ),
    client_words="busco 2 sartenes",
    max_installments=6,
    other_names=("olla de acero 5 l", "coc-oll-05"),
    instructions="# REGLAS DE TRABAJO\n1. Usá solamente los datos de las secciones de abajo para contestar siempre.",
    canary="f00dfeedcafe",
)


@pytest.mark.parametrize(
    "text",
    [
        "Sale $31.990",
        "Sale $ 31.990,00",
        "Sale $31,990 (ARS)",
        "Sale 31990 pesos",
        "sale 31990",
        "ARS 31.990",
        "La pava sale $59.900,50",
        "El envío a CABA cuesta $4.500",
        "6 cuotas de $5.332",
        "Hasta 6 cuotas sin interés",
        "3 cuotas de $10.663,33",
        "Con 10% de descuento queda en $28.791",
        "Con transferencia (10%) en 3 cuotas de $9.597",
        "En total son $91.890,50",
        "Con envío $36.490",
        "Las 2 sartenes salen $63.980",
        "2 sartenes con envío: $68.480 en total",
        "Es una TV 4k",
        "Consume 2000 W",
        "Abrimos de 9 a 18 hs",
        "Llamá al 11 4567-8901",
        "Pedido #12345",
        "El 24/12/2026 abrimos",
        "SKU COC-SAR-24",
        "Trae 144 hilos y mide 1.500 mm",
        "Tenemos 2.000 clientes felices",
        "Dura 10 mil horas",
        "https://shop.example/p/31.500",
        "treinta y un mil novecientos noventa pesos",
        "Sin amounts at all",
        "Pesa 1,5 kg y trae 24 piezas",
        "1850 W de potencia",
        "Son 5 minutos caminando",
    ],
)
def test_given_amounts_that_the_data_backs_when_checked_then_they_pass(text: str) -> None:
    assert check_amounts(text, EVIDENCE).passed, amounts(text)


@pytest.mark.parametrize(
    "text",
    [
        "Sale $32.000",
        "Sale $ 31.991",
        "Sale 29990 pesos",
        "sale 45000",
        "precio: 9999",
        "queda en 29.999",
        "unas 30 lucas",
        "32 mil pesos",
        "32k",
        "1 palo",
        "treinta mil pesos",
        "dois mil reais",
        "USD 31.990",
        "US$31.990",
        "R$ 31.990",
        "12 cuotas de $2.665,83",
        "12 cuotas sin interés",
        "9 pagos",
        "Con 20% de descuento",
        "20% off: $25.592",
        "5 cuotas de $5.332",
        "$5.332 por mes",
        "$28.791 de oferta",
        "En total $100.000",
        "Las 3 salen $99.999",
        "31.990,99 euros",
        "It costs $ 30,000",
        "costs 31.999 dollars",
        "de $45.000 a $31.990",
        "envío por $3.500",
        "por solo $ 1.000",
    ],
)
def test_given_amounts_that_nothing_backs_when_checked_then_they_are_stopped(text: str) -> None:
    verdict = check_amounts(text, EVIDENCE)
    assert not verdict.passed
    assert verdict.detail


@settings(max_examples=300)
@given(st.integers(min_value=1000, max_value=9_999_999), st.sampled_from([".", ","]))
def test_given_any_price_when_written_in_groups_then_it_is_read_back(price: int, sign: str) -> None:
    written = f"{price:,}".replace(",", sign)
    assert to_decimal(written) == price
    assert [amount.value for amount in amounts(f"Sale ${written}.")] == [price]


@settings(max_examples=300)
@given(st.integers(min_value=1000, max_value=9_999_999))
def test_given_any_other_price_when_told_then_it_is_stopped_unless_it_is_the_row_s(price: int) -> None:
    evidence = Evidence(rows=(PAN,))
    text = f"Sale ${price:,}".replace(",", ".")
    assert check_amounts(text, evidence).passed == (price == 31990)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("Mirala en https://shop.example/p/24", True),
        ("Mirala en https://shop.example/p/24.", True),
        ("Todo en shop.example", True),
        ("Escribí a hola@shop.example", True),
        ("Llamá al +54 11 4567-8901", True),
        ("Mirala en https://shop.example/p/99", False),
        ("Entrá a www.otra-tienda.com.ar", False),
        ("Pagá en http://mercadopago.example/x", False),
        ("Escribí a ventas@otra.example", False),
        ("Llamá al 11 9999-0000", False),
    ],
)
def test_given_links_when_checked_then_only_the_business_s_own_pass(text: str, passes: bool) -> None:
    assert check_links(text, EVIDENCE).passed is passes


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("La Sartén 24 cm es apta para gas", True),
        ("Es el modelo KT1700", True),
        ("También tenemos la Olla de acero 5 l", False),
        ("Pedí el COC-OLL-05", False),
        ("Es el modelo XR500", False),
    ],
)
def test_given_names_when_checked_then_only_retrieved_ones_pass(text: str, passes: bool) -> None:
    assert check_names(text, EVIDENCE).passed is passes


@pytest.mark.parametrize(
    ("text", "passes"),
    [("Quedan 9", True), ("Quedan 2 unidades", True), ("Quedan 5", False), ("only 4 left", False), ("Hay stock", True)],
)
def test_given_stock_when_checked_then_only_a_row_s_number_passes(text: str, passes: bool) -> None:
    assert check_stock(text, EVIDENCE).passed is passes


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("Ya reservé tu sartén", False),
        ("Tu pedido fue confirmado", False),
        ("Queda reservado a tu nombre", False),
        ("Te agendé para mañana", False),
        ("I have booked it for you", False),
        ("Seu pedido foi confirmado", False),
        ("Reservei para você", False),
        ("¿Querés que una persona te tome el pedido?", True),
        ("Podés reservar en el local", True),
        ("El envío tarda 3 días", True),
        ("Una persona del equipo confirma el pedido", True),
    ],
)
def test_given_done_actions_when_checked_then_none_is_claimed(text: str, passes: bool) -> None:
    assert check_claims(text, shipped_guards().claims).passed is passes


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("Código f00dfeedcafe", False),
        ("Mis reglas de trabajo son secretas", False),
        ("usá solamente los datos de las secciones de abajo para contestar", False),
        ("La sartén está en la sección de cocina", True),
    ],
)
def test_given_the_instructions_when_repeated_then_they_are_stopped(text: str, passes: bool) -> None:
    assert check_leaks(text, EVIDENCE).passed is passes


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("Hola qué tal. Hola qué tal. Hola qué tal.", False),
        ("la sartén es muy buena y " * 4, False),
        ("Sí. Sí. Sí. Hay stock de las tres.", True),
        ("Sale $1. Hay stock. Te sirve?", True),
    ],
)
def test_given_a_loop_when_checked_then_it_is_stopped(text: str, passes: bool) -> None:
    assert check_loops(text).passed is passes


@pytest.mark.parametrize(
    ("text", "language", "passes"),
    [
        ("Sí, tenemos la sartén en stock y sale lo mismo con envío.", "es", True),
        ("Yes, we have the pan in stock and it ships to you.", "es", False),
        ("Sim, temos a frigideira em estoque e o frete não é caro para você.", "es", False),
        ("Yes, we have the pan in stock and it ships to you.", "en", True),
        ("Ok!", "es", True),
        ("Sartén 24 cm: $31.990", "en", True),
    ],
)
def test_given_another_language_when_checked_then_it_is_stopped(text: str, language: str, passes: bool) -> None:
    assert check_language(text, language, shipped_languages()).passed is passes


@pytest.mark.parametrize(
    ("text", "promises"),
    [
        ("Te paso con una persona del equipo.", True),
        ("Hola. Ya te responde una persona.", True),
        ("Vou passar você para uma pessoa da equipe.", True),
        ("I'll transfer you to a colleague.", True),
        ("¿Te paso con una persona?", False),
        ("Si querés, te paso con una persona del equipo.", False),
        ("Te paso el precio: $31.990", False),
    ],
)
def test_given_a_promise_of_a_person_when_read_then_it_is_told_from_an_offer(text: str, promises: bool) -> None:
    assert shipped_guards().promises_person(text) is promises


def test_given_nothing_or_too_much_when_checked_then_it_is_stopped() -> None:
    assert not check_form(" 👍 ", 100).passed
    assert not check_form("a" * 101, 100).passed
    assert check_form("Hola", 100).passed


def test_given_a_good_reply_when_all_guards_look_then_all_pass() -> None:
    verdicts = shipped_guards().check("¡Hola! La sartén de 24 cm sale $31.990 y hay stock. ¿La querés ver?", EVIDENCE)
    assert failed(verdicts) == ()
    assert {verdict.guard for verdict in verdicts} == {
        "form", "amounts", "links", "names", "numbers", "stock", "stock_words", "claims", "times", "places", "offers",
        "brands",
        "meta", "leaks", "loops", "language", "perceptions",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "Vi tu foto y es la sartén de 24 cm.",
        "Ya revisé el comprobante, gracias.",
        "Escuché tu audio: querés la pava.",
        "En la imagen se ve una tapa rota.",
        "Por la foto que mandaste parece la de 24 cm.",
        "El comprobante dice otra cosa.",
        "¡Qué linda foto!",
        "Vi a sua foto, é a panela.",
        "Na imagem que você enviou aparece uma panela.",
        "O comprovante mostra o pagamento.",
        "I looked at your picture, it's the 24 cm pan.",
        "I've listened to the voice note.",
        "In the photo I can see a broken lid.",
        "Your receipt shows the payment.",
    ],
)
def test_given_claim_to_have_seen_or_heard_when_client_sent_media_then_stopped(text):
    assert not check_perceptions(text, replace(EVIDENCE, has_media=True), shipped_guards().perceptions).passed
    assert check_perceptions(text, EVIDENCE, shipped_guards().perceptions).passed


@pytest.mark.parametrize(
    "text",
    [
        "No puedo ver la imagen, ¿me contás qué buscás?",
        "Recibí tu comprobante. La sartén de 24 cm sale $31.990.",
        "No vi tu foto, ¿qué producto es?",
        "¿Querés que te mande la foto de la sartén?",
        "Não consigo ouvir o áudio. Pode escrever?",
        "Recebi sua foto, mas não consigo ver.",
        "I can't see the picture; could you tell me what it is?",
        "I got your file. We open at 9.",
    ],
)
def test_given_no_such_claim_when_client_sent_media_then_passed(text):
    assert check_perceptions(text, replace(EVIDENCE, has_media=True), shipped_guards().perceptions).passed
