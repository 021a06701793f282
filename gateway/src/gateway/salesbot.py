"""The hook of Salesbots: a widget request is proved, stored as a way to answer its lead, and only then answered."""

import time
from dataclasses import dataclass
from datetime import timedelta

from starlette.types import Receive, Scope

from gateway.adapters.bodies import header
from gateway.adapters.json_bodies import read_json
from gateway.adapters.widget_tokens import TokenRefused, WidgetTrust, proved_claims
from gateway.answers import Answer, Refused, unauthenticated
from gateway.domain.events import EventsError, IgnoreReason, Intake, SalesbotWait
from gateway.domain.forms import FormError, parse_form
from gateway.domain.salesbot_requests import WidgetRequest, lead_of, of_form, of_json
from gateway.metrics import IGNORED_EVENTS
from gateway.webhooks import Webhooks, refuse_types, unreadable
from kommomesh_runtime.accounts import Account
from kommomesh_runtime.return_urls import is_return_url

FORM = "application/x-www-form-urlencoded"
JSON_ENDINGS = ("/json", "+json")


@dataclass(frozen=True, slots=True)
class SalesbotHook:
    """Handler of widget requests.

    Args:
        webhooks: reads bodies and stores.
        waits_seconds: how long a bot is taken to wait for its answer; Kommo does not say how long it does.
    """

    webhooks: Webhooks
    waits_seconds: float

    async def take(self, scope: Scope, receive: Receive, account_id: str) -> Answer:
        """Take a widget request of an account's Salesbot.

        Raises:
            Refused: 400, 401, 408, 413, 415 or 503.
        """
        started = time.perf_counter()
        account = self.webhooks.keyring.account_of_salesbot(account_id)
        if account is None:
            raise unauthenticated()
        refuse_types(scope, ("multipart/",), "Send JSON or a form, as Kommo's Salesbot does.")
        request = _read(header(scope, b"content-type"), await self.webhooks.body(scope, receive))
        intake = self._intake(account, request)
        return await self.webhooks.store(account, intake, self.webhooks.seconds.salesbot, started)

    def _intake(self, account: Account, request: WidgetRequest) -> Intake:
        now = self.webhooks.now()
        secrets = self.webhooks.keyring.secrets(account, "client_secret")
        try:
            claims = proved_claims(request.token, secrets, WidgetTrust.of(account), now.timestamp())
        except TokenRefused:
            raise unauthenticated() from None
        # The token does not cover the address, which is to receive ours.
        if not is_return_url(request.return_url, account):
            IGNORED_EVENTS.labels(IgnoreReason.RETURN_URL_REFUSED.value).inc()
            message = "The return_url is none of this account's Salesbots."
            raise Refused(400, IgnoreReason.RETURN_URL_REFUSED.value, message, logged={"account_id": account.id})
        lead, intake = lead_of(claims), Intake()
        ends_at = now + timedelta(seconds=self.waits_seconds)
        intake.add(lead if isinstance(lead, IgnoreReason) else SalesbotWait(lead, request.return_url, ends_at))
        return intake


def _read(content_type: str, body: bytes) -> WidgetRequest:
    kind = content_type.partition(";")[0].strip().lower()
    is_json = kind.endswith(JSON_ENDINGS) or (kind != FORM and body.lstrip()[:1] == b"{")
    try:
        return of_json(read_json(body)) if is_json else of_form(parse_form(body))
    except (FormError, EventsError) as error:
        raise unreadable(error) from None
