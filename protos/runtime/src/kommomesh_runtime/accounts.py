"""The accounts that a mesh serves: one TOML file each, or one made from the variables of a Kommo integration guide."""

import os
import re
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from kommomesh_runtime.channel_settings import ChannelConfig as ChannelConfig
from kommomesh_runtime.errors import NotFound
from kommomesh_runtime.handoff import HandoffSettings
from kommomesh_runtime.logs import get_logger
from kommomesh_runtime.salesbot_settings import SalesbotConfig as SalesbotConfig
from kommomesh_runtime.watched_folder import WatchedFolder

SecretName = Literal[
    "webhook_secret",
    "access_token",
    "channel_secret",
    "client_secret",
    "guide_secret",
    "relay_secret",
    "alert_secret",
]
SECRET_NAMES: tuple[SecretName, ...] = get_args(SecretName)
Transport = Literal["talk_message", "salesbot_field", "salesbot_return", "own_channel"]

LOCAL_ACCOUNT_ID = "12345"
SIMULATOR_URL = "http://127.0.0.1:8090"
RELOAD_SECONDS = 2.0
PUBLIC_URL = r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?"

log = get_logger()


class AccountNotFound(NotFound):
    """No configured account has the id."""

    reason = "ACCOUNT_NOT_FOUND"
    text = "account {account_id} is not configured"


class AccountsInvalid(Exception):
    """An account file cannot be used.

    Args:
        file: the file, or the directory of all of them.
        problem: what is wrong.
        field: where in it; empty when it is the file as a whole.
    """

    def __init__(self, file: Path, problem: str, field: str = "") -> None:
        super().__init__(f"{file}: {field}: {problem}" if field else f"{file}: {problem}")
        self.file, self.field, self.problem = file, field, problem


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
        # Some editors begin a file with a mark that is no part of the secret.
        return self.file.read_text("utf-8-sig", errors="ignore").strip() if self.file.is_file() else ""


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
    monthly_message_quota: int | None = Field(default=None, gt=0)
    guide_webhook: Literal["closed", "open", "signed"] = "closed"
    verify_messages: bool = False
    kommo_base_url: str = ""
    chats_base_url: str = ""
    public_url: str = Field(default="", pattern=f"^({PUBLIC_URL})?$")
    integration_id: str = ""
    channel: ChannelConfig | None = None
    salesbot: SalesbotConfig = Field(default_factory=SalesbotConfig)
    user_amojo_ids: tuple[str, ...] = ()
    handoff: HandoffSettings = Field(default_factory=HandoffSettings)
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
        found = self.find(account_id)
        if found is None:
            raise AccountNotFound(account_id=account_id)
        return found

    def find(self, account_id: str) -> Account | None:
        """Return the account; None when none has the id."""
        return self._now().get(account_id)

    def __contains__(self, account_id: str) -> bool:
        return account_id in self._now()

    def __iter__(self) -> Iterator[Account]:
        return iter(self._now().values())

    def __len__(self) -> int:
        return len(self._now())

    def _now(self) -> Mapping[str, Account]:
        return self._accounts


