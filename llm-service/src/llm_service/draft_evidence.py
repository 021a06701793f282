"""What a draft for one question may rest on."""

from collections.abc import Sequence

from llm_service.adapters.library import Business
from llm_service.domain.guards.evidence import Evidence
from llm_service.domain.values import Question, Row


def evidence_for(
    business: Business,
    question: Question,
    rows: Sequence[Row],
    *,
    facts: str = "",
    instructions: str = "",
    canary: str = "",
    language: str = "",
) -> Evidence:
    """Return what the guards hold a draft against.

    Args:
        business: whose data it is.
        question: the burst and what came before it.
        rows: the rows that the model was given.
        facts: what the business says of itself, as the model was given it.
        instructions: the prompt without the business's data.
        canary: the secret word of the request.
        language: language to answer in; the business's own where empty.
    """
    profile, knowledge = business.profile, business.knowledge
    retrieved = {row.id for row in rows}
    others = (names[:2] for sku, names in knowledge.folded_names.items() if sku not in retrieved)
    return Evidence(
        rows=tuple(rows),
        business_texts=(facts,),
        client_words="\n".join(said.text for said in question.burst),
        currency=profile.currency,
        max_installments=profile.limits.max_installments,
        max_discount_percent=profile.limits.max_discount_percent,
        other_names=tuple(name for names in others for name in names),
        brands=knowledge.brands,
        kinds=frozenset(knowledge.kinds),
        instructions=instructions,
        canary=canary,
        language=language or profile.language,
        has_media=any(said.content_type != "text" for said in (*question.history, *question.burst)),
    )
