"""What people read in Kommo beside a message that its client did not get."""

import tomllib
from importlib.resources import files

FALLBACK_LANGUAGE = "es"
_TEXTS = tomllib.loads((files("kommo_service.domain") / "relay_texts.toml").read_text(encoding="utf-8"))


def failure_text(error: str, locale: str) -> str:
    """Return a code of ours in words of the account's language; anything else, such as a relay's words, as it is.

    Args:
        error: the code, or words.
        locale: of the account, such as `es-AR`.
    """
    texts = _TEXTS.get(error)
    if texts is None:
        return error
    return str(texts.get(locale.partition("-")[0].lower(), texts[FALLBACK_LANGUAGE]))
