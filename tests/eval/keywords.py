"""Plain keyword rules, the baseline that the benchmark compares with."""

import unicodedata

KEYWORDS = {
    "escalation": ["hablar con", "humano", "asesor", "agente", "persona", "atendente", "human", "agent"],
    "complaint": ["queja", "reclamo", "problema", "roto", "no funciona", "no llego", "defeito", "broken", "refund"],
    "appointment": ["turno", "cita", "reserva", "agendar", "horario", "appointment", "book"],
    "price_inquiry": ["precio", "cuanto", "costo", "vale", "descuento", "preco", "quanto", "price", "how much"],
    "availability_inquiry": ["tienen", "hay", "stock", "disponible", "tem", "available"],
    "product_inquiry": ["producto", "catalogo", "busco", "modelo", "produto", "product"],
    "faq": ["horario", "direccion", "envio", "pago", "donde", "entrega", "hours", "address", "shipping"],
    "greeting": ["hola", "buenas", "buen dia", "oi", "ola", "hello", "hi"],
}


def told_by_keywords(text):
    """Return the first intent, in the order of precedence, one of whose keywords is in the text."""
    decomposed = unicodedata.normalize("NFKD", text.lower())
    folded = "".join(char for char in decomposed if not unicodedata.combining(char))
    return next((intent for intent, words in KEYWORDS.items() if any(word in folded for word in words)), "other")
