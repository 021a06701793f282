"""Checks of accounts, for the servicer and for the command line: which account is meant, and findings on the wire."""

import re
from collections.abc import Callable
from datetime import datetime

from kommo_service.adapters.account_check import AccountCheck, CheckOrder
from kommo_service.adapters.kommo_http import KommoHttp
from kommo_service.adapters.relay_check import relay_findings
from kommo_service.domain.findings import Finding, Severity
from kommomesh.kommo.v1 import account_check_pb2 as check_pb
from kommomesh_runtime.accounts import PUBLIC_URL, Account, AccountNotFound, Accounts
from kommomesh_runtime.errors import InvalidArgument

_SEVERITY = {
    Severity.OK: check_pb.FINDING_SEVERITY_OK,
    Severity.UNKNOWN: check_pb.FINDING_SEVERITY_UNKNOWN,
    Severity.WARNING: check_pb.FINDING_SEVERITY_WARNING,
    Severity.PROBLEM: check_pb.FINDING_SEVERITY_PROBLEM,
}
_FROM_PROTO = {value: severity for severity, value in _SEVERITY.items()}

Host = Callable[[str], KommoHttp]


def find_account(accounts: Accounts, name: str) -> Account:
    """Return the account that has the id, or else the subdomain.

    Raises:
        AccountNotFound: none has.
    """
    found = accounts.find(name) or next((one for one in accounts if one.subdomain == name), None)
    if found is None:
        raise AccountNotFound(account_id=name)
    return found


async def checked(
    accounts: Accounts, account: Account, host: Host, now: Callable[[], datetime], order: CheckOrder
) -> list[Finding]:
    """Return what a check of one of the accounts finds; see `AccountCheck`."""
    others = [one for one in accounts if one.id != account.id]
    found = await AccountCheck(account, others, host, now, order).run()
    return [*found, *await relay_findings(account, now)]


def order_of(request: check_pb.CheckAccountRequest) -> CheckOrder:
    """Return what a request asks for.

    Raises:
        InvalidArgument: the URL is none.
    """
    if request.public_url and not re.fullmatch(PUBLIC_URL, request.public_url):
        raise InvalidArgument(field="public_url", problem="is not an http or https address")
    return CheckOrder(is_fixing=request.fix, public_url=request.public_url, is_whole=False)


def to_proto(finding: Finding) -> check_pb.AccountFinding:
    """Return a finding as it goes over the wire."""
    return check_pb.AccountFinding(
        check=finding.check, severity=_SEVERITY[finding.severity], summary=finding.summary, remedy=finding.remedy
    )


def from_proto(finding: check_pb.AccountFinding) -> Finding:
    """Return a finding that came over the wire."""
    severity = _FROM_PROTO.get(finding.severity, Severity.UNKNOWN)
    return Finding(finding.check, severity, finding.summary, finding.remedy)
