"""The hook by which Kommo tells that the integration was taken out of an account."""

from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.adapters.authentication import Keyring
from gateway.answers import unauthenticated
from gateway.domain.signatures import is_uninstall_signed
from gateway.metrics import UNINSTALLS
from kommomesh_runtime.logs import get_logger

log = get_logger()


@dataclass(slots=True)
class Uninstalls:
    """Takes the uninstall hook, and remembers which accounts it came for.

    Args:
        keyring: the accounts and their client secrets.
    """

    keyring: Keyring
    accounts: set[str] = field(default_factory=set)

    async def take(self, request: Request) -> Response:
        """Answer 200 to a genuine hook, and raise the alarm; 401 to any other.

        Source: Kommo, uninstall hook: signature over `client_uuid|account_id` with the client secret.
        """
        query = request.query_params
        account = self.keyring.accounts.find(request.path_params["account"])
        account_id, client_uuid = query.get("account_id", ""), query.get("client_uuid", "")
        if (
            account is None
            or not account.integration_id
            or (account_id, client_uuid) != (account.id, account.integration_id)
            or not is_uninstall_signed(
                client_uuid, account_id, query.get("signature", ""), self.keyring.secrets(account, "client_secret")
            )
        ):
            refused = unauthenticated().answer()
            return JSONResponse(refused.content, refused.status)
        if account.id not in self.accounts:
            self.accounts.add(account.id)
            UNINSTALLS.inc()
            log.error("account.uninstalled", account_id=account.id)
        return JSONResponse({"status": "ok"})

    def routes(self) -> list[Route]:
        """Return the route of the hook."""
        return [Route("/api/kommo/uninstall/{account}", self.take, methods=["GET"])]
