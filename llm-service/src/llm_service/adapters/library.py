"""The knowledge of every account, read from its profile directory and kept up to date."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kommomesh_runtime.accounts import Account, Accounts
from kommomesh_runtime.business_hours import WEEKDAYS
from kommomesh_runtime.errors import FailedPrecondition
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.profile import BusinessProfile, ProfileError, example_profile_dir, load_profile
from llm_service.adapters.catalog import load_catalog
from llm_service.adapters.data_files import load_lexicon, shipped_text, shipped_toml
from llm_service.adapters.faqs import load_faqs
from llm_service.adapters.profile_faqs import profile_faqs
from llm_service.domain.guards.verdicts import Guards, build_guards
from llm_service.domain.knowledge import Knowledge, build_knowledge
from llm_service.domain.language import Languages, build_languages
from llm_service.domain.meaning import Encoder
from llm_service.domain.phrases import Phrases, build_phrases
from llm_service.domain.prompt import BusinessFacts, Wordings
from llm_service.domain.voice import Voice
from llm_service.domain.wishes import Wishing, build_wishing
from llm_service.domain.wording import Texts

WATCHED = ("business.toml", "catalog.csv", "catalog.json", "faqs.toml", "synonyms.toml")
Stamp = tuple[tuple[str, int, int], ...]

log = get_logger()


class ProfileUnavailable(FailedPrecondition):
    """The account's profile was never usable."""

    reason = "PROFILE_UNAVAILABLE"
    text = "the business profile of account {account_id} cannot be used"


@dataclass(frozen=True, slots=True)
class Business:
    """Everything that replies of one account are made from."""

    profile: BusinessProfile
    knowledge: Knowledge
    voice: Voice
    facts: BusinessFacts


@cache
def shipped_phrases() -> Phrases:
    """Return the built-in phrases."""
    data = shipped_toml("phrases.toml")
    return build_phrases(data["rule"], data["words"], data["canonical"])


@cache
def shipped_wishing() -> Wishing:
    """Return the built-in patterns of wishes."""
    return build_wishing(shipped_toml("wishes.toml"))


@cache
def shipped_languages() -> Languages:
    """Return the languages that the service tells apart."""
    data = shipped_toml("languages.toml")
    letters = data.pop("letters")
    return build_languages(data, letters)


@cache
def shipped_texts() -> Texts:
    """Return the built-in texts."""
    return Texts(shipped_toml("replies.toml"))


@cache
def shipped_guards() -> Guards:
    """Return the guards with their built-in patterns."""
    return build_guards(shipped_languages(), shipped_toml("guards.toml"))


@cache
def shipped_wordings() -> Wordings:
    """Return the prompt templates."""
    words = shipped_toml("prompt_words.toml")
    return Wordings({language: shipped_text(f"prompt.{language}.txt") for language in words}, words)


def _voice(profile: BusinessProfile) -> Voice:
    return Voice(
        business=profile.name,
        language=profile.language,
        texts=shipped_texts(),
        phrases=shipped_phrases(),
        languages=shipped_languages(),
        own_texts=profile.texts,
        wishing=shipped_wishing(),
        quick=tuple((quick.when, quick.say) for quick in profile.quick_responses),
        country=profile.country,
        variant="" if profile.says_vos else "neutral",
        max_installments=profile.limits.max_installments,
    )


def _facts(profile: BusinessProfile) -> BusinessFacts:
    spans = {
        day: ", ".join(f"{span.opens:%H:%M}-{span.closes:%H:%M}" for span in profile.hours.get(day, ()))
        for day in (WEEKDAYS if profile.hours else ())
    }
    return BusinessFacts(
        name=profile.name,
        voice=profile.voice,
        about=profile.about,
        hours=spans,
        address=profile.address,
        website=profile.website,
        shipping=profile.shipping,
        payments=profile.payments,
        escalate_on=profile.escalate_on,
    )


def load_business(directory: Path | None, encoder: Encoder | None = None) -> Business:
    """Return the business of a profile directory; None means the example business.

    Args:
        directory: the profile's directory.
        encoder: compares meanings; without it rows are found by their words alone.

    Raises:
        ProfileError: a file is wrong; it names file, line and field.
    """
    place = directory or example_profile_dir()
    profile = load_profile(place)
    products = load_catalog(place, profile.currency)
    faqs = load_faqs(place, profile.language)
    faqs = (*faqs, *profile_faqs(profile, faqs))
    knowledge = build_knowledge(products, faqs, load_lexicon(place), encoder)
    return Business(profile, knowledge, _voice(profile), _facts(profile))


def _stamp(directory: Path) -> Stamp:
    def stats() -> Iterator[tuple[str, int, int]]:
        for name in WATCHED:
            try:
                found = (directory / name).stat()
            except OSError:
                continue
            yield name, found.st_mtime_ns, found.st_size

    return tuple(stats())


class Library:
    """The businesses by account; a bad new version of a file never replaces a good one.

    Args:
        accounts: the accounts; each names its profile directory.
        encoder: compares meanings; without it rows are found by their words alone.
    """

    def __init__(self, accounts: Accounts, encoder: Encoder | None = None) -> None:
        self._accounts = accounts
        self._encoder = encoder
        self._businesses: dict[str, Business] = {}
        self._stamps: dict[str, Stamp] = {}

    def get(self, account_id: str) -> Business:
        """Return the business of an account.

        Raises:
            AccountNotFound: no account has the id.
            ProfileUnavailable: its profile was never usable.
        """
        account = self._accounts.get(account_id)
        found = self._businesses.get(account.id)
        if found is None:
            raise ProfileUnavailable(account_id=account_id)
        return found

    @property
    def is_loaded(self) -> bool:
        """Whether at least one business can be answered for."""
        return bool(self._businesses) or not len(self._accounts)

    async def refresh(self) -> Mapping[str, bool]:
        """Read what has changed; return for each account that changed whether its new version is in use.

        The new index is built to the side, in a thread, and swapped in at once.
        """
        outcome: dict[str, bool] = {}
        loaded: dict[Path, Business | None] = {}
        for account in self._accounts:
            place = account.profile or example_profile_dir()
            stamp = await asyncio.to_thread(_stamp, place)
            if stamp == self._stamps.get(account.id):
                continue
            self._stamps[account.id] = stamp
            if place not in loaded:
                loaded[place] = await self._load(account, place)
            business = loaded[place]
            outcome[account.id] = business is not None
            if business:
                self._businesses[account.id] = business
        return outcome

    async def _load(self, account: Account, place: Path) -> Business | None:
        try:
            business = await asyncio.to_thread(load_business, place, self._encoder)
        except ProfileError as error:
            log.error(
                "profile.rejected",
                account_id=account.id,
                file=str(error.file),
                line=error.line,
                field=error.field,
                problem=error.problem,
            )
            return None
        log.info(
            "profile.loaded",
            account_id=account.id,
            products=len(business.knowledge.products),
            faqs=len(business.knowledge.faqs),
        )
        return business

    async def watch(self, period_seconds: float) -> None:
        """Refresh again and again until cancelled.

        Args:
            period_seconds: time between looks at the files.
        """
        while True:
            await asyncio.sleep(period_seconds)
            await self.refresh()
