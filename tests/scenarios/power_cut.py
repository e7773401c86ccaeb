"""A disk whose power is cut: what was written and not synced is lost, kept or torn, write by write, in any order.

The layer lies under the cipher (`multipleciphers-NAME`), so that journal and cache are opened as they ship. The
witness, which is no database, is led over the same disk by `leads`. Nothing is really synced: the durable image is
kept here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import apsw

from loyalty_desk.store import witness

SECTOR = 512


class _Kept:
    """One file: its image as of the last sync, and what was written since."""

    def __init__(self, image: bytes) -> None:
        self.durable = bytearray(image)
        self.pending: list[tuple[int, bytes | None]] = []

    def write(self, offset: int, data: bytes) -> None:
        self.pending.append((offset, data))

    def truncate(self, size: int) -> None:
        self.pending.append((size, None))

    def sync(self) -> None:
        for offset, data in self.pending:
            _apply(self.durable, offset, data)
        self.pending.clear()

    def after_cut(self, random: Random) -> bytes:
        """Return what is found at the next start."""
        image = bytearray(self.durable)
        for offset, data in self.pending:
            chance = random.random()
            if chance < 0.4:
                continue
            if data is not None and chance < 0.7:
                # Torn: some of the sectors it touches have arrived.
                for start in range(0, len(data), SECTOR):
                    if random.random() < 0.5:
                        _apply(image, offset + start, data[start : start + SECTOR])
                continue
            _apply(image, offset, data)
        return bytes(image)


def _apply(image: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del image[offset:]
        return
    if len(image) < offset:
        image.extend(bytes(offset - len(image)))
    image[offset : offset + len(data)] = data


class PowerCutDisk:
    """Power fails at the `cut_at`-th write from now on; None: it does not. Everything after it fails."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.off = False
        self.cut_at: int | None = None
        self.written = 0
        self._files: dict[str, _Kept] = {}
        disk = self

        class File(apsw.VFSFile):
            def __init__(self, name: Any, flags: Any) -> None:
                super().__init__("", name, flags)
                self._path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
                disk.kept(self._path)

            def xWrite(self, data: bytes, offset: int) -> None:
                disk.meet_write()
                super().xWrite(data, offset)
                disk.kept(self._path).write(offset, bytes(data))

            def xTruncate(self, size: int) -> None:
                disk.meet_write()
                super().xTruncate(size)
                disk.kept(self._path).truncate(size)

            def xSync(self, flags: int) -> None:
                disk.meet()
                disk.kept(self._path).sync()

            def xRead(self, amount: int, offset: int) -> bytes:
                disk.meet()
                return super().xRead(amount, offset)

        class Layer(apsw.VFS):
            def __init__(self) -> None:
                super().__init__(disk.name, "")

            def xOpen(self, name: Any, flags: Any) -> Any:
                disk.meet()
                return File(name, flags)

            def xDelete(self, name: str, sync_dir: bool) -> None:
                disk.meet_write()
                super().xDelete(name, sync_dir)
                disk._files.pop(str(Path(name)), None)

        self._layer = Layer()

    @property
    def vfs(self) -> str:
        """Return what to open databases with: the cipher over this disk."""
        return f"multipleciphers-{self.name}"

    def close(self) -> None:
        """Forget the layer; every database on it must be closed."""
        self._layer.unregister()

    def kept(self, path: str) -> _Kept:
        """Return what is known of a file; what is there when it is first seen is durable."""
        path = str(Path(path))
        if path not in self._files:
            file = Path(path)
            self._files[path] = _Kept(file.read_bytes() if file.exists() else b"")
        return self._files[path]

    def meet(self) -> None:
        """Fail where there is no power."""
        if self.off:
            raise apsw.IOError("no power")

    def meet_write(self) -> None:
        """Count a write; the one at which the power fails is the first that does not happen."""
        self.meet()
        if self.cut_at is not None and self.written >= self.cut_at:
            self.off = True
            self.meet()
        self.written += 1

    def cut(self, random: Random) -> None:
        """Leave on the real disk what a restart finds, and give the power back. No file may be open."""
        for path, kept in self._files.items():
            # The index of the WAL is memory: it does not outlive the machine.
            Path(f"{path}-shm").unlink(missing_ok=True)
            Path(path).write_bytes(kept.after_cut(random))
        self.restart()

    def restart(self) -> None:
        """Give the power back and take what is on the real disk for durable."""
        self._files.clear()
        self.off, self.cut_at, self.written = False, None, 0

    @contextmanager
    def leads(self, path: Path, *, synced: bool = True) -> Iterator[None]:
        """Lead the witness's writes over this disk; not `synced`: its fdatasync does nothing, the planted defect."""
        with mock.patch.object(witness, "os", _Os(self, path, synced)):
            yield


class _Os:
    """The part of `os` that the witness uses."""

    def __init__(self, disk: PowerCutDisk, path: Path, synced: bool) -> None:
        self._disk = disk
        self._path = str(path)
        self._synced = synced
        self._at: dict[int, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        self._meet()
        self._disk.kept(str(path))
        return os.open(path, flags, mode)

    def lseek(self, handle: int, offset: int, how: int) -> int:
        self._at[handle] = os.lseek(handle, offset, how)
        return self._at[handle]

    def write(self, handle: int, data: bytes) -> int:
        try:
            self._disk.meet_write()
        except apsw.IOError as error:
            raise OSError("no power") from error
        self._disk.kept(self._path).write(self._at[handle], data)
        return os.write(handle, data)

    def fdatasync(self, handle: int) -> None:
        self._meet()
        if self._synced:
            self._disk.kept(self._path).sync()

    fsync = fdatasync

    def _meet(self) -> None:
        if self._disk.off:
            raise OSError("no power")
