"""A disk that fails as told: a file layer under the cipher, so that what is tested is what ships."""

from __future__ import annotations

from dataclasses import dataclass, field

import apsw


@dataclass
class FaultyDisk:
    """Fails the n-th write, sync or opening from now on, or lets everything through; may heal when it is opened."""

    fail_write: type[Exception] | None = None
    fail_sync: type[Exception] | None = None
    fail_open: type[Exception] | None = None
    heal_on_open: bool = False
    after: int = 0
    once: bool = False
    name: str = "faulty"
    writes: int = 0
    layer: object = field(default=None, repr=False)

    def __post_init__(self) -> None:
        disk = self

        class File(apsw.VFSFile):
            def __init__(self, name, flags) -> None:
                super().__init__("", name, flags)

            def xWrite(self, data, offset) -> None:
                disk.meet("fail_write")
                super().xWrite(data, offset)

            def xSync(self, flags) -> None:
                disk.meet("fail_sync")
                super().xSync(flags)

        class Layer(apsw.VFS):
            def __init__(self) -> None:
                super().__init__(disk.name, "")

            def xOpen(self, name, flags):
                if disk.heal_on_open:
                    disk.fail_write = disk.fail_sync = disk.fail_open = None
                disk.meet("fail_open")
                return File(name, flags)

        self.layer = Layer()

    @property
    def vfs(self) -> str:
        """Return what to open databases with: the cipher over this disk."""
        return f"multipleciphers-{self.name}"

    def meet(self, what: str) -> None:
        error = getattr(self, what)
        if what == "fail_write":
            self.writes += 1
        if error is None:
            return
        if self.after > 0:
            self.after -= 1
            return
        if self.once:
            setattr(self, what, None)
        raise error
