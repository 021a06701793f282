"""Looking at files as messages of the contract."""

from kommo_service.adapters.media import MediaInspector
from kommo_service.domain.media import MediaFacts, MediaOutcome
from kommomesh.kommo.v1 import media_pb2 as pb
from kommomesh_runtime.accounts import Accounts
from kommomesh_runtime.media_links import MOST_CHARACTERS
from kommomesh_runtime.parsing import require_text

ID_MAXIMUM = 256
OUTCOMES = {
    MediaOutcome.FOUND: pb.MEDIA_OUTCOME_FOUND,
    MediaOutcome.NOT_ALLOWED: pb.MEDIA_OUTCOME_NOT_ALLOWED,
    MediaOutcome.TOO_LARGE: pb.MEDIA_OUTCOME_TOO_LARGE,
    MediaOutcome.GONE: pb.MEDIA_OUTCOME_GONE,
    MediaOutcome.UNREACHABLE: pb.MEDIA_OUTCOME_UNREACHABLE,
}


async def inspected(
    inspector: MediaInspector, accounts: Accounts, request: pb.InspectMediaRequest
) -> pb.InspectMediaResponse:
    """Return what is known of the file of a request.

    Raises:
        InvalidArgument: a field is missing or too long.
        AccountNotFound: no configured account has the id.
    """
    account = accounts.get(require_text("account_id", request.account_id, maximum=ID_MAXIMUM))
    url = require_text("url", request.url, maximum=MOST_CHARACTERS)
    return _to_proto(await inspector.inspect(account, url))


def _to_proto(facts: MediaFacts) -> pb.InspectMediaResponse:
    return pb.InspectMediaResponse(
        outcome=OUTCOMES[facts.outcome],
        content_type=facts.content_type,
        size_bytes=facts.size_bytes,
        file_name=facts.file_name,
        reason=facts.reason,
    )
