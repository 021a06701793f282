"""200 only after the call that carried the message returned; coalescing; storage that is down or full."""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable

import httpx
import pytest

from gateway.adapters.ingest import CoalescerLimits, NotStored, running_coalescer
from gateway.settings import GatewaySettings
from gateway.web import running_web
from kommomesh.conversation.v1 import conversation_service_pb2 as service_pb
from kommomesh_runtime.accounts import Accounts
from kommomesh_runtime.errors import RemoteError

STORED = service_pb.INGEST_OUTCOME_STORED
SECRET = "933a17f1bc8dfe3334ad2559c46eef8fd22f99f7"


def form(number: int, chat: str = "c1") -> str:
    return f"account[id]=31874205&message[add][0][id]=m{number}&message[add][0][chat_id]={chat}"


def item(name: str, text: str = "") -> service_pb.IngestItem:
    return service_pb.IngestItem(chat_id=name, client_message=service_pb.ClientMessage(text=text))


class Calls:
    """Answers IngestMessages: each conversation id is the chat's name; waits and fails as told."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()
        self.fail: Callable[[service_pb.IngestMessagesRequest], RemoteError | None] = lambda _: None

    def __call__(
        self, request: service_pb.IngestMessagesRequest, *, timeout: float
    ) -> Awaitable[service_pb.IngestMessagesResponse]:
        return self._answer(request, timeout)

    async def _answer(self, request, timeout):
        self.sizes.append(len(request.items))
        self.entered.set()
        try:
            async with asyncio.timeout(timeout):
                await self.gate.wait()
        except TimeoutError:
            raise RemoteError("DEADLINE_EXCEEDED") from None
        failure = self.fail(request)
        if failure is not None:
            raise failure
        results = [service_pb.IngestResult(outcome=STORED, conversation_id=found.chat_id) for found in request.items]
        return service_pb.IngestMessagesResponse(results=results)


async def test_given_call_in_flight_when_webhooks_arrive_then_one_call_carries_them_all():
    calls = Calls()
    async with running_coalescer(calls, CoalescerLimits(calls=1)) as coalescer, asyncio.TaskGroup() as group:
        first = group.create_task(coalescer.store([item("first")], 5))
        await calls.entered.wait()
        rest = [group.create_task(coalescer.store([item(f"{n}a"), item(f"{n}b")], 5)) for n in range(50)]
        await asyncio.sleep(0)
        calls.gate.set()

    assert calls.sizes == [1, 100]
    assert [result.conversation_id for result in first.result()] == ["first"]
    for number, task in enumerate(rest):
        assert [result.conversation_id for result in task.result()] == [f"{number}a", f"{number}b"]


@pytest.mark.parametrize(
    ("limits", "text", "sizes"),
    [
        (CoalescerLimits(calls=1, items=4), "", [1, 4, 4, 1]),
        (CoalescerLimits(calls=1, bytes=250), "x" * 100, [1, 2, 2, 2, 2, 1]),
        (CoalescerLimits(calls=1, bytes=10), "x" * 100, [1] * 10),
    ],
)
async def test_given_limits_when_many_wait_then_calls_are_bounded(limits, text, sizes):
    calls = Calls()
    async with running_coalescer(calls, limits) as coalescer, asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(coalescer.store([item(str(number), text)], 5))
            if number == 0:
                await calls.entered.wait()
        await asyncio.sleep(0)
        calls.gate.set()

    assert calls.sizes == sizes


async def test_given_two_calls_allowed_when_one_hangs_then_the_rest_goes_with_the_other():
    calls = Calls()
    async with running_coalescer(calls, CoalescerLimits(calls=2)) as coalescer, asyncio.TaskGroup() as group:
        group.create_task(coalescer.store([item("first")], 5))
        await calls.entered.wait()
        calls.entered.clear()
        group.create_task(coalescer.store([item("second")], 5))
        await calls.entered.wait()
        for number in range(10):
            group.create_task(coalescer.store([item(str(number))], 5))
        await asyncio.sleep(0)
        in_flight = list(calls.sizes)
        calls.gate.set()

    assert (in_flight, calls.sizes) == ([1, 1], [1, 1, 10])


async def test_given_full_queue_when_stored_then_refused_at_once():
    calls = Calls()
    async with running_coalescer(calls, CoalescerLimits(calls=1, waiting=1)) as coalescer, asyncio.TaskGroup() as group:
        group.create_task(coalescer.store([item("in flight")], 5))
        await calls.entered.wait()
        group.create_task(coalescer.store([item("waiting")], 5))
        await asyncio.sleep(0)
        with pytest.raises(NotStored) as caught:
            await coalescer.store([item("too many")], 5)
        calls.gate.set()

    assert caught.value.code == "storage_busy"


@pytest.mark.parametrize("most", [1, 2])
async def test_given_passing_failures_when_stored_then_repeated_in_order(most):
    calls = Calls()
    calls.gate.set()
    left = [RemoteError("UNAVAILABLE"), RemoteError("DEADLINE_EXCEEDED"), RemoteError("RESOURCE_EXHAUSTED")]
    calls.fail = lambda _: left.pop() if left else None
    async with running_coalescer(calls, CoalescerLimits(calls=most)) as coalescer:
        results = await coalescer.store([item("a"), item("b")], 5)

    assert [result.conversation_id for result in results] == ["a", "b"]
    assert len(calls.sizes) == 4


@pytest.mark.parametrize("most", [1, 2])
async def test_given_poisoned_item_when_stored_then_only_its_own_webhook_fails(most):
    calls = Calls()
    calls.fail = lambda request: (
        RemoteError("INTERNAL") if any(found.chat_id == "poison" for found in request.items) else None
    )
    names = [str(number) for number in range(7)] + ["poison"] + [str(number) for number in range(8, 20)]
    async with running_coalescer(calls, CoalescerLimits(calls=most)) as coalescer:
        tasks = [asyncio.create_task(coalescer.store([item(name)], 5)) for name in names]
        await calls.entered.wait()
        calls.gate.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)

    failed = [name for name, result in zip(names, found, strict=True) if isinstance(result, NotStored)]
    assert failed == ["poison"]
    assert [result[0].conversation_id for result in found if isinstance(result, list)] == [
        name for name in names if name != "poison"
    ]


async def test_given_wrong_number_of_results_or_a_bug_when_stored_then_not_stored_and_still_running():
    calls = Calls()
    calls.gate.set()

    def bug(_request):
        raise KeyError("bug")

    async with running_coalescer(calls, CoalescerLimits(calls=1)) as coalescer:
        calls.fail = bug
        with pytest.raises(NotStored):
            await coalescer.store([item("a")], 5)
        calls.fail = lambda _: None
        assert len(await coalescer.store([item("b")], 5)) == 1


async def test_given_sender_that_gave_up_when_next_call_is_made_then_it_is_left_out():
    calls = Calls()
    async with running_coalescer(calls, CoalescerLimits(calls=1)) as coalescer, asyncio.TaskGroup() as group:
        group.create_task(coalescer.store([item("a")], 5))
        await calls.entered.wait()
        gone = asyncio.create_task(coalescer.store([item("gone")], 5))
        group.create_task(coalescer.store([item("b")], 5))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.wait([gone])
        calls.gate.set()

    assert calls.sizes == [1, 1]


async def test_given_call_in_flight_when_webhook_waits_then_answered_only_after_it_returned(edge):
    edge.stored.open.clear()
    task = asyncio.create_task(edge.crm(form(1)))
    await edge.stored.entered.wait()
    assert not task.done()
    edge.stored.open.set()

    assert (await task).json()["messagesQueued"] == 1


async def test_given_same_message_many_times_at_once_when_posted_then_queued_once(edge):
    answers = await asyncio.gather(*(edge.crm(form(1)) for _ in range(20)))

    assert sum(answer.json()["messagesQueued"] for answer in answers) == 1
    assert len(edge.stored.items) == 1


async def test_given_many_webhooks_at_once_when_posted_then_fewer_calls_than_webhooks(edge):
    edge.stored.open.clear()
    first = asyncio.create_task(edge.crm(form(0)))
    await edge.stored.entered.wait()
    rest = [asyncio.create_task(edge.crm(form(number))) for number in range(1, 30)]
    await asyncio.sleep(0.1)
    edge.stored.open.set()
    answers = await asyncio.gather(first, *rest)

    assert {answer.status_code for answer in answers} == {200}
    assert len(edge.stored.items) == 30
    assert len(edge.stored.calls) < 30


async def test_given_storage_that_hangs_when_posted_then_503_with_retry_after(open_edge):
    async with open_edge(store_seconds=0.3) as edge:
        edge.stored.open.clear()
        answer = await edge.crm(form(1))
        edge.stored.open.set()

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"] in ("storage_slow", "storage_unavailable")


async def test_given_storage_that_is_away_when_posted_then_503(account_with):
    settings = GatewaySettings(
        port=0, drain_seconds=0, conversation_address="dns:///127.0.0.1:1", store_seconds=0.3, chats_store_seconds=0.6
    )
    async with (
        running_web(settings, Accounts.of(account_with()), environ={}) as web,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{web.port}", timeout=60, trust_env=False) as client,
    ):
        crm = await client.post("/api/kommo/webhook/fixture-webhook-secret", content=form(1))
        chats = await client.post(
            "/api/kommo/chats/cb743d94-e10c-584f-935b-a878ab9c730b_1fc0353a-290f-5d64-b8fe-3d6f809da6fa",
            content=b'{"message":{"conversation":{"id":"c"},"message":{"id":"m"}}}',
            headers={"x-signature": signed(b'{"message":{"conversation":{"id":"c"},"message":{"id":"m"}}}')},
        )
        nothing_to_store = await client.post(
            "/api/kommo/webhook/fixture-webhook-secret", content="account[id]=31874205&leads[add][0][id]=1"
        )
        status = await client.get("/api/kommo/webhook")

    assert (crm.status_code, chats.status_code) == (503, 503)
    assert nothing_to_store.status_code == 200
    assert (status.status_code, status.json()["checks"]["conversation_service"]) == (503, "unreachable")


def signed(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()


async def test_given_storage_back_within_the_time_of_a_hook_when_posted_then_stored(edge):
    edge.stored.failures_left = 6
    body = b'{"message":{"conversation":{"id":"c"},"sender":{"id":"x"},"message":{"id":"m"}}}'

    answer = await edge.chats(body, signed(body))

    assert answer.status_code == 200
    assert len(edge.stored.items) == 1


async def test_given_poisoned_webhook_when_posted_among_others_then_only_it_gets_503(edge):
    edge.stored.poison = "poison"
    answers = await asyncio.gather(*(edge.crm(form(number, "poison" if number == 3 else "c")) for number in range(8)))

    assert [number for number, answer in enumerate(answers) if answer.status_code == 503] == [3]
    assert len(edge.stored.items) == 7


async def test_given_account_not_known_to_storage_yet_when_posted_then_503_so_that_kommo_repeats(edge):
    form = "account[id]=31874205&message[add][0][id]=m1&message[add][0][chat_id]=account-unknown"
    answer = await edge.crm(form)

    assert (answer.status_code, answer.json()["error"]) == (503, "account_unknown")
    assert answer.headers["retry-after"]
