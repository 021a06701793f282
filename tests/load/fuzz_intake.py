"""Feeds hostile bodies to both parsers and to a running gateway: `make fuzz`, or `fuzz_intake.py --seconds 20`.

What it looks for: an error that is not one of the documented ones, an answer of 500, an input that takes too long,
memory that grows. It prints what it did, and ends with 1 when it found something.
"""

import argparse
import hashlib
import hmac
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "deploy" / "local")]

import httpx  # noqa: E402
import jwt  # noqa: E402
import psutil  # noqa: E402
from fuzzed_processes import (  # noqa: E402
    CHANNEL_SECRET,
    CLIENT_SECRET,
    INTEGRATION,
    MOST_ANSWER_SECONDS,
    SCOPE,
    Parsers,
    running_gateway,
    running_parsers,
    wait_until_up,
)
from hostile_bodies import FORM_BODIES, FORM_BOMBS, FORMS, JSON_BODIES, JSON_BOMBS, JSONS  # noqa: E402
from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

# A body may have a megabyte; the slowest takes a fraction of this on one slow core.
MOST_CPU_SECONDS = 1.0
MOST_GROWTH_MB = {"parsers": 32, "gateway": 32}
BATCH = 300
LONG_SECONDS = 30
HTTP_EVERY = 10
ALLOWED = {200, 400, 401, 413, 415}


@dataclass
class Tally:
    """What has been done so far."""

    ends_at: float
    batch: int = BATCH
    inputs: Counter[str] = field(default_factory=Counter)
    results: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=lambda: {"parsers": 0.0, "gateway": 0.0})

    def took(self, where: str, seconds: float, most: float) -> None:
        self.slowest[where] = max(self.slowest[where], seconds)
        assert seconds < most, f"an input took {seconds:.2f} s ({where})"


def parsed(tally: Tally, parsers: Parsers, kind: str, body: bytes) -> None:
    """Have a body read; a documented refusal is as good as success."""
    seconds, result = parsers.ask(kind, body)
    assert not result.startswith("!"), result
    tally.inputs[kind] += 1
    tally.results[f"{kind}: {result}"] += 1
    tally.took("parsers", seconds, MOST_CPU_SECONDS)


def widget_token() -> str:
    """Return a token with which a Salesbot's request goes all the way."""
    claims = {"iss": "https://fixture-tiendaaurora.kommo.com", "aud": "https://hooks.example.com", "exp": 4_000_000_000}
    own = {"account_id": 31874205, "client_uuid": INTEGRATION, "entity_type": 2, "entity_id": 7}
    return jwt.encode(claims | own, CLIENT_SECRET, algorithm="HS512")


TOKEN = widget_token()


def requests_of(kind: str, body: bytes) -> Iterator[tuple[str, dict[str, str], bytes]]:
    """Give the requests that bring a body to the gateway, each past its authentication where there is one."""
    if kind == "form":
        form = {"content-type": "application/x-www-form-urlencoded"}
        yield "/api/kommo/webhook/fixture-webhook-secret", form, body
        yield "/api/kommo/salesbot/31874205", form, b"token=" + TOKEN.encode() + b"&" + body
        return
    signature = hmac.new(CHANNEL_SECRET.encode(), body, hashlib.sha1).hexdigest()
    yield "/api/kommo/webhook", {"content-type": "application/json"}, body
    yield f"/api/kommo/chats/{SCOPE}", {"x-signature": signature}, body
    with_token = body.replace(b'"token"', b'"token":"' + TOKEN.encode() + b'","x"', 1)
    yield "/api/kommo/salesbot/31874205", {"content-type": "application/json"}, with_token


def posted(tally: Tally, client: httpx.Client, kind: str, body: bytes) -> None:
    """Post a body wherever its kind belongs, and look at the answers."""
    for path, headers, content in requests_of(kind, body):
        started = time.monotonic()
        answer = client.post(path, content=content, headers=headers)
        tally.took("gateway", time.monotonic() - started, MOST_ANSWER_SECONDS)
        tally.inputs["posted"] += 1
        tally.results[f"posted: {answer.status_code}"] += 1
        assert answer.status_code in ALLOWED, f"{path} answered {answer.status_code}"


def posted_token(tally: Tally, client: httpx.Client, token: str) -> None:
    """Post a Salesbot's request with a damaged token."""
    body = {"token": token, "return_url": "https://fixture-tiendaaurora.kommo.com/api/v4/salesbot/1/continue/1"}
    answer = client.post("/api/kommo/salesbot/31874205", json=body)
    tally.inputs["tokens"] += 1
    assert answer.status_code == 401 or token == TOKEN, f"a damaged token was answered {answer.status_code}"


