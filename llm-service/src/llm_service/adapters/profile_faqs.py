"""Questions that `business.toml` itself answers: where, when, how to pay."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from kommomesh_runtime.business_hours import WEEKDAYS
from kommomesh_runtime.profile import BusinessProfile
from llm_service.adapters.data_files import shipped_toml
from llm_service.domain.normalise import words
from llm_service.domain.values import Faq


def hours_text(profile: BusinessProfile, language: str) -> str:
    """Return the opening hours in words, days with the same hours together; empty where none are given."""
    told = shipped_toml("prompt_words.toml")[language]
    spans = {
        day: ", ".join(f"{span.opens:%H:%M}-{span.closes:%H:%M}" for span in profile.hours.get(day, ()))
        for day in (WEEKDAYS if profile.hours else ())
    }
    parts = []
    for span, days in groupby(spans, key=lambda day: spans[day]):
        names = [str(told["days"][day]) for day in days]
        name = names[0] if len(names) == 1 else f"{names[0]} {told['to']} {names[-1]}"
        parts.append(f"{name} {span or told['closed']}")
    return "; ".join(parts)


def _values(profile: BusinessProfile, language: str) -> Mapping[str, str]:
    return {
        "address": profile.address,
        "hours": hours_text(profile, language),
        "website": profile.website,
        "shipping": profile.shipping,
        "payments": profile.payments,
    }


def _is_answered(topics: Sequence[str], faqs: Sequence[Faq]) -> bool:
    return any(set(words(text)) & set(topics) for faq in faqs for text in (faq.question, *faq.alternatives))


def profile_faqs(profile: BusinessProfile, faqs: Sequence[Faq]) -> tuple[Faq, ...]:
    """Return what the profile answers in the business's language and its FAQs do not ask."""
    language = profile.language
    own = [faq for faq in faqs if faq.language == language]
    values = _values(profile, language)
    found = []
    for name, entry in shipped_toml("profile_faqs.toml").items():
        value = values[name].strip()
        if value and not _is_answered(entry["topics"].split(), own):
            told = entry[language]
            answer = told["answer"].format(value=value).replace("..", ".")
            found.append(Faq(f"profile-{name}", told["question"], tuple(told["alternatives"]), answer, language))
    return tuple(found)