class ReloadingAccounts(Accounts):
    """The accounts of a directory, as its files are now.

    Whoever asks looks at the files first, unless somebody did a moment ago, so that no service has to be restarted or
    to run a task for it. An account that did not change stays the same object: caches may compare by identity.

    Args:
        directory: one TOML file an account.
        reload_seconds: least time between two looks.
        clock: returns seconds that only grow.

    Raises:
        AccountsInvalid: a file cannot be used, or two name the same account; later this is logged, and what was good
            stays.
    """

    def __init__(
        self, directory: Path, reload_seconds: float = RELOAD_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = WatchedFolder(directory, "*.toml", load_account, AccountsInvalid, _on_refused_at_start)
        self._folder.look()
        super().__init__(_by_id(self._folder.values, {}, _on_refused_at_start))
        self._folder.on_refused = _on_refused
        self._reload_seconds = reload_seconds
        self._clock = clock
        self._looked_at = clock()
        self._lock = threading.Lock()

    def _now(self) -> Mapping[str, Account]:
        if self._clock() - self._looked_at >= self._reload_seconds and self._lock.acquire(blocking=False):
            try:
                self._look()
                self._looked_at = self._clock()
            finally:
                self._lock.release()
        return self._accounts

    def _look(self) -> None:
        if not self._folder.look():
            return
        old = self._accounts
        self._accounts = new = _by_id(self._folder.values, old, _on_refused)
        for account_id in sorted(new.keys() | old.keys()):
            if account_id not in new:
                log.info("account.closed", account_id=account_id)
            elif new[account_id] is not old.get(account_id):
                log.info("account.loaded", account_id=account_id)


def _on_refused_at_start(_path: Path, error: Exception) -> None:
    raise error


def _on_refused(path: Path, error: Exception) -> None:
    assert isinstance(error, AccountsInvalid)
    log.error("account.rejected", file=str(path), field=error.field, problem=error.problem)


def _by_id(
    files: Mapping[Path, Account], served: Mapping[str, Account], on_refused: Callable[[Path, Exception], None]
) -> dict[str, Account]:
    found: dict[str, Account] = {}
    # A second file that names a served account must not take its place.
    for path, account in sorted(files.items(), key=lambda item: served.get(item[1].id) is not item[1]):
        if account.id in found:
            on_refused(path, AccountsInvalid(path, f"account {account.id} is named by another file too", "id"))
        else:
            found[account.id] = account
    return found


def load_account(path: Path) -> Account:
    """Return the account of one file; relative paths in it count from the file's folder.

    Raises:
        AccountsInvalid: the file is not TOML, or a field is wrong.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        account = Account.model_validate(data)
    except OSError as error:
        raise AccountsInvalid(path, f"cannot be read: {error.strerror}") from None
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"]) or "account"
        raise AccountsInvalid(path, problem["msg"], field) from None
    except UnicodeDecodeError:
        raise AccountsInvalid(path, "is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise AccountsInvalid(path, str(error)) from None
    return _with_paths_from(path.parent, account)


def _with_paths_from(folder: Path, account: Account) -> Account:
    def placed(ref: SecretRef) -> SecretRef:
        return ref.model_copy(update={"file": folder / ref.file}) if ref.file else ref

    secrets = {name: tuple(placed(ref) for ref in refs) for name, refs in account.secrets.items()}
    profile = (folder / account.profile).resolve() if account.profile else None
    return account.model_copy(update={"profile": profile, "secrets": secrets})


def _refs(*variables: str) -> tuple[SecretRef, ...]:
    return tuple(SecretRef(env=variable) for variable in variables)


def _guide_channel(environ: Mapping[str, str]) -> ChannelConfig | None:
    scope_id = environ.get("KOMMO_CHAT_SCOPE_ID", "")
    if not scope_id:
        return None
    channel_id, _, amojo_id = scope_id.partition("_")
    bot_id = environ.get("KOMMO_CHANNEL_BOT_ID", "")
    return ChannelConfig(scope_id=scope_id, channel_id=channel_id, amojo_id=amojo_id, bot_id=bot_id)


def _public_url(webhook_url: str) -> str:
    # Guides name the address of the webhook itself; one that is none must not keep the mesh from starting.
    base = webhook_url.partition("/api/")[0]
    return base if re.fullmatch(PUBLIC_URL, base) else ""


def _business_dir(environ: Mapping[str, str]) -> Path | None:
    return Path(environ["MESH_BUSINESS_DIR"]).resolve() if environ.get("MESH_BUSINESS_DIR") else None


def account_from_guide(environ: Mapping[str, str]) -> Account:
    """Return the account that the variables of an integration guide (`KOMMO_…`) describe."""
    channel = _guide_channel(environ)
    return Account(
        id=environ.get("KOMMO_ACCOUNT_ID", LOCAL_ACCOUNT_ID),
        subdomain=environ["KOMMO_ACCOUNT_SUBDOMAIN"],
        public_url=_public_url(environ.get("KOMMO_WEBHOOK_URL", "")),
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
    relay_url = environ.get("MESH_LOCAL_RELAY_URL", "")
    return Account(
        id=LOCAL_ACCOUNT_ID,
        subdomain="test",
        profile=_business_dir(environ),
        public_url=f"http://127.0.0.1:{environ.get('MESH_LOCAL_GATEWAY_PORT', '8080')}",
        integration_id="3b1f8c52-6d7e-5a90-b4c3-9e2f7a1d6058",
        guide_webhook="open",
        kommo_base_url=url,
        chats_base_url=url,
        requests_per_second=float(environ.get("MESH_LOCAL_REQUESTS_PER_SECOND", "7")),
        transports=("own_channel", "talk_message") if relay_url else ("talk_message",),
        channel=ChannelConfig(
            relay_url=relay_url,
            scope_id="7f3d2b1a-9c4e-5d68-8b07-2e6a1c5f9d34_1a5c6e0d-3f7b-5c19-9a86-0d2f4b6c8e10",
            channel_id="7f3d2b1a-9c4e-5d68-8b07-2e6a1c5f9d34",
            amojo_id="1a5c6e0d-3f7b-5c19-9a86-0d2f4b6c8e10",
            bot_id="5e8b7a90-4d1c-5f23-96e4-b3a2d1c0f987",
        ),
        # The one person of the simulator's account who has opened chats.
        user_amojo_ids=("eeb00b5e-89a6-52bf-a2bf-820704a2533c",),
        secrets={
            "webhook_secret": (SecretRef(value=SecretStr("local-webhook-secret")),),
            "access_token": (SecretRef(value=SecretStr("local-development-token")),),
            "channel_secret": (SecretRef(value=SecretStr("c0ffee5eed0f1eaf00d5afe7e57ab1e0decade11")),),
            "client_secret": (
                SecretRef(value=SecretStr("0ddba11c0ffee5eed0f1eaf00d5afe7e57ab1e0decade1100ddba11c0ffee5ee")),
            ),
            "relay_secret": (SecretRef(value=SecretStr("local-relay-secret")),),
        },
    )


def load_accounts(directory: Path | None, environ: Mapping[str, str]) -> Accounts:
    """Return the accounts of a directory; without one, the guide's account, or else the local default.

    Those of a directory follow its files: see `ReloadingAccounts`.

    Raises:
        AccountsInvalid: a file cannot be used, or two name the same account.
    """
    if directory is None:
        one = account_from_guide(environ) if environ.get("KOMMO_ACCOUNT_SUBDOMAIN") else local_account(environ)
        return Accounts.of(one)
    if not directory.is_dir():
        raise AccountsInvalid(directory, "no such directory; MESH_ACCOUNTS_DIR names it")
    return ReloadingAccounts(directory, float(environ.get("MESH_ACCOUNTS_RELOAD_SECONDS") or RELOAD_SECONDS))
