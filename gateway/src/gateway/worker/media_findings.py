"""What is asked of kommo-service about files that a person will look at; best effort, within a short time."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.worker.media import is_unread
from gateway.worker.steps import Steps
from kommomesh.conversation.v1.conversation_pb2 import Message
from kommomesh.conversation.v1.turn_service_pb2 import MediaFinding
from kommomesh.kommo.v1.media_pb2 import InspectMediaRequest
from kommomesh_runtime.errors import RemoteError
from kommomesh_runtime.media_links import MOST_CHARACTERS

if TYPE_CHECKING:
    from kommomesh.kommo.v1.kommo_service_pb2_grpc import KommoServiceAsyncStub

LIMIT_SECONDS = 2.0
# More than a note describes is not asked about.
MOST_FILES = 3


async def findings(
    kommo: "KommoServiceAsyncStub", account_id: str, messages: Sequence[Message], steps: Steps
) -> list[MediaFinding]:
    """Return type and size of a burst's files as far as they can be had at once; a failure changes nothing else.

    Args:
        kommo: looks at files.
        account_id: the account.
        messages: the burst.
        steps: takes a step where there is anything to look at.
    """
    wanted = [one for one in messages if is_unread(one) and 0 < len(one.media_url) <= MOST_CHARACTERS][:MOST_FILES]
    if not wanted:
        return []
    with steps.step("inspect_media") as step:
        found = await asyncio.gather(*(_finding(kommo, account_id, one) for one in wanted))
        known = [one for one in found if one is not None]
        step.note = f"{len(known)} of {len(wanted)}"
    return known


async def _finding(kommo: "KommoServiceAsyncStub", account_id: str, message: Message) -> MediaFinding | None:
    try:
        request = InspectMediaRequest(account_id=account_id, url=message.media_url)
        response = await kommo.InspectMedia(request, timeout=LIMIT_SECONDS)
    except RemoteError:
        return None
    if not (response.content_type or response.size_bytes):
        return None
    return MediaFinding(message_id=message.id, media_type=response.content_type, size_bytes=response.size_bytes)
