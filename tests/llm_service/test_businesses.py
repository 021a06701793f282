"""Whole conversations with other businesses, without a model: what a client writes, and what the answer has to hold.

Each business has a directory with its profile and a `conversations.txt`: `--` begins a chat, `>` is what the client
writes (` | ` parts the messages of a burst), and below it stand what the folded answer has to hold (`+`), may not hold
(`-`), the reason for a person (`!`), `~` for an honest not knowing, and `.` for a short friendly close.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_service.adapters.encoder import shipped_encoder
from llm_service.adapters.library import Business, load_business
from llm_service.domain.data_replies import DataReply, reply_from_data
from llm_service.domain.guards.amounts import check_amounts
from llm_service.domain.normalise import fold
from llm_service.domain.values import Handover, Question, Said, Speaker
from llm_service.draft_evidence import evidence_for

ROOT = Path(__file__).parent / "businesses"
NAMES = sorted(place.name for place in ROOT.iterdir() if (place / "conversations.txt").exists())
VOSEO = re.compile(r"\b(queres|podes|decime|contame|escribime|preferis|tenes|avisame)\b")
CLOSE = re.compile(r"de nada|genial|cualquier otra cosa|si necesita|se precisar|ate logo|hasta luego|👋|🙌|problema")
UNKNOWN = re.compile(
    r"no encontre|nao encontrei|no (te )?entendi|nao entendi|persona del equipo|pessoa da equipe|"
    r"no (te )?puedo ayudar|nao posso ajudar"
)
Check = tuple[str, str]
Turn = tuple[tuple[Said, ...], list[Check]]


def _chats(path: Path) -> Iterator[list[Turn]]:
    chat: list[Turn] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("--"):
            if chat:
                yield chat
            chat = []
        elif line.startswith("> "):
            chat.append((tuple(Said(Speaker.CLIENT, text.strip()) for text in line[2:].split(" | ")), []))
        elif line.strip():
            chat[-1][1].append((line[0], line[1:].strip()))
    yield chat


def _holds(reply: DataReply, kind: str, wanted: str) -> bool:
    person = reply.result if isinstance(reply.result, Handover) else None
    text = fold(reply.result) if isinstance(reply.result, str) else ""
    if kind == "+":
        return bool(re.search(wanted, text)) or (person is not None and "! " in wanted)
    if kind == "-":
        return not re.search(wanted, text)
    if kind == "!":
        return (person is not None and wanted in ("any", person.reason_code)) or (wanted == "any" and bool(text))
    if kind == "~":
        return person is not None or bool(UNKNOWN.search(text))
    return len(text) < 130 and bool(CLOSE.search(text))


def _is_sound(reply: DataReply, business: Business, question: Question) -> bool:
    """Tell whether a reply invents no amount and does not say vos where nobody does."""
    if isinstance(reply.result, Handover):
        return True
    says_vos = business.profile.says_vos or not VOSEO.search(fold(reply.result))
    return says_vos and check_amounts(reply.result, evidence_for(business, question, reply.rows)).passed


@pytest.mark.parametrize("name", NAMES)
def test_given_another_business_when_clients_write_then_every_answer_is_right_and_sound(name: str) -> None:
    business = load_business(ROOT / name, shipped_encoder())
    wrong = []
    for chat in _chats(ROOT / name / "conversations.txt"):
        history: list[Said] = []
        for burst, checks in chat:
            question = Question(burst, tuple(history))
            reply = reply_from_data(question, business.knowledge, business.voice)
            history += burst
            if isinstance(reply.result, str):
                history.append(Said(Speaker.BOT, reply.result))
            failed = [check for check in checks if not _holds(reply, *check)]
            if failed or not _is_sound(reply, business, question):
                wrong.append((burst[-1].text, failed, reply.result))
    assert wrong == []
