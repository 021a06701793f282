"""What a business's fixed texts are filled with, and the words that tell languages and phrases apart."""

from collections.abc import Mapping
from dataclasses import dataclass

from llm_service.domain.language import Languages
from llm_service.domain.phrases import Phrases
from llm_service.domain.values import Question, Speaker
from llm_service.domain.wishes import Wishing
from llm_service.domain.wording import Texts

SURE_VOTES = 2
MOST_SHORT_WORDS = 3


@dataclass(frozen=True, slots=True)
class Voice:
    """How one business speaks without a model.

    `own_texts` are the texts of the profile by name and language, which come before the built-in ones;
    `quick` are fixed answers by the phrase that asks for them; `variant` is the register of the built-in texts
    (`neutral` where Spanish neither says vos nor tú), `country` decides how amounts are written, and
    `max_installments` is how many the business offers.
    """

    business: str
    language: str
    texts: Texts
    phrases: Phrases
    languages: Languages
    wishing: Wishing
    own_texts: Mapping[str, Mapping[str, str]]
    quick: tuple[tuple[tuple[str, ...], str], ...] = ()
    country: str = ""
    variant: str = ""
    max_installments: int = 0

    def say(self, key: str, language: str, /, **values: str) -> str:
        """Return a fixed text: the business's own where it has one in the language."""
        own = self.own_texts.get(key, {})
        if language in own:
            return own[language]
        return self.texts.get(key, language, variant=self.variant, business=self.business, **values)

    def language_of(self, question: Question) -> str:
        """Return the language to answer in: as clearly written now, as analysed, as written, else its own.

        A message of few words is in the language of those before it, unless its words tell another.
        """
        burst = " ".join(said.text for said in question.burst)
        before = " ".join(said.text for said in question.history[-10:] if said.speaker is Speaker.CLIENT)
        if len(self.phrases.said(burst)) <= MOST_SHORT_WORDS:
            # Nothing tells the language of "ok" or of a product's name, whatever an analysis guesses.
            return self.languages.detect(burst) or self.languages.detect(before) or self.language
        analysed = question.language if question.language in self.languages.words else ""
        # Of words that tell nothing, what was written before tells more than an analysis of them.
        told = analysed if self.languages.votes(burst).get(analysed) else ""
        candidates = (
            self.languages.detect(burst, SURE_VOTES),
            told,
            self.languages.detect(burst),
            self.languages.detect(before),
            analysed,
        )
        return next((language for language in candidates if language), self.language)
