"""A program in a file, as a manager writes it and `loyalty-desk quote` reads it: TOML, YAML or JSON."""

from __future__ import annotations

from pathlib import Path

from loyalty_desk.domain.canonical import Json, NotCanonical, encode
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.program import SCHEMA, Program
from loyalty_desk.domain.publishing import Finding
from loyalty_desk.readable.document import read_document
from loyalty_desk.readable.programs import snapshot_of
from server.programs.service import checked


def read(path: Path) -> dict[str, Json]:
    """Return the content of a program file, prices and percentages counted out; raises `BadInput` with its place."""
    return dict(snapshot_of(read_document(str(path))))


def check(content: dict[str, Json], network: str, zone: str) -> tuple[Program, tuple[Finding, ...]]:
    """Return the program of a file's content as it would be published, and what to warn of; raises `BadInput`."""
    try:
        encode(content)
    except NotCanonical as error:
        raise BadInput("program_bytes", reason=str(error)) from error
    own: dict[str, Json] = {"v": SCHEMA, "network": network, "zone": zone, "version": 0}
    program = Program.from_dict({**content, **own})
    return program, checked(program)
