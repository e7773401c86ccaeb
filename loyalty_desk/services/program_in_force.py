"""The program that checks are priced with, parsed and compiled once however often it is asked for."""

from __future__ import annotations

from loyalty_desk.domain.errors import Refused
from loyalty_desk.domain.program import Program
from loyalty_desk.services.ports.journal import Journal


class ProgramInForce:
    """Read from the journal, which keeps it when the cache is lost."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._hash: bytes | None = None
        self._program: Program | None = None

    def known(self) -> Program | None:
        """Return the program, None while none has arrived."""
        stored = self._journal.program()
        if stored is not None and stored.hash != self._hash:
            self._program = Program.from_bytes(stored.bytes)
            self._hash = stored.hash
        return self._program

    def required(self) -> Program:
        """Return the program; raises `Refused` `program_missing`."""
        program = self.known()
        if program is None:
            raise Refused("program_missing")
        return program
