"""Links, addresses, products, stock and done actions in a reply must come from the business's data."""

import re
from collections.abc import Sequence

from llm_service.domain.guards.evidence import Evidence
from llm_service.domain.guards.money import amounts
from llm_service.domain.normalise import fold
from llm_service.domain.plain_text import URL
from llm_service.domain.values import Kind, Verdict

_LONG_NUMBER = re.compile(r"(?<![\d.,])\d{3,}(?![\d.,]*\d)")
_DOMAIN = re.compile(
    r"(?<![\w@./-])(?:[a-z0-9-]+\.)+(?:com|net|org|ar|br|mx|uy|cl|es|store|shop|tienda|io|app|me|example)\b(?:/\S*)?"
)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"(?<![\w.,$])\+?\(?\d[\d\s().-]{6,28}\d(?![\w.,]\d)")
_GROUPED = re.compile(r"\d{1,3}(?:\.\d{3})+")
_HANDLE = re.compile(r"(?<![\w.@])@[a-z0-9_.]{3,}|\balias:?\s+[a-z0-9]+(?:\.[a-z0-9]+)+")
_MODEL_CODE = re.compile(r"\b(?=[a-z]*\d)(?=\d*[a-z])[a-z]{2,}[-]?\d{2,}[a-z0-9-]*\b")
_STOCK = re.compile(
    r"\b(?:quedan?|restam?)\s+(?:solo |apenas |so |las ultimas? |os ultimos? )?(\d{1,5})\b"
    r"(?!\s*(?:dias?|horas?|cuotas?|meses|semanas?|parcelas?)|[.,]\d)"
    r"|(?<![\d.,])(\d{1,5})\s+(?:unidades?|unidad|left|en stock|em estoque|disponibles?|disponiveis|in stock)\b"
)


def _bare(link: str) -> str:
    return re.sub(r"^https?://(www\.)?", "", link.lower()).rstrip("/.,")


def _links(text: str) -> list[str]:
    found = URL.findall(text)
    rest = _EMAIL.sub(" ", URL.sub(" ", text))
    return [_bare(link) for link in (*found, *_DOMAIN.findall(rest.lower()))]


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _phones(text: str) -> list[str]:
    matches = (match[0] for match in _PHONE.finditer(URL.sub(" ", text)) if not _GROUPED.fullmatch(match[0].strip()))
    found = (_digits(match) for match in matches)
    return [phone for phone in found if len(phone) >= 8]


def check_links(text: str, evidence: Evidence) -> Verdict:
    """Tell whether every link, e-mail address and phone number in `text` is one of the business's."""
    given = "\n".join(evidence.texts)
    allowed = set(_links(given))
    unknown = [link for link in _links(text) if link not in allowed]
    unknown += [email for email in _EMAIL.findall(text.lower()) if email not in given.lower()]
    held = _digits(f"{given}\n{evidence.client_words}")
    unknown += [handle for handle in _HANDLE.findall(_EMAIL.sub(" ", text.lower())) if handle not in given.lower()]
    unknown += ["a phone number" for phone in _phones(text) if phone not in held]
    return Verdict("links", not unknown, f"not in the data: {', '.join(unknown)}" if unknown else "")


def check_names(text: str, evidence: Evidence) -> Verdict:
    """Tell whether `text` names only products and model codes that were retrieved or that the client named."""
    folded = fold(URL.sub(" ", text))
    given = fold(" ".join((*evidence.texts, *(row.id for row in evidence.rows), evidence.client_words)))
    unknown = [name for name in evidence.other_names if name in folded and name not in given]
    unknown += [found for found in _MODEL_CODE.findall(folded) if found not in given]
    return Verdict("names", not unknown, f"not retrieved: {', '.join(unknown[:3])}" if unknown else "")


def check_stock(text: str, evidence: Evidence) -> Verdict:
    """Tell whether every number of units in `text` is the stock of a retrieved product."""
    held = {row.stock for row in evidence.rows if row.kind is Kind.PRODUCT}
    given = fold("\n".join(evidence.texts))
    told = [(int(match[1] or match[2]), match[0]) for match in _STOCK.finditer(fold(text))]
    wrong = [count for count, phrase in told if count not in held and phrase not in given]
    return Verdict("stock", not wrong, f"no row has a stock of {wrong[0]}" if wrong else "")


def check_numbers(text: str, evidence: Evidence) -> Verdict:
    """Tell whether every long number in `text` that is no amount of money is in the data or in the client's words."""
    rest = fold(URL.sub(" ", text))
    for amount in sorted(amounts(text), key=lambda amount: -len(amount.written)):
        rest = rest.replace(amount.written, " ")
    given = evidence.folded + " ".join(str(row.price) for row in evidence.rows)
    unknown = [number for number in _LONG_NUMBER.findall(rest) if number not in given]
    return Verdict("numbers", not unknown, f"not in the data: {', '.join(unknown[:3])}" if unknown else "")


def check_claims(text: str, patterns: Sequence[re.Pattern[str]]) -> Verdict:
    """Tell whether `text` claims nothing as done that only a person could have done."""
    folded = fold(text)
    found = next((match[0] for pattern in patterns if (match := pattern.search(folded))), "")
    return Verdict("claims", not found, f"claims as done: {found}" if found else "")


def check_perceptions(text: str, evidence: Evidence, patterns: Sequence[re.Pattern[str]]) -> Verdict:
    """Tell whether `text` does not claim to have seen, opened or heard what the client sent, which nobody here can."""
    folded = fold(text) if evidence.has_media else ""
    found = next((match[0] for pattern in patterns if (match := pattern.search(folded))), "")
    return Verdict("perceptions", not found, f"claims to have seen or heard: {found}" if found else "")
