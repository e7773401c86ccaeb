"""Faults of ours: written to a file without anybody's data, and told to the cashier in one calm sentence.

A report holds the traceback's lines and versions, no values: locals hold guests.
"""

from __future__ import annotations

import faulthandler
import logging
import platform
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import TextIO

from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler, qVersion

import loyalty_desk

_log = logging.getLogger(__name__)
KEPT_REPORTS = 20


class CrashReports:
    """Writes reports into a folder. The same fault is written once a run."""

    def __init__(self, folder: Path, tell: Callable[[], object] = lambda: None) -> None:
        self._folder = folder
        self._tell = tell
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self._native: TextIO | None = None

    def install(self) -> None:
        """Catch what nobody else catches: on the main thread, in other threads, in Qt, in native code."""
        sys.excepthook = self._on_exception
        threading.excepthook = self._on_thread_exception
        qInstallMessageHandler(self._on_qt_message)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._native = (self._folder / "native.txt").open("a", encoding="utf-8")
            faulthandler.enable(self._native)
        except OSError:
            # A read-only folder takes no reports; the console still gets them.
            faulthandler.enable()

    def uninstall(self) -> None:
        """Give the hooks back."""
        sys.excepthook = sys.__excepthook__
        threading.excepthook = threading.__excepthook__
        qInstallMessageHandler(None)
        faulthandler.disable()
        if self._native is not None:
            self._native.close()
            self._native = None

    def report(self, error: BaseException, where: str = "") -> Path | None:
        """Write a report; return its file, None where it was written before or cannot be."""
        lines = _described(error)
        key = sha256("".join(lines).encode()).hexdigest()
        with self._lock:
            if key in self._seen:
                return None
            self._seen.add(key)
        _log.error("fault in %s: %s", where or "the program", "".join(lines))
        now = datetime.now(UTC)
        head = (
            f"Loyalty Desk {loyalty_desk.__version__}, Python {platform.python_version()}, Qt {qVersion()}, "
            f"{platform.platform()}\n{now:%Y-%m-%d %H:%M:%S} UTC, thread {threading.current_thread().name} {where}\n\n"
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            target = self._folder / f"crash-{now:%Y%m%d-%H%M%S}-{key[:8]}.txt"
            target.write_text(head + "".join(lines), encoding="utf-8")
            self._forget_old()
        except OSError:
            sys.stderr.write(head + "".join(lines))
            return None
        return target

    def _forget_old(self) -> None:
        reports = sorted(self._folder.glob("crash-*.txt"))
        for old in reports[:-KEPT_REPORTS]:
            old.unlink(missing_ok=True)

    def _on_exception(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        self.report(error)
        self._tell()

    def _on_thread_exception(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            self.report(args.exc_value, args.thread.name if args.thread else "")
            self._tell()

    def _on_qt_message(self, kind: QtMsgType, context: QMessageLogContext, message: str | None) -> None:
        place = f" ({context.file}:{context.line})" if context.file else ""
        text = f"{message or ''}{place}"
        if kind in (QtMsgType.QtDebugMsg, QtMsgType.QtInfoMsg):
            _log.debug("Qt: %s", text)
        elif kind is QtMsgType.QtWarningMsg:
            _log.warning("Qt: %s", text)
        else:
            self.report(RuntimeError(f"Qt: {text}"))


def _described(error: BaseException) -> list[str]:
    """Return the traceback without the values of a message: only what names code, and the error's kind."""
    lines = ["Traceback (most recent call last):\n", *traceback.format_tb(error.__traceback__)]
    lines.append(f"{type(error).__module__}.{type(error).__qualname__}\n")
    if isinstance(error, RuntimeError | TypeError | AttributeError | AssertionError | ImportError):
        # The text of these is written by programmers about programs.
        lines.append(f"{error}\n")
    if error.__cause__ is not None:
        lines += ["caused by\n", *_described(error.__cause__)]
    return lines
