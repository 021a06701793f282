"""What a reply may rest on."""

from dataclasses import dataclass

from llm_service.domain.normalise import fold
from llm_service.domain.values import Row


@dataclass(frozen=True, slots=True)
class Evidence:
    """The rows that were given to the model, the business's own texts, and the client's words.

    `currency` is what a bare sign means; `max_installments` and `max_discount_percent` are what the business offers
    (0: nothing beyond its texts); `other_names` are folded names and SKUs of products that were not retrieved;
    `brands` are the folded names inside names of the whole catalogue, `kinds` the stems of what is sold;
    `has_media` says whether the client sent anything but text;
    `instructions` is the prompt without the business's data; `canary` is the secret word of this request.
    """

    rows: tuple[Row, ...]
    business_texts: tuple[str, ...] = ()
    client_words: str = ""
    currency: str = "ARS"
    max_installments: int = 0
    max_discount_percent: int = 0
    other_names: tuple[str, ...] = ()
    brands: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()
    instructions: str = ""
    canary: str = ""
    language: str = "es"
    has_media: bool = False

    @property
    def folded(self) -> str:
        """Everything that a reply may repeat, folded."""
        return fold("\n".join((*self.texts, *(row.id for row in self.rows), self.client_words)))

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text of the business that the model was given."""
        return (*self.business_texts, *(f"{row.title}\n{row.text}\n{row.url}" for row in self.rows))
