"""Why the till cannot open, in words."""

from __future__ import annotations

from loyalty_desk.domain.errors import ForPerson
from loyalty_desk.services.sentences import sentence
from loyalty_desk.services.wording import Words
from loyalty_desk.ui.problem.state import ProblemState


def problem_state(error: Exception, language: str) -> ProblemState:
    """Return the screen for an error met while opening; a fault of ours is reported elsewhere."""
    words = Words(language)
    t = words.gettext
    if isinstance(error, ForPerson):
        text = sentence(error, words)
    else:
        text = t("The till could not be opened because of a fault in the program. A report is saved.")
    return ProblemState(
        title=t("Loyalty Desk cannot start"),
        text=text,
        calm=t("Recorded sales are safe."),
        retry=t("Try again"),
        close=t("Close"),
    )
