"""What the first-run screen shows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PairingStep(StrEnum):
    """Which of the two steps is on."""

    PASTE = "paste"
    COMPARE = "compare"


@dataclass(frozen=True, slots=True)
class PairingState:
    """The whole screen."""

    step: PairingStep
    title: str
    text: str
    name_label: str
    name: str
    name_hint: str
    code_label: str
    code: str
    characters: str
    message: str
    message_tone: str
    button: str
    button_enabled: bool
    back: str
    language_label: str
    language_tip: str
