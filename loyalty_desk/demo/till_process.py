"""A till in a process of its own whose window is worked by key and mouse events sent from here.

The other end is `hands.py`. One JSON object a line each way, so that a test can kill the till at any moment.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from loyalty_desk.demo.processes import ProcessFailed, start

ANSWER_SECONDS = 30.0
START_SECONDS = 60.0

type State = dict[str, object]


class TillProcess:
    """The till's process. Every call waits for its answer; a till that died raises `ProcessFailed`."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str], log: Path, *, language: str = "ru") -> None:
        self._data_dir = data_dir
        self._environment = environment
        self._log = log
        self._language = language
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[State | None] = queue.Queue()
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        """Start and wait until the window has been painted."""
        arguments = [sys.executable, "-m", "loyalty_desk.demo.hands", str(self._data_dir), self._language]
        with self._log.open("ab") as log:
            self._process = start(
                arguments, self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        self._answers = queue.Queue()
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        self._reader = threading.Thread(target=_read, args=(self._process.stdout, self._answers), daemon=True)
        self._reader.start()
        self._answer("to paint its window", START_SECONDS)

    def do(self, what: str, **details: object) -> State:
        """Do one thing at the window and return what came of it."""
        process = self._process
        if process is None or process.stdin is None:
            raise ProcessFailed("the till does not run")
        try:
            process.stdin.write(json.dumps({"do": what, **details}).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError as error:
            raise ProcessFailed(self._last_words()) from error
        return self._answer(f"to {what}", ANSWER_SECONDS)

    def state(self) -> State:
        """Return what the window shows."""
        return self.do("state")

    def wait_for(self, is_so: Callable[[State], bool], what: str, seconds: float = 20.0) -> State:
        """Look at the window until it is so; raises `TimeoutError` with what it shows instead."""
        end = time.monotonic() + seconds
        while not is_so(state := self.state()):
            if time.monotonic() > end:
                shown = self._log.with_name("window.json")
                shown.write_text(json.dumps(state, indent=1, ensure_ascii=False), encoding="utf-8")
                raise TimeoutError(f"waited {seconds:.0f} s for {what}; what the window showed is in {shown}")
            time.sleep(0.05)
        return state

    def wait_for_death(self, seconds: float = 20.0) -> int:
        """Wait for the process to end by itself and return its code, negative for a signal."""
        if self._process is None:
            raise ProcessFailed("the till does not run")
        code = self._process.wait(seconds)
        self._let_go()
        return code

    def stop(self) -> None:
        """Close the window as a person does and wait; a till that does not close is killed, and that is an error."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(20)
        finally:
            self._let_go()

    def kill(self) -> None:
        """SIGKILL, where it still runs."""
        self._let_go()

    def _let_go(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        if self._reader is not None:
            self._reader.join(10)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def _answer(self, what: str, seconds: float) -> State:
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(f"the till did not answer within {seconds:.0f} s when asked {what}") from None
        if answer is None:
            raise ProcessFailed(self._last_words())
        if "failed" in answer:
            raise ProcessFailed(f"asked {what}: {answer['failed']}")
        return answer

    def _last_words(self) -> str:
        last = self._log.read_text(errors="replace").strip().splitlines()[-15:]
        return "the till ended:\n" + "\n".join(last)


def _read(pipe: IO[bytes], answers: queue.Queue[State | None]) -> None:
    for line in pipe:
        answers.put(json.loads(line))
    answers.put(None)
