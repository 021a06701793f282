"""Structured logs: JSON on standard output, or pretty on a terminal."""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, cast

import orjson
import structlog

from kommomesh_runtime.settings import MeshSettings


def _orjson_bytes(event: Any, default: Any) -> bytes:
    return orjson.dumps(event, default=default)


def _error_of(exc_info: Any) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    found = exc_info[1] if isinstance(exc_info, tuple) else sys.exc_info()[1]
    return cast(BaseException | None, found)


def _told(error: BaseException) -> str:
    """Return where an error was raised and what it is, with those that led to it, the first one first."""
    own = "".join(traceback.format_tb(error.__traceback__)) + f"{type(error).__module__}.{type(error).__qualname__}"
    if isinstance(error, BaseExceptionGroup):
        own = "\n".join([own, *(_told(one) for one in error.exceptions)])
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return own if before is None else f"{_told(before)}\n{own}"


def tell_errors(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Render the error of a line as frames and types alone.

    What an error says may quote what a client wrote: the value that did not fit, the row that was refused.
    """
    exc_info = event.pop("exc_info", None)
    error = _error_of(exc_info) if exc_info else None
    if error is not None:
        event["exception"] = _told(error)
    return event


def configure_logging(settings: MeshSettings) -> None:
    """Send every log line to standard output, in the format and from the level that the settings name."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    pretty = settings.log_format == "console" or (settings.log_format == "auto" and sys.stdout.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        tell_errors,
    ]
    if pretty:
        processors = [*shared, structlog.dev.ConsoleRenderer()]
        factory: Any = structlog.PrintLoggerFactory(sys.stdout)
    else:
        processors = [*shared, structlog.processors.JSONRenderer(_orjson_bytes)]
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
