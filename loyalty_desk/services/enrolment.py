"""How this till joins a network (ledger-and-sync.md, section 8)."""

from __future__ import annotations

from dataclasses import dataclass

from loyalty_desk.services.ports import Identity


@dataclass(frozen=True, slots=True)
class PairingShown:
    """The 8 characters that both screens show, and whom the till is about to join."""

    characters: str
    address: str


class Enrolment:
    """One enrolment at a time. Both calls talk to the server: never on the main thread."""

    def start(self, pairing_text: str, name: str) -> PairingShown:
        """Present the one-time code and return the characters for a person to compare.

        Raises `BadInput` of `Pairing.from_text`; `Refused`: `already_enrolled`, `pairing_refused` (`text`),
        `server_silent`, `server_foreign`.
        """
        raise NotImplementedError

    def finish(self) -> Identity | None:
        """Ask once whether a person has confirmed; None while not. After it the till is enrolled and keys are kept.

        Raises `Refused` as `start`; and `pairing_not_started`.
        """
        raise NotImplementedError
