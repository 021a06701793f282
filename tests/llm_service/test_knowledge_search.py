"""What the search finds in the example business, and what it refuses."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_service.adapters.data_files import load_lexicon
from llm_service.adapters.library import Business, load_business
from llm_service.domain.knowledge import build_knowledge
from llm_service.domain.normalise import code, stem, words
from llm_service.domain.values import Kind, Product

PRODUCT_QUERIES = {
    "hola, tenés sartenes?": "COC-SAR-24",
    "cuanto sale la sarten de 28": "COC-SAR-28",
    "sartene antiaderente": "COC-SAR-20",
    "sarten teflon chica": "COC-SAR-20",
    "busco una olla para inducción": "COC-OLL-05",
    "olla express": "COC-PRE-07",
    "olla a presion": "COC-PRE-07",
    "bateria de cosina": "COC-BAT-05",
    "cuchillos de cocina": "COC-CUC-06",
    "cubiertos para 6 personas": "COC-CUB-24",
    "tenés tabla de madera para picar?": "COC-TAB-BA",
    "rayador de queso": "COC-RAL-04",
    "pava electrica con corte mate": "ELE-PAV-17",
    "pava silbadora": "COC-PAV-25",
    "termo de litro": "MAT-TER-10",
    "termos de medio litro 500ml": "MAT-TER-05",
    "set matero para regalo": "MAT-SET-03",
    "vasos de vidrio": "MES-VAS-06",
    "copas para vino": "MES-COP-06",
    "tasas de ceramica": "MES-TAZ-04",
    "platos playos": "MES-PLA-06",
    "mantel antimancha": "MES-MAN-RE",
    "licuadora": "ELE-LIC-15",
    "licuadoora": "ELE-LIC-15",
    "minipimer": "ELE-MIX-04",
    "cafetera de capsulas": "ELE-CAP-01",
    "airfryer": "ELE-FRE-04",
    "freidora sin aceite cuánto está?": "ELE-FRE-04",
    "horno electrico": "ELE-HOR-45",
    "microondas": "ELE-MIC-20",
    "ventilador de pie": "ELE-VEN-16",
    "estufa electrica": "ELE-CAL-20",
    "plancha a vapor": "ELE-PLA-VA",
    "aspiradora sin bolsa": "ELE-ASP-14",
    "sábanas 2 plazas": "DOR-SAB-20",
    "sabanas king": "DOR-SAB-KI",
    "almohada viscoelastica": "DOR-ALM-VI",
    "edredon": "DOR-ACO-25",
    "frazadas": "DOR-FRA-20",
    "toallas azules": "BAN-TOA-JU",
    "cortina para la ducha": "BAN-COR-TE",
    "cortina black out": "LIV-CUR-BL",
    "lámpara de pie": "LIV-LAM-PI",
    "velador": "LIV-LAM-ME",
    "espejo redondo": "LIV-ESP-RE",
    "velas aromaticas": "LIV-VEL-AR",
    "cajas organizadoras": "ORG-CAJ-30",
    "perchas de madera": "ORG-PER-10",
    "estanteria metalica": "ORG-EST-05",
    "tender de ropa": "LIM-TEN-AL",
    "lampazo con balde": "LIM-MOP-GI",
    "tacho de basura": "LIM-TAC-12",
    "macetas": "JAR-MAC-20",
    "parrilla portatil": "JAR-PAR-CH",
    "frigideira antiaderente": "COC-SAR-24",
    "vocês vendem lençóis?": "DOR-SAB-20",
    "liquidificador": "ELE-LIC-15",
    "travesseiro": "DOR-ALM-01",
    "do you have frying pans?": "COC-SAR-24",
    "coffee maker": "ELE-CAF-12",
    "vacuum cleaner": "ELE-ASP-14",
    "COC-SAR-24": "COC-SAR-24",
    "precio del coc sar 24": "COC-SAR-24",
    "el mat-ter-10 tiene stock?": "MAT-TER-10",
}
NOT_SOLD = (
    "zapatillas nike",
    "iphone 15 pro",
    "notebook gamer",
    "heladera con freezer",
    "lavarropas automatico",
    "bicicleta rodado 29",
    "alimento para gatos",
    "celular samsung",
    "neumaticos 205 55",
    "perfume importado",
    "campera de cuero negra talle m",
    "pasajes a miami",
    "asdfghjkl",
    "joystick ps5",
    "geladeira",
    "car tires",
)
FAQ_QUERIES = {
    "a qué hora abren?": "hours",
    "están abiertos el sábado": "hours",
    "dónde están?": "address",
    "cual es la direccion del local": "address",
    "puedo retirar por el local?": "pickup",
    "hacen envios?": "shipping-areas",
    "cuánto sale el envío a córdoba": "shipping-cost-interior",
    "cuanto cuesta el envio a rosario": "shipping-cost-interior",
    "envian a quilmes?": "shipping-cost-gba",
    "cuánto sale el envío a Bariloche": "shipping-cost-patagonia",
    "cuánto sale el envío?": "shipping-cost",
    "el envio es gratis?": "shipping-free",
    "cuanto tarda en llegar": "shipping-time",
    "aceptan mercado pago?": "payment-methods",
    "formas de pago": "payment-methods",
    "tienen cuotas?": "installments",
    "hay descuento por transferencia?": "transfer-discount",
    "pago contra entrega": "cash-on-delivery",
    "se puede cambiar un producto?": "exchanges",
    "puedo devolver la compra": "returns",
    "qué garantía tienen": "warranty",
    "hacen factura a?": "invoice",
    "venden por mayor?": "wholesale",
    "envuelven para regalo?": "gift",
    "los precios tienen iva?": "prices-tax",
    "quanto custa o frete?": "shipping-pt",
    "quais as formas de pagamento": "payment-pt",
    "do you ship?": "shipping-en",
    "what are your opening hours?": "hours-en",
}


def test_given_written_queries_when_searched_then_recall_at_five_is_high(business: Business) -> None:
    missed = [
        query
        for query, sku in PRODUCT_QUERIES.items()
        if sku not in [row.id for row in business.knowledge.find_products(query, 5)]
    ]
    assert len(missed) / len(PRODUCT_QUERIES) <= 0.05, missed


def test_given_things_not_sold_when_searched_then_nearly_all_are_refused(business: Business) -> None:
    found = {query: [row.id for row in business.knowledge.find_products(query, 5)] for query in NOT_SOLD}
    wrong = {query: ids for query, ids in found.items() if ids}
    assert len(wrong) / len(NOT_SOLD) <= 0.07, wrong


@pytest.mark.parametrize(("query", "faq"), FAQ_QUERIES.items())
def test_given_a_question_when_searched_then_its_answer_is_among_the_first_three(
    business: Business, query: str, faq: str
) -> None:
    assert faq in [row.id for row in business.knowledge.find_faqs(query, 3)]


@pytest.mark.parametrize("query", ["me gusta el fútbol", "qué opinás de la política", "contame un chiste"])
def test_given_small_talk_when_searched_then_neither_product_nor_answer_is_found(
    business: Business, query: str
) -> None:
    assert business.knowledge.find(query, 5) == ()


def test_given_a_sku_with_other_punctuation_when_searched_then_only_that_product_is_found(business: Business) -> None:
    for query in ("COC-SAR-28", "coc sar 28", "cocsar28", "quiero el Coc/Sar/28!"):
        assert [row.id for row in business.knowledge.find_products(query, 5)] == ["COC-SAR-28"]


def test_given_a_kind_when_searched_then_only_rows_of_it_are_found(business: Business) -> None:
    query = "envío de la sartén"
    assert {row.kind for row in business.knowledge.find(query, 10, Kind.FAQ)} <= {Kind.FAQ}
    assert {row.kind for row in business.knowledge.find(query, 10, Kind.PRODUCT)} <= {Kind.PRODUCT}


def test_given_the_same_query_twice_when_searched_on_another_index_then_the_rows_are_the_same() -> None:
    first, second = load_business(None), load_business(None)
    for query in PRODUCT_QUERIES:
        assert first.knowledge.find(query, 5) == second.knowledge.find(query, 5)


def test_given_no_rows_at_all_when_searched_then_nothing_is_found() -> None:
    empty = build_knowledge((), (), load_lexicon())
    assert empty.find("sartén", 5) == ()


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_given_any_text_when_searched_then_scores_stay_within_bounds(text: str) -> None:
    product = Product("X-1000", "Sartén 24 cm", None, "ARS", None)
    rows = build_knowledge((product,), (), LEXICON).find(text, 5)
    assert all(0 < row.score <= 1 for row in rows)


LEXICON = load_lexicon()


@pytest.mark.parametrize(
    ("one", "other"),
    [("sartenes", "sartén"), ("luces", "luz"), ("tazas", "taza"), ("negros", "negra"), ("cables", "cable")],
)
def test_given_forms_of_one_noun_when_stemmed_then_they_are_alike(one: str, other: str) -> None:
    assert stem(words(one)[0]) == stem(words(other)[0])


def test_given_units_and_decimals_when_normalised_then_both_spellings_are_alike() -> None:
    assert words("Termo 1,5 litros") == words("termo 1.5 LTS") == ("termo", "1.5", "l")
    assert words("8kg") == ("8", "kg")
    assert code("Coc-Sar / 24") == "cocsar24"
