"""Structured logging to stderr: one JSON object per event, or readable lines for a terminal.

Every event passes the redactor last, whoever wrote it. Code logs events with fields
(`log.info("page_applied", rows=50)`) and binds what is true for a whole job once.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TextIO

import structlog

from worker.redaction import Redactor


if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, MutableMapping

    from structlog.typing import Processor


LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["json", "console"]

# These log addresses, headers or frames; at DEBUG some of them would log our tokens.
NOISY_LOGGERS = (
    "apscheduler",
    "asyncio",
    "h2",
    "hpack",
    "httpcore",
    "httpx",
    "postgrest",
    "realtime",
    "supabase",
    "websockets",
)


def configure_logging(
    level: LogLevel = "info",
    log_format: LogFormat = "json",
    *,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Send all logging of this process, the standard library's included, through one pipeline.

    `secrets` are texts to hide wherever they appear; see `Settings.secrets`.
    """
    redactor = Redactor(tuple(secrets))
    target = sys.stderr if stream is None else stream
    numeric = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # Loggers exist before this is called; they must pick up what it configures.
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                _Redaction(redactor),
                _renderer(log_format, target),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(numeric)
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(max(numeric, logging.WARNING))
    if numeric > logging.DEBUG:
        # It tells every refused try as an error; worker.subscription tells a loss once.
        logging.getLogger("realtime").setLevel(logging.CRITICAL)


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Add fields to every event inside a `with` block, in this task and those it starts."""
    tokens = structlog.contextvars.bind_contextvars(**fields)
    try:
        yield
    finally:
        structlog.contextvars.reset_contextvars(**tokens)


class _Redaction:
    """The processor that runs before rendering; its result is plain data."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        return {
            key: self._redactor.value(value, name="" if key == "event" else key)
            for key, value in event.items()
        }


def _renderer(log_format: LogFormat, target: TextIO) -> Processor:
    if log_format == "console":
        return structlog.dev.ConsoleRenderer(colors=target.isatty())
    return structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
