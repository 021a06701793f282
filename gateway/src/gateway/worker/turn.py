"""One turn: from the client's messages to an answer, a person, or another try later."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from gateway.worker import burst, decisions, media, media_findings, second_opinion, verification
from gateway.worker.backoff import put_off_seconds
from gateway.worker.decisions import Decision, Speech
from gateway.worker.failures import DependencyFailed, Kind, dependency_failed, kind_of
from gateway.worker.steps import Steps
from kommomesh.conversation.v1.conversation_pb2 import Message, ModelClassification
from kommomesh.conversation.v1.turn_service_pb2 import (
    AnswerDecision,
    EscalateDecision,
    LeasedTurn,
    MediaFinding,
    NoAnswerDecision,
)
from kommomesh.intent.v1.analysis_pb2 import Analysis
from kommomesh.llm.v1.generation_pb2 import Generation
from kommomesh.llm.v1.reply_service_pb2 import GenerateReplyRequest, GenerateReplyResponse
from kommomesh_runtime.accounts import Account, AccountNotFound, Accounts
from kommomesh_runtime.deadline import budget
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.parsing import to_time
from kommomesh_runtime.profiles import Profiles

if TYPE_CHECKING:
    from kommomesh.intent.v1.intent_service_pb2_grpc import IntentServiceAsyncStub
    from kommomesh.kommo.v1.kommo_service_pb2_grpc import KommoServiceAsyncStub
    from kommomesh.llm.v1.reply_service_pb2_grpc import ReplyServiceAsyncStub

UNKNOWN_ACCOUNT_WAIT_SECONDS = 180.0
FALLBACK_LOCALE = "es-AR"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Decided:
    """How the turn ends, and why.

    Args:
        is_last: nothing else can be tried.
        findings: of files, for who looks at them.
        read: the messages that this is about; empty means all of the turn.
    """

    decision: Decision
    analysis: Analysis | None = None
    generation: Generation | None = None
    is_last: bool = False
    classification: ModelClassification | None = None
    findings: Sequence[MediaFinding] = ()
    read: Sequence[Message] = ()


@dataclass(frozen=True, slots=True)
class PutOff:
    """The turn goes back and comes again after `retry_after` seconds."""

    reason: str
    retry_after: float


@dataclass(frozen=True, slots=True)
class Decider:
    """Decides turns with the help of intent-service and llm-service.

    Args:
        intent: says what the client wants.
        llm: writes replies.
        accounts: the accounts of the mesh.
        profiles: their fixed texts and hours.
        now: returns the time.
        draw: returns a random number, 0 to 1.
        kommo: looks at files.
        read: says what a file says.
    """

    intent: "IntentServiceAsyncStub"
    llm: "ReplyServiceAsyncStub"
    accounts: Accounts
    profiles: Profiles
    now: Callable[[], datetime]
    draw: Callable[[], float]
    kommo: "KommoServiceAsyncStub"
    read: media.MediaReader = media.not_read

    async def decide(self, turn: LeasedTurn, steps: Steps) -> Decided | PutOff:
        """Return how a turn ends, or when it is to come again; never neither.

        Args:
            turn: what was leased.
            steps: takes the steps for the trace.
        """
        try:
            account = self.accounts.get(turn.conversation.account_id)
        except AccountNotFound:
            # During a rollout another worker may know it already, so it is not given up at once.
            return self._unserved(turn, DependencyFailed("account_unknown", is_transient=True), None)
        turn = verification.credible(turn)
        if turn.escalate_only:
            return Decided(decisions.failed("worker_failed", account.locale, self._speech(account, None)))
        try:
            with budget(account.turn_budget_seconds):
                if verification.is_wanted(account, turn.conversation):
                    return await self._verified(turn, account, steps)
                return await self._with_findings(turn, await self._answer(turn, account, steps), steps)
        except DependencyFailed as failure:
            return self._unserved(turn, failure, account)

    def unusable(self, turn: LeasedTurn) -> Decided:
        """Return the call for a person instead of an outcome that could not be stored."""
        account_id = turn.conversation.account_id
        account = self.accounts.get(account_id) if account_id in self.accounts else None
        locale = account.locale if account else FALLBACK_LOCALE
        speech = self._speech(account, None) if account else None
        return Decided(decisions.failed("reply_unusable", locale, speech), is_last=True)

    async def _answer(self, turn: LeasedTurn, account: Account, steps: Steps) -> Decided:
        heard = await media.read_burst(turn.messages, self.read)
        turn = _with_messages(turn, heard.messages)
        if not burst.text_of(turn.messages):
            found = media.alone(heard.unread, turn.history)
            return Decided(decisions.wordless(found, account.locale, self._speech(account, None)))
        analysis, opinions = await self._understand(turn, account, steps)
        speech = self._speech(account, analysis)
        if analysis.escalation.should_escalate:
            handed_over = decisions.handed_over(analysis.escalation, speech)
            return Decided(handed_over, analysis, classification=opinions)
        response = await self._generate(turn, account, analysis, steps)
        beside = speech.unsaid(media.beside(heard.unread, turn.history), turn.history)
        decision = decisions.generated(response, account.locale, speech, beside)
        return Decided(decision, analysis, response.generation, classification=opinions)

    async def _verified(self, turn: LeasedTurn, account: Account, steps: Steps) -> Decided | PutOff:
        """Return how a turn ends of which only what Kommo knows too is acted on; the rest comes again or ends."""
        look = await verification.look(self.kommo, turn, steps, self.now())
        if look.known:
            turn = _with_messages(turn, look.known)
            decided = await self._with_findings(turn, await self._answer(turn, account, steps), steps)
            return replace(decided, read=look.known)
        if look.refuted:
            return Decided(NoAnswerDecision(reason_code=verification.NOT_IN_KOMMO), read=look.refuted)
        if look.unconfirmed:
            # It may well be the client's: nobody answers words of unknown origin, but a person hears of them.
            called = decisions.failed(verification.NOT_CONFIRMED, account.locale, self._speech(account, None))
            return Decided(called, read=look.unconfirmed)
        return PutOff(verification.NOT_IN_KOMMO, verification.PAUSE_SECONDS)

    async def _with_findings(self, turn: LeasedTurn, decided: Decided, steps: Steps) -> Decided:
        """Return the outcome with what is known of files, where a person will look at them."""
        decision = decided.decision
        is_shown = isinstance(decision, AnswerDecision) and bool(decision.shown_message_ids)
        if not (is_shown or isinstance(decision, EscalateDecision)):
            return decided
        found = await media_findings.findings(self.kommo, turn.conversation.account_id, turn.messages, steps)
        return replace(decided, findings=tuple(found))

    async def _understand(
        self, turn: LeasedTurn, account: Account, steps: Steps
    ) -> tuple[Analysis, ModelClassification | None]:
        """Return what the turn goes by, and both opinions where a model was asked and answered."""
        local = await self._analyze(turn, account, steps)
        if not second_opinion.is_wanted(local, account.classify_below):
            return local, None
        request = burst.classify_request(turn.messages, turn.history, local, account.id, account.locale)
        model = await second_opinion.asked(self.llm, request, steps)
        return second_opinion.joined(local, model, account.locale) if model else (local, None)

    async def _analyze(self, turn: LeasedTurn, account: Account, steps: Steps) -> Analysis:
        request = burst.analyze_request(turn.messages, turn.history, account.id, account.locale)

        async def call() -> Analysis:
            return (await self.intent.AnalyzeMessage(request)).analysis

        return await _asked("intent", "analyze", call, steps)

    async def _generate(
        self, turn: LeasedTurn, account: Account, analysis: Analysis, steps: Steps
    ) -> GenerateReplyResponse:
        request = GenerateReplyRequest(
            account_id=account.id,
            history=burst.chat_messages(turn.history),
            burst=burst.chat_messages(turn.messages),
            analysis=analysis,
            contact_name=turn.conversation.contact_name,
            channel=turn.conversation.channel,
        )

        async def call() -> GenerateReplyResponse:
            return await self.llm.GenerateReply(request)

        return await _asked("llm", "generate", call, steps)

    def _speech(self, account: Account, analysis: Analysis | None) -> Speech:
        profile = self.profiles.get(account)
        language = decisions.language_of(analysis.language if analysis else "", account.locale)
        return Speech(profile, language, self.now())

    def _unserved(self, turn: LeasedTurn, failure: DependencyFailed, account: Account | None) -> Decided | PutOff:
        """Return the turn for later while waiting may help, else call a person: nobody is left without an answer."""
        wait_seconds = account.dependency_wait_seconds if account else UNKNOWN_ACCOUNT_WAIT_SECONDS
        since = to_time(turn.waiting_since_time) or self.now()
        waited = (self.now() - since).total_seconds()
        pause = put_off_seconds(waited, wait_seconds, self.draw(), failure.retry_after)
        if failure.is_transient and pause is not None and not turn.escalate_only:
            return PutOff(failure.reason, pause)
        if account is None:
            return Decided(decisions.failed(failure.reason, FALLBACK_LOCALE, None))
        return Decided(decisions.failed(failure.reason, account.locale, self._speech(account, None)))


def _with_messages(turn: LeasedTurn, messages: Iterable[Message]) -> LeasedTurn:
    """Return a turn whose burst reads as these messages."""
    read = LeasedTurn()
    read.CopyFrom(turn)
    del read.messages[:]
    read.messages.extend(messages)
    return read


async def _asked(dependency: str, name: str, call: Callable[[], Awaitable[T]], steps: Steps) -> T:
    """Return what a dependency answers; one internal error is forgiven.

    Args:
        dependency: its name in the codes of reasons.
        name: name of the step.
        call: makes the call, which is harmless twice.
        steps: takes each attempt as a step.

    Raises:
        DependencyFailed: it gave no answer.
    """
    try:
        return await _step(name, call, steps)
    except RemoteError as error:
        if kind_of(error) is not Kind.AGAIN:
            raise dependency_failed(dependency, error) from error
    try:
        return await _step(name, call, steps)
    except RemoteError as error:
        raise dependency_failed(dependency, error) from error


async def _step(name: str, call: Callable[[], Awaitable[T]], steps: Steps) -> T:
    with steps.step(name) as step:
        try:
            answer = await call()
        except RemoteError as error:
            step.note = error.code.lower()
            raise
        step.note = "ok"
        return answer
