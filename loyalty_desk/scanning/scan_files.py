"""`loyalty-desk scan`: what the till's own decoder reads in pictures and videos.

Texts are the codes' bytes as UTF-8 where they are valid UTF-8, else as the charset the code declares or zxing-cpp takes
for likelier (Shift-JIS, ISO 8859-1); so every text is whole, and JSON can hold it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from loyalty_desk.scanning.images import IMAGE_SUFFIXES, VIDEO_SUFFIXES, UnreadableImageError, read_image

if TYPE_CHECKING:
    from loyalty_desk.scanning.decoding import Decoder


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What was read in one file. `ms` is CPU time of reading codes, without opening the file.

    `texts` holds each text once, in the order of reading. `problem` is a sentence where the file could not be read.
    """

    file: str
    texts: list[str] = field(default_factory=list)
    ms: float = 0.0
    problem: str | None = None


def scan_paths(paths: Iterable[Path], decoder: Decoder | None = None) -> Iterator[ScanResult]:
    """Read files and folders (their pictures and videos, by name, not deeper) one after the other."""
    from loyalty_desk.scanning.decoding import THOROUGH_BUDGET_MS, CascadeDecoder, warm_up

    decoder = decoder or CascadeDecoder(THOROUGH_BUDGET_MS)
    warm = False
    for path in paths:
        for file, problem in _files(path):
            if problem is not None:
                yield ScanResult(str(file), problem=problem)
                continue
            if not warm:
                warm_up(decoder)
                warm = True
            yield _scan_video(file, decoder) if file.suffix.lower() in VIDEO_SUFFIXES else _scan_image(file, decoder)


def scan_command(paths: Iterable[Path], *, as_json: bool = False) -> int:
    """Print one line a file, sentences about unreadable files on stderr; return the exit code, 1 if there were any."""
    worst = 0
    try:
        for result in scan_paths(paths):
            if result.problem is not None:
                worst = 1
                _print(result.problem, sys.stderr)
            elif as_json:
                _print(_quoted({"file": result.file, "texts": result.texts, "ms": round(result.ms, 2)}), sys.stdout)
            else:
                shown = "  ".join(_quoted(text) for text in result.texts) or "no code"
                _print(f"{result.file}: {shown} ({result.ms:.1f} ms)", sys.stdout)
    except BrokenPipeError:
        # `… | head` has seen enough; without this Python would complain once more while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return worst


def _quoted(value: object) -> str:
    """Return JSON that the terminal or file behind stdout can hold."""
    return json.dumps(value, ensure_ascii=(sys.stdout.encoding or "").lower().replace("-", "") != "utf8")


def _print(line: str, stream: TextIO) -> None:
    # A file's name may hold bytes that are no text at all, and a Windows console knows 256 letters.
    encoding = stream.encoding or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def _files(path: Path) -> Iterator[tuple[Path, str | None]]:
    try:
        if not path.is_dir():
            is_other = path.exists() and not path.is_file()
            yield path, f"{path} is not a file." if is_other else None
            return
        known = IMAGE_SUFFIXES | VIDEO_SUFFIXES
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in known and file.is_file())
    except OSError as error:
        yield path, f"{path} cannot be opened: {error.strerror or error}."
        return
    if not found:
        yield path, f"There are no pictures or videos in {path}."
    for file in found:
        yield file, None


def _scan_image(file: Path, decoder: Decoder) -> ScanResult:
    try:
        frame = read_image(file)
    except UnreadableImageError as error:
        return ScanResult(str(file), problem=str(error))
    started = time.process_time()
    texts = [reading.text for reading in decoder.decode(frame)]
    return ScanResult(str(file), texts, (time.process_time() - started) * 1000)


def _scan_video(file: Path, decoder: Decoder) -> ScanResult:
    """Every frame, as a till would see them; a code shown for long is one text."""
    from loyalty_desk.scanning.frames import EndOfFramesError, SourceUnavailableError, VideoFile

    try:
        stream = VideoFile(file, fps=None).open()
    except SourceUnavailableError as error:
        return ScanResult(str(file), problem=str(error))
    texts: dict[str, None] = {}
    spent = 0.0
    frames = 0
    try:
        while (frame := stream.read()) is not None:
            frames += 1
            started = time.process_time()
            texts.update((reading.text, None) for reading in decoder.decode(frame))
            spent += time.process_time() - started
    except EndOfFramesError:
        pass  # the way out of every video
    finally:
        stream.close()
    if not frames:
        return ScanResult(str(file), problem=f"{file} holds no pictures.")
    return ScanResult(str(file), list(texts), spent * 1000)