@st.composite
def damaged_tokens(draw: st.DrawFn) -> str:
    """Give a token in which something was replaced."""
    at = draw(st.integers(0, len(TOKEN)))
    put = draw(
        st.text("ABCxyz019-_.=+/ñ\x00[{", max_size=6) | st.sampled_from(["W1tb" * 600, "e30", "eyJhbGciOiJub25lIn0"])
    )
    return TOKEN[:at] + put + TOKEN[at + draw(st.integers(1, 12)) :]


def run_batch(tally: Tally, parsers: Parsers, client: httpx.Client, number: int) -> None:
    """Feed one batch; Hypothesis tells the smallest body that fails."""
    usual = settings(
        max_examples=tally.batch,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )

    def feed(kind: str, body: bytes) -> None:
        if time.monotonic() > tally.ends_at:
            return
        parsed(tally, parsers, kind, body)
        if tally.inputs[kind] % HTTP_EVERY == 0:
            posted(tally, client, kind, body)

    @seed(number)
    @usual
    @given(FORM_BODIES)
    def forms(body: bytes) -> None:
        feed("form", body)

    @seed(number)
    @usual
    @given(JSON_BODIES)
    def jsons(body: bytes) -> None:
        feed("json", body)

    @seed(number)
    @settings(usual, max_examples=tally.batch // 20)
    @given(damaged_tokens())
    def tokens(token: str) -> None:
        posted_token(tally, client, token)

    for feeding in (forms, jsons, tokens):
        feeding()


def megabytes(pids: dict[str, int]) -> dict[str, float]:
    """Return the resident memory of processes."""
    return {name: psutil.Process(pid).memory_info().rss / 2**20 for name, pid in pids.items()}


def report(tally: Tally, before: dict[str, float], after: dict[str, float], batches: int) -> bool:
    """Print what was done; return whether memory stayed within its bounds."""
    print(f"inputs: {dict(sorted(tally.inputs.items()))} in {batches} batches")
    for name, count in sorted(tally.results.items()):
        print(f"  {name:<28} {count:>9}")
    print(
        f"slowest input: parsers {tally.slowest['parsers']:.3f} s of CPU (limit {MOST_CPU_SECONDS}), "
        f"gateway {tally.slowest['gateway']:.3f} s (limit {MOST_ANSWER_SECONDS})"
    )
    is_flat = True
    for name, limit in MOST_GROWTH_MB.items():
        grown = after[name] - before[name]
        is_flat = is_flat and grown < limit
        print(
            f"memory of {name}: {before[name]:.1f} MB after warming up, {after[name]:.1f} MB at the end, "
            f"grown by {grown:.1f} MB (limit {limit})"
        )
    return is_flat


def warm_up(tally: Tally, parsers: Parsers, client: httpx.Client) -> None:
    """Feed every recorded and every largest body once, so that memory has what it needs for them."""
    for kind, bodies in (("form", [*FORMS, *FORM_BOMBS]), ("json", [*JSONS, *JSON_BOMBS])):
        for body in bodies:
            parsed(tally, parsers, kind, body)
            posted(tally, client, kind, body)


def run(parsers: Parsers, client: httpx.Client, pid: int, seconds: float, first_seed: int) -> bool:
    """Feed bodies for some time; return whether memory stayed within its bounds.

    Raises:
        AssertionError: what was found; Hypothesis has printed the body.
    """
    pids = {"parsers": parsers.process.pid, "gateway": pid}
    started = time.monotonic()
    tally, batches = Tally(started + seconds, BATCH if seconds > LONG_SECONDS else BATCH // 5), 0
    warm_up(tally, parsers, client)
    before = megabytes(pids)
    while time.monotonic() < tally.ends_at:
        run_batch(tally, parsers, client, first_seed + batches)
        batches += 1
        if time.monotonic() < started + seconds / 5:
            before = megabytes(pids)
    return report(tally, before, megabytes(pids), batches)


def main(given_arguments: Sequence[str] | None = None) -> int:
    """Run for the time that is asked for; return 0 when nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long to go on")
    parser.add_argument(
        "--seed", type=int, default=1, help="number of the first batch; the same one gives the same bodies"
    )
    arguments = parser.parse_args(given_arguments)
    with (
        tempfile.TemporaryDirectory(prefix="fuzz-") as folder,
        running_gateway(Path(folder)) as (url, pid),
        running_parsers() as parsers,
        httpx.Client(base_url=url, timeout=MOST_ANSWER_SECONDS, trust_env=False) as client,
    ):
        wait_until_up(client)
        return 0 if run(parsers, client, pid, arguments.seconds, arguments.seed) else 1


if __name__ == "__main__":
    sys.exit(main())
