"""Where a Salesbot may be continued: the account's own Kommo and nothing that merely looks like it."""

import pytest

from kommomesh_runtime.accounts import Account
from kommomesh_runtime.return_urls import is_return_url

PATH = "/api/v4/salesbot/48211/continue/90017"
HOST = "https://mybusiness.kommo.com"


@pytest.mark.parametrize(
    ("url", "account"),
    [
        (f"{HOST}{PATH}", {}),
        (f"{HOST}/api/v4/salesbot/1/continue/a9_-Z", {}),
        (f"https://mybusiness.amocrm.ru{PATH}", {"domain": "amocrm.ru"}),
        (f"http://127.0.0.1:8090{PATH}", {"kommo_base_url": "http://127.0.0.1:8090"}),
        (f"http://localhost:8090{PATH}", {"kommo_base_url": "http://localhost:8090/"}),
        (f"http://[::1]:8090{PATH}", {"kommo_base_url": "http://[::1]:8090"}),
        (f"{HOST}{PATH}", {"kommo_base_url": "http://127.0.0.1:8090"}),
    ],
)
def test_given_kommos_own_address_when_looked_at_then_it_may_be_continued(url, account):
    assert is_return_url(url, Account(id="1", subdomain="mybusiness", **account))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "{{return_url}}",
        PATH,
        f"http://mybusiness.kommo.com{PATH}",
        f"https://other.kommo.com{PATH}",
        f"https://kommo.com{PATH}",
        f"https://mybusiness.kommo.com.example.org{PATH}",
        f"https://mybusiness.kommo.com@example.org{PATH}",
        f"https://user:word@mybusiness.kommo.com{PATH}",
        f"https://mybusiness.kommo.com:8443{PATH}",
        f"https://example.org/{HOST}{PATH}",
        f"https://example.org\\@mybusiness.kommo.com{PATH}",
        f"https://mybusiness.kommo.com\\.example.org{PATH}",
        f"https://mybusiness\u3002kommo.com{PATH}",
        f"https://MYBUSINESS.kommo.com.{PATH}",
        f"//mybusiness.kommo.com{PATH}",
        f" {HOST}{PATH}",
        f"{HOST}{PATH} ",
        f"{HOST}{PATH}\n",
        f"{HOST}{PATH}\r\nHost: example.org",
        f"{HOST}{PATH}?next=https://example.org",
        f"{HOST}{PATH}#x",
        f"{HOST}{PATH}/",
        f"{HOST}{PATH}/../../../leads",
        f"{HOST}/api/v4/salesbot/48211/continue/..",
        f"{HOST}/api/v4/salesbot/../leads/continue/1",
        f"{HOST}/api/v4/salesbot/48211/continue/%2e%2e",
        f"{HOST}/api/v4/salesbot/48211/continue/",
        f"{HOST}/api/v4/salesbot//continue/1",
        f"{HOST}/api/v4/salesbot/\u0661/continue/1",
        f"{HOST}/api/v4/leads",
        f"{HOST}//api/v4/salesbot/1/continue/1",
        f"javascript:{HOST}{PATH}",
        f"{HOST}/api/v4/salesbot/1/continue/{'1' * 600}",
        f"http://127.0.0.1:8090{PATH}",
    ],
)
def test_given_any_other_address_when_looked_at_then_it_never_gets_the_token(url):
    assert not is_return_url(url, Account(id="1", subdomain="mybusiness"))


@pytest.mark.parametrize("base", ["http://10.0.0.7:8090", "http://kommo-proxy:8090", "https://169.254.169.254"])
def test_given_a_base_url_off_this_machine_when_looked_at_then_only_the_accounts_host_will_do(base):
    account = Account(id="1", subdomain="mybusiness", kommo_base_url=base)
    assert not is_return_url(f"{base}{PATH}", account)
    assert is_return_url(f"{HOST}{PATH}", account)
