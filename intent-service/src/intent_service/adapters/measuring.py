"""Measures an analyzer on this machine: start, latency, throughput, memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from intent_service.domain.analyzer import Analyzer, Request

_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Figures:
    """What one message costs, in milliseconds of one core, and what a process costs."""

    start_seconds: float
    median_ms: float
    p99_ms: float
    messages_a_core_second: float
    peak_memory_mb: float


def measure(build: Callable[[], Analyzer], texts: Sequence[str]) -> Figures:
    """Return the figures of an analyzer over at least one text; takes a few seconds."""
    started = time.perf_counter()
    analyzer = build()
    start_seconds = time.perf_counter() - started
    # The batch first, each text once: equal texts cost nothing, and words seen before cost less.
    requests = [Request(text) for text in dict.fromkeys(texts)]
    cpu_started = time.process_time()
    analyzer.analyze_many(requests)
    cpu_seconds = time.process_time() - cpu_started
    spans = sorted(_span(analyzer, text) for _ in range(_ROUNDS) for text in texts)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Figures(
        start_seconds,
        spans[len(spans) // 2] * 1e3,
        spans[int(len(spans) * 0.99)] * 1e3,
        len(requests) / max(1e-9, cpu_seconds),
        peak_mb,
    )


def _span(analyzer: Analyzer, text: str) -> float:
    started = time.thread_time()
    analyzer.analyze(text)
    return time.thread_time() - started
