"""Structured logs: JSON on standard output, or pretty on a terminal."""

import logging
import sys
from typing import Any, cast

import orjson
import structlog

from kommomesh_runtime.settings import MeshSettings


def _orjson_bytes(event: Any, default: Any) -> bytes:
    return orjson.dumps(event, default=default)


def configure_logging(settings: MeshSettings) -> None:
    """Send every log line to standard output, in the format and from the level that the settings name."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    pretty = settings.log_format == "console" or (settings.log_format == "auto" and sys.stdout.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if pretty:
        # The default formatter prints local variables where `rich` is installed, and with them what clients wrote.
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        processors = [*shared, renderer]
        factory: Any = structlog.PrintLoggerFactory(sys.stdout)
    else:
        processors = [*shared, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(_orjson_bytes)]
        factory = structlog.BytesLoggerFactory(sys.stdout.buffer)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=factory,
        cache_logger_on_first_use=False,
    )


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """Return a logger; event names read `noun.verb_past`, values go into fields."""
    return cast(structlog.typing.FilteringBoundLogger, structlog.get_logger())
