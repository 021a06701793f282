"""Command that builds the model file: `python -m intent_service.training`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from intent_service.adapters.model_files import MODEL_PATH, read_model
from intent_service.training.build import build, data_digest

DATA = Path(__file__).parents[3] / "data"


def main(arguments: list[str]) -> int:
    """Build the model unless the one that is there was built from the same phrases; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the phrases")
    parser.add_argument("--out", type=Path, default=MODEL_PATH, help="file to write")
    parser.add_argument("--check", action="store_true", help="only tell whether the model is fresh")
    options = parser.parse_args(arguments)
    fresh = options.out.is_file() and read_model(options.out).data_digest == data_digest(options.data)
    if options.check or fresh:
        sys.stdout.write(f"intent model: {'fresh' if fresh else 'stale'}\n")
        return 0 if fresh else 1
    started = time.monotonic()
    build(options.data, options.out)
    size_mb = options.out.stat().st_size / 1e6
    sys.stdout.write(f"intent model: built in {time.monotonic() - started:.0f} s, {size_mb:.1f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
