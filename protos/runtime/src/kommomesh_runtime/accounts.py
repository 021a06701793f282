"""The accounts that a mesh serves: one TOML file each, or one made from the variables of a Kommo integration guide."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from kommomesh_runtime.errors import NotFound

SECRET_NAMES = ("webhook_secret", "access_token", "channel_secret", "client_secret", "guide_secret")
SecretName = Literal["webhook_secret", "access_token", "channel_secret", "client_secret", "guide_secret"]
Transport = Literal["talk_message", "own_channel"]

LOCAL_ACCOUNT_ID = "12345"
SIMULATOR_URL = "http://127.0.0.1:8090"


class AccountNotFound(NotFound):
    """No configured account has the id."""

    reason = "ACCOUNT_NOT_FOUND"
    text = "account {account_id} is not configured"


class AccountsInvalid(Exception):
    """An account file cannot be used; the text names file, field and problem."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SecretRef(_Frozen):
    """Where a secret is: in an environment variable, in a file, or (local default alone) in the settings."""

    env: str | None = None
    file: Path | None = None
    value: SecretStr | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(part is not None for part in (self.env, self.file, self.value)) != 1:
            raise ValueError("a secret names exactly one of env, file and value")
        return self

    def read(self, environ: Mapping[str, str]) -> str:
        """Return the secret; empty when its variable or file is missing."""
        if self.value is not None:
            return self.value.get_secret_value()
        if self.env is not None:
            return environ.get(self.env, "").strip()
        assert self.file is not None
        # A secret that is not text is no secret of Kommo's: it matches nothing, like a missing one.
        return self.file.read_text(errors="ignore").strip() if self.file.is_file() else ""


class ChannelConfig(_Frozen):
    """A channel that the account registered itself through the Chats API."""

    scope_id: str
    channel_id: str = ""
    bot_id: str = ""
    code: str = ""
    amojo_id: str = ""


