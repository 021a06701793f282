"""Which links may lead to a file of an account."""

import pytest

from kommomesh_runtime.accounts import Account
from kommomesh_runtime.media_links import MediaLink, media_link, shown_name

REAL = Account(id="1", subdomain="fixture-tiendaaurora")
LOCAL = Account(
    id="1", subdomain="test", kommo_base_url="http://127.0.0.1:8090", chats_base_url="http://127.0.0.1:8090"
)
FILE = "/v2/1fc0353a-290f-5d64-b8fe-3d6f809da6fa/attachments/6a1d/comprobante.pdf"


@pytest.mark.parametrize(
    "url",
    [
        f"https://amojo.kommo.com{FILE}",
        f"https://AMOJO.KOMMO.COM:443{FILE}?v=1",
        "https://fixture-tiendaaurora.kommo.com/download/1",
        "https://drive-c.kommo.com/download/6a1d/file.jpg",
    ],
)
def test_given_link_to_kommos_hosts_when_looked_at_then_allowed_and_never_local(url):
    link = media_link(url, REAL)
    assert isinstance(link, MediaLink)
    assert (link.scheme, link.port, link.is_local) == ("https", 443, False)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"http://amojo.kommo.com{FILE}", "not_https"),
        (f"https://amojo.kommo.com:8443{FILE}", "foreign_port"),
        ("https://other.kommo.com/file.pdf", "foreign_host"),
        ("https://amojo.kommo.com.evil.example/file.pdf", "foreign_host"),
        ("https://evil.example/amojo.kommo.com/file.pdf", "foreign_host"),
        ("https://drive-c.evil.example/file.pdf", "foreign_host"),
        ("https://evil.drive-c.kommo.com/file.pdf", "foreign_host"),
        ("https://evilamojo.kommo.com/file.pdf", "foreign_host"),
        ("https://amojo.amocrm.ru/attachments/file.pdf", "foreign_host"),
        ("https://169.254.169.254/latest/meta-data", "foreign_host"),
        ("http://127.0.0.1:8090/media/1/file.pdf", "not_https"),
        ("https://user@amojo.kommo.com/file.pdf", "link_malformed"),
        ("https://amojo.kommo.com@evil.example/file.pdf", "link_malformed"),
        ("https://amojo.kommo.com\\@evil.example/", "link_malformed"),
        ("https://amojo.kommo.com/a b", "link_malformed"),
        ("https://amojo.kommo.com/\nHost: evil", "link_malformed"),
        ("https://amojo.kommo.c\u043em/file.pdf", "link_malformed"),
        ("https://[::1]/file.pdf", "link_malformed"),
        ("file:///etc/passwd", "link_malformed"),
        ("//amojo.kommo.com/file.pdf", "link_malformed"),
        ("", "link_malformed"),
        ("https://amojo.kommo.com/" + "a" * 2048, "link_too_long"),
    ],
)
def test_given_link_elsewhere_when_looked_at_then_reason_told(url, reason):
    assert media_link(url, REAL) == reason


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:8090/media/1/image.jpeg", True),
        ("http://127.0.0.1:8091/media/1/image.jpeg", False),
        ("https://127.0.0.1:8090/media/1/image.jpeg", False),
        ("http://localhost:8090/media/1/image.jpeg", False),
        (f"https://amojo.kommo.com{FILE}", True),
    ],
)
def test_given_account_of_the_simulator_when_looked_at_then_its_very_origin_allowed(url, allowed):
    assert isinstance(media_link(url, LOCAL), MediaLink) == allowed


def test_given_plain_http_base_that_is_not_this_machine_when_looked_at_then_not_allowed():
    account = Account(id="1", subdomain="test", kommo_base_url="http://10.0.0.7")
    assert media_link("http://10.0.0.7/file.pdf", account) == "not_https"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("comprobante.pdf", "comprobante.pdf"),
        ("../../etc/pass wd", "pass wd"),
        ("C:\\fotos\\foto.png", "foto.png"),
        ("a\nb\x00c\u202egnp.exe", "a bcgnp.exe"),
        ("x" * 300, "x" * 120),
        ("", ""),
    ],
)
def test_given_file_name_when_shown_then_one_safe_line(name, shown):
    assert shown_name(name) == shown
