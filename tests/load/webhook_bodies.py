"""Webhooks of Kommo's CRM with ids of their own, ready to be written to a connection."""

from itertools import count, cycle
from urllib.parse import quote_plus, urlencode

ACCOUNT_ID = "12345"
SUBDOMAIN = "test"
SECRET = "load-webhook-secret"
FIRST_TALK = 1_000_000

# What clients of the example business write; none of these calls for a person.
TEXTS = (
    "Hola, ¿tienen el termo de acero de 1 litro en stock? 🙏",
    "Buenas! cuánto sale la pava eléctrica?",
    "hacen envios al interior?",
    "Qué horarios tienen los sábados",
    "Precio de la sartén antiadherente de 24 cm por favor",
)
ITEM = "message[add][0]"
FIELDS = (
    ("account[subdomain]", SUBDOMAIN),
    ("account[id]", ACCOUNT_ID),
    ("account[_links][self]", "https://test.kommo.com"),
    (f"{ITEM}[id]", "@message@"),
    (f"{ITEM}[chat_id]", "@chat@"),
    (f"{ITEM}[talk_id]", "@talk@"),
    (f"{ITEM}[contact_id]", "@talk@"),
    (f"{ITEM}[text]", "@text@"),
    (f"{ITEM}[created_at]", "1788264000"),
    (f"{ITEM}[message_type]", "text"),
    (f"{ITEM}[element_type]", "2"),
    (f"{ITEM}[entity_type]", "lead"),
    (f"{ITEM}[element_id]", "8412033"),
    (f"{ITEM}[entity_id]", "8412033"),
    (f"{ITEM}[type]", "incoming"),
    (f"{ITEM}[author][id]", "e0a4805c-34fc-5aad-873a-b5fcf824ef9d"),
    (f"{ITEM}[author][type]", "external"),
    (f"{ITEM}[author][name]", "Cliente de carga"),
    (f"{ITEM}[origin]", "waba"),
)
HEAD = (
    f"POST /api/kommo/webhook/{SECRET} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    "Content-Type: application/x-www-form-urlencoded\r\nUser-Agent: amoCRM-Webhooks/3.0\r\nContent-Length: "
)


def _template() -> str:
    form = urlencode(FIELDS).replace("%", "%%")
    for name in ("message", "chat", "talk", "text"):
        form = form.replace(f"%%40{name}%%40", f"%({name})s")
    return form


class Webhooks:
    """Makes webhooks, each with a message id of its own.

    Args:
        run: keeps the ids of one run apart from those of another.
        messages_per_chat: how many messages follow each other in one chat.
    """

    def __init__(self, run: str, messages_per_chat: int = 1) -> None:
        self._run = run
        self._per_chat = messages_per_chat
        self._template = _template()
        self._numbers = count()
        self._texts = cycle([quote_plus(text) for text in TEXTS])

    def next(self) -> tuple[str, bytes]:
        """Return the talk of the next webhook, and its request."""
        number = next(self._numbers)
        chat = number // self._per_chat
        talk = str(FIRST_TALK + chat)
        body = self._template % {
            "message": f"{self._run}-m{number}",
            "chat": f"{self._run}-c{chat}",
            "talk": talk,
            "text": next(self._texts),
        }
        return talk, f"{HEAD}{len(body)}\r\n\r\n{body}".encode()