class Account(_Frozen):
    """One Kommo account: what identifies it, how it is answered, and within which limits. Times are seconds."""

    id: str = Field(min_length=1, max_length=64)
    subdomain: str = Field(min_length=1)
    domain: str = "kommo.com"
    locale: str = "es-AR"
    profile: Path | None = None
    transports: tuple[Transport, ...] = ("talk_message",)
    authorization: Literal["long_lived", "oauth"] = "long_lived"
    quiet_seconds: float = Field(default=2.0, ge=0, le=60)
    quiet_max_seconds: float = Field(default=10.0, ge=0, le=300)
    turn_budget_seconds: float = Field(default=25.0, gt=0, le=30)
    dependency_wait_seconds: float = Field(default=180.0, ge=0)
    classify_below: float | None = Field(default=None, ge=0, le=1)
    resume_after_seconds: float = Field(default=43_200.0, gt=0)
    failure_resume_after_seconds: float = Field(default=900.0, gt=0)
    max_message_age_seconds: float | None = Field(default=None, gt=0)
    delivery_max_age_seconds: float = Field(default=900.0, gt=0)
    requests_per_second: float = Field(default=7.0, gt=0)
    guide_webhook: Literal["closed", "open", "signed"] = "closed"
    kommo_base_url: str = ""
    chats_base_url: str = ""
    integration_id: str = ""
    channel: ChannelConfig | None = None
    user_amojo_ids: tuple[str, ...] = ()
    secrets: Mapping[SecretName, tuple[SecretRef, ...]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _fill_urls(cls, data: Any) -> Any:
        if isinstance(data, dict):
            domain = data.get("domain", "kommo.com")
            data = dict(data)
            data["kommo_base_url"] = data.get("kommo_base_url") or f"https://{data.get('subdomain')}.{domain}"
            data["chats_base_url"] = data.get("chats_base_url") or f"https://amojo.{domain}"
        return data

    def secret(self, name: SecretName, environ: Mapping[str, str] | None = None) -> tuple[SecretStr, ...]:
        """Return the valid values of a secret, the newest first; empty when there is none.

        Read anew at each call, so that a rotated file or variable counts at once.
        """
        found = (ref.read(os.environ if environ is None else environ) for ref in self.secrets.get(name, ()))
        return tuple(SecretStr(value) for value in found if value)


class Accounts:
    """The accounts of a mesh by id.

    Args:
        accounts: the accounts; ids are unique.
    """

    def __init__(self, accounts: Mapping[str, Account]) -> None:
        self._accounts = dict(accounts)

    @classmethod
    def of(cls, *accounts: Account) -> Self:
        """Return a set of just these accounts."""
        return cls({account.id: account for account in accounts})

    def get(self, account_id: str) -> Account:
        """Return the account.

        Raises:
            AccountNotFound: none has the id.
        """
        found = self._accounts.get(account_id)
        if found is None:
            raise AccountNotFound(account_id=account_id)
        return found

    def __contains__(self, account_id: str) -> bool:
        return account_id in self._accounts

    def __iter__(self) -> Iterator[Account]:
        return iter(self._accounts.values())

    def __len__(self) -> int:
        return len(self._accounts)


def _first_problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    return f"{'.'.join(str(part) for part in problem['loc']) or 'account'}: {problem['msg']}"


def load_account(path: Path) -> Account:
    """Return the account of one file; relative paths in it count from the file's folder.

    Raises:
        AccountsInvalid: the file is not TOML, or a field is wrong.
    """
    try:
        data = tomllib.loads(path.read_text())
        account = Account.model_validate(data)
    except tomllib.TOMLDecodeError as error:
        raise AccountsInvalid(f"{path}: {error}") from None
    except ValidationError as error:
        raise AccountsInvalid(f"{path}: {_first_problem(error)}") from None
    if account.profile and not account.profile.is_absolute():
        return account.model_copy(update={"profile": (path.parent / account.profile).resolve()})
    return account


def _refs(*variables: str) -> tuple[SecretRef, ...]:
    return tuple(SecretRef(env=variable) for variable in variables)


def _guide_channel(environ: Mapping[str, str]) -> ChannelConfig | None:
    scope_id = environ.get("KOMMO_CHAT_SCOPE_ID", "")
    if not scope_id:
        return None
    channel_id, _, amojo_id = scope_id.partition("_")
    bot_id = environ.get("KOMMO_CHANNEL_BOT_ID", "")
    return ChannelConfig(scope_id=scope_id, channel_id=channel_id, amojo_id=amojo_id, bot_id=bot_id)


def _business_dir(environ: Mapping[str, str]) -> Path | None:
    return Path(environ["MESH_BUSINESS_DIR"]).resolve() if environ.get("MESH_BUSINESS_DIR") else None


def account_from_guide(environ: Mapping[str, str]) -> Account:
    """Return the account that the variables of an integration guide (`KOMMO_…`) describe."""
    channel = _guide_channel(environ)
    return Account(
        id=environ.get("KOMMO_ACCOUNT_ID", LOCAL_ACCOUNT_ID),
        subdomain=environ["KOMMO_ACCOUNT_SUBDOMAIN"],
        integration_id=environ.get("KOMMO_INTEGRATION_ID", ""),
        profile=_business_dir(environ),
        transports=("own_channel", "talk_message") if channel else ("talk_message",),
        channel=channel,
        secrets={
            "webhook_secret": _refs("KOMMO_WEBHOOK_SECRET"),
            "access_token": _refs("KOMMO_ACCESS_TOKEN"),
            "channel_secret": _refs("KOMMO_CHAT_CHANNEL_SECRET"),
            "client_secret": _refs("KOMMO_SECRET_KEY"),
        },
    )


def local_account(environ: Mapping[str, str]) -> Account:
    """Return the account of the local default, which speaks to the simulator and takes the guide's open webhook."""
    url = environ.get("MESH_SIMULATOR_URL", SIMULATOR_URL)
    return Account(
        id=LOCAL_ACCOUNT_ID,
        subdomain="test",
        profile=_business_dir(environ),
        guide_webhook="open",
        kommo_base_url=url,
        chats_base_url=url,
        requests_per_second=float(environ.get("MESH_LOCAL_REQUESTS_PER_SECOND", "7")),
        channel=ChannelConfig(
            scope_id="7f3d2b1a-9c4e-5d68-8b07-2e6a1c5f9d34_1a5c6e0d-3f7b-5c19-9a86-0d2f4b6c8e10",
            channel_id="7f3d2b1a-9c4e-5d68-8b07-2e6a1c5f9d34",
            amojo_id="1a5c6e0d-3f7b-5c19-9a86-0d2f4b6c8e10",
            bot_id="5e8b7a90-4d1c-5f23-96e4-b3a2d1c0f987",
        ),
        secrets={
            "webhook_secret": (SecretRef(value=SecretStr("local-webhook-secret")),),
            "access_token": (SecretRef(value=SecretStr("local-development-token")),),
            "channel_secret": (SecretRef(value=SecretStr("c0ffee5eed0f1eaf00d5afe7e57ab1e0decade11")),),
        },
    )


def load_accounts(directory: Path | None, environ: Mapping[str, str]) -> Accounts:
    """Return the accounts of a directory; without one, the guide's account, or else the local default.

    Raises:
        AccountsInvalid: a file cannot be used, or two name the same account.
    """
    if directory is None:
        one = account_from_guide(environ) if environ.get("KOMMO_ACCOUNT_SUBDOMAIN") else local_account(environ)
        return Accounts.of(one)
    if not directory.is_dir():
        raise AccountsInvalid(f"{directory}: no such directory; MESH_ACCOUNTS_DIR names it")
    found: dict[str, Account] = {}
    for path in sorted(directory.glob("*.toml")):
        account = load_account(path)
        if account.id in found:
            raise AccountsInvalid(f"{path}: account {account.id} is named by another file too")
        found[account.id] = account
    return Accounts(found)
