"""A till worked from a terminal: every act is a `loyalty-desk till` command of its own, as support staff would type it.

Each process opens the till's files and closes them again, so whatever the day comes to has survived all of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from loyalty_desk.demo.processes import ProcessFailed, Said, ask, run, run_json
from loyalty_desk.paths import till_paths

type Answer = dict[str, object]


class TerminalTill:
    """One till of the second store. `language` is its cashier's."""

    def __init__(self, folder: Path, name: str, language: str, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.name = name
        self.language = language
        self.environment = {**environment, "LOYALTY_TILL_DIR": str(folder)}

    def status(self) -> Answer:
        """Return what the till is, what waits, and its offline limits."""
        return run_json("loyalty-desk", ["till", "status"], self.environment)

    def is_enrolled(self) -> bool:
        """Return whether the till belongs to a network already."""
        return till_paths(self.folder).identity.exists()

    def sync(self) -> Answer:
        """Exchange with the server once and return what came of it, also where nobody answered."""
        said = ask("loyalty-desk", ["till", "sync", "--json"], self.environment)
        try:
            answer: Answer = json.loads(said.out)
        except ValueError:
            raise ProcessFailed(f"{self.name} did not say how its exchange went: {said.err or said.out}") from None
        return answer

    def sell(self, amount: str, code: str = "", points: int = 0) -> Answer:
        """Record a sale and return it; points by the till's own limits."""
        return cast("Answer", json.loads(self._run(*self._sale(amount, code, points), "--json")))

    def refusal(self, amount: str, code: str, points: int, language: str) -> str:
        """Ask for what must be refused and return the sentence; raises `ProcessFailed` where it was sold."""
        said = self.said(*self._sale(amount, code, points), "--lang", language)
        if said.code == 0:
            raise ProcessFailed(f"{self.name} should have refused {points} points and sold: {said.out}")
        return said.err.strip()

    def points(self, code: str) -> int:
        """Return a guest's points as this till knows them."""
        return int(cast("int", run_json("loyalty-desk", ["till", "find", code], self.environment)["points"]))

    def open_shift(self, cashier: str, pin: str) -> str:
        """Open a shift and return what the till says; one that an interrupted day left open is closed first."""
        said = self.said("shift", "open", "--cashier", cashier, "--lang", self.language, typed=pin)
        if said.code != 0:
            self.close_shift()
            return self._run("shift", "open", "--cashier", cashier, "--lang", self.language, typed=pin).strip()
        return said.out.strip()

    def close_shift(self) -> str:
        """Close the shift and return the Z report as the cashier reads it."""
        return self._run("shift", "close", "--lang", self.language).rstrip()

    def notices(self) -> list[str]:
        """Return the lines of `till status` that somebody should read, in the cashier's language."""
        shown = self._run("status", "--lang", self.language)
        return [line for line in shown.splitlines() if line.startswith("!")]

    def proof(self) -> Answer:
        """Return what `till verify` says of the journal, with every epoch's head."""
        return run_json("loyalty-desk", ["till", "verify"], self.environment)

    def said(self, *arguments: str, typed: str = "") -> Said:
        """Run a command of this till and return what it said, a refusal as well."""
        return ask("loyalty-desk", ["till", *arguments], self.environment, typed=typed)

    def _run(self, *arguments: str, typed: str = "") -> str:
        return run("loyalty-desk", ["till", *arguments], self.environment, typed=typed)

    @staticmethod
    def _sale(amount: str, code: str, points: int) -> list[str]:
        asked = ["sale", "--amount", amount]
        if code:
            asked += ["--code", code]
        if points:
            # The cashier sees that the till is cut off and does not let the guest wait for a server that cannot answer.
            asked += ["--points", str(points), "--offline"]
        return asked
