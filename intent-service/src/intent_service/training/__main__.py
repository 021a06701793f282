"""Command that builds the model file: `python -m intent_service.training`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from intent_service.adapters.model_files import MODEL_PATH, read_model
from intent_service.training.build import SEED, build, data_digest
from intent_service.training.corpus import plain_phrases, written_phrases
from intent_service.training.held_out import hold_out, too_near

DATA = Path(__file__).parents[3] / "data"


def main(arguments: list[str]) -> int:
    """Build the model unless the one that is there was built from the same phrases; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the phrases")
    parser.add_argument("--out", type=Path, default=MODEL_PATH, help="file to write")
    parser.add_argument("--check", action="store_true", help="only tell whether the model is fresh")
    parser.add_argument("--hold-out", type=Path, help="JSON lines whose sentences, and what is near them, to keep out")
    options = parser.parse_args(arguments)
    if options.hold_out:
        return _hold_out(options.data, options.hold_out)
    fresh = options.out.is_file() and read_model(options.out).data_digest == data_digest(options.data)
    if options.check or fresh:
        sys.stdout.write(f"intent model: {'fresh' if fresh else 'stale'}\n")
        return 0 if fresh else 1
    started = time.monotonic()
    build(options.data, options.out)
    size_mb = options.out.stat().st_size / 1e6
    sys.stdout.write(f"intent model: built in {time.monotonic() - started:.0f} s, {size_mb:.1f} MB\n")
    return 0


def _hold_out(data: Path, file: Path) -> int:
    sentences = list(dict.fromkeys(_sentences(file)))
    # Another edit of the templates makes another choice of their sentences: several choices are looked at.
    plains = [plain_phrases(data, seed) for seed in range(SEED, SEED + 8)]
    phrases = [*chain.from_iterable(plains), *written_phrases(plains[0], data, SEED)]
    near = too_near((phrase.text for phrase in phrases), sentences)
    added = hold_out(data, [*sentences, *(phrase for found in near.values() for phrase in found)])
    sys.stdout.write(f"held out: {len(near)} sentences had phrases near them; {added} digests added\n")
    return 0


def _sentences(file: Path) -> Iterator[str]:
    """Yield the texts of single messages, and those of the customer in conversations."""
    for line in file.read_text("utf-8").splitlines():
        item = json.loads(line)
        yield from [item["text"]] if "text" in item else ()
        yield from (said["text"] for said in item.get("messages", ()) if said["role"] == "user")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
