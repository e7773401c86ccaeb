"""Structured logs: one JSON object a line on stderr, with ids and codes, never a name, a phone, a code or a secret."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """An object a record: time, level, logger, event, and what was passed as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        fields |= {key: value for key, value in record.__dict__.items() if key not in _OWN}
        if record.exc_info:
            # The traceback alone: an exception's own text may quote what somebody typed.
            fields["error"] = record.exc_info[0].__name__ if record.exc_info[0] else None
            fields["where"] = _places(record)
        return json.dumps(fields, ensure_ascii=False, default=str)


def configure(*, dev: bool = False) -> None:
    """Send everything to stderr as JSON lines; `dev` shows what is being debugged."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.DEBUG if dev else logging.INFO, handlers=[handler], force=True)
    for noisy in ("asyncio", "sqlalchemy.engine", "alembic", "apscheduler"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _places(record: logging.LogRecord) -> list[str]:
    if not record.exc_info or record.exc_info[2] is None:
        return []
    import traceback

    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(record.exc_info[2])[-12:]]
