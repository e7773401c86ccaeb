"""How a till joins a network: paste or scan the pairing code, compare 8 characters, wait for a person to confirm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from loyalty_desk.domain.errors import ForPerson
from loyalty_desk.services.enrolment import PairingShown
from loyalty_desk.services.ports.identity import Identity
from loyalty_desk.services.ports.scan import Scan
from loyalty_desk.services.sentences import sentence
from loyalty_desk.services.wording import Words
from loyalty_desk.ui.pairing.state import PairingState, PairingStep
from loyalty_desk.ui.sale.ports import TaskRunner

ASK_EVERY_SECONDS = 2.0
MAX_NAME = 60


class Joining(Protocol):
    """The enrolment as this screen needs it; both calls wait for the network."""

    def start(self, pairing_text: str, name: str) -> PairingShown:
        """Present the one-time code."""
        ...

    def finish(self) -> Identity | None:
        """Ask once whether a person has confirmed."""
        ...


class PairingPresenter:
    """Plain Python. `joined` is called once, when the till is a device of the network."""

    def __init__(
        self,
        *,
        joining: Joining,
        runner: TaskRunner,
        render: Callable[[PairingState], None],
        joined: Callable[[], None],
        crashed: Callable[[Exception], None],
        language: str,
        name: str,
    ) -> None:
        self._joining = joining
        self._runner = runner
        self._render = render
        self._joined = joined
        self._crashed = crashed
        self._words = Words(language)
        self._name = name
        self._code = ""
        self._shown: PairingShown | None = None
        self._busy = False
        self._problem: tuple[str, str] = ("", "plain")
        self._turn = 0
        self._stop_asking: Callable[[], None] | None = None

    @property
    def language(self) -> str:
        """Return the language spoken."""
        return self._words.language

    def start(self) -> None:
        """Show the screen."""
        self._show()

    def code_changed(self, text: str) -> None:
        """Take what is in the code's field."""
        self._code = text
        self._problem = ("", "plain")
        self._show()

    def name_changed(self, text: str) -> None:
        """Take the till's name."""
        self._name = text[:MAX_NAME]
        self._show()

    def code_scanned(self, scan: Scan) -> None:
        """Take a scanned pairing code and go on at once."""
        if self._shown is None and not self._busy:
            self._code = scan.data.decode("utf-8", "replace")
            self.submitted()

    def submitted(self) -> None:
        """Present the code."""
        if self._busy or self._shown is not None or not self._code.strip():
            return
        code, name = self._code.strip(), self._name.strip() or self._default_name()
        self._turn += 1
        turn = self._turn
        self._busy = True
        self._problem = ("", "plain")
        self._show()

        def done(shown: PairingShown) -> None:
            if turn == self._turn:
                self._busy = False
                self._shown = shown
                self._ask_later()
                self._show()

        self._runner.run(lambda: self._joining.start(code, name), done, lambda error: self._failed(turn, error))

    def cancelled(self) -> None:
        """Go back to the pairing code."""
        self._turn += 1
        self._busy = False
        self._shown = None
        self._problem = ("", "plain")
        self.close()
        self._show()

    def close(self) -> None:
        """Ask no more."""
        if self._stop_asking is not None:
            self._stop_asking()
            self._stop_asking = None

    def language_chosen(self, language: str) -> None:
        """Speak another language."""
        self._words = Words(language)
        self._problem = ("", "plain")
        self._show()

    def _ask_later(self) -> None:
        self._stop_asking = self._runner.later(ASK_EVERY_SECONDS, self._ask)

    def _ask(self) -> None:
        turn = self._turn

        def done(identity: Identity | None) -> None:
            if turn != self._turn:
                return
            if identity is None:
                self._problem = ("", "plain")
                self._ask_later()
                self._show()
            else:
                self._joined()

        self._runner.run(self._joining.finish, done, lambda error: self._not_yet(turn, error))

    def _not_yet(self, turn: int, error: Exception) -> None:
        """Ask a silent server again; anything else ends this attempt."""
        if turn != self._turn:
            return
        if isinstance(error, ForPerson) and error.code == "server_silent":
            self._problem = (sentence(error, self._words), "warn")
            self._ask_later()
            self._show()
        else:
            self._shown = None
            self._failed(turn, error)

    def _failed(self, turn: int, error: Exception) -> None:
        if turn != self._turn:
            return
        self._busy = False
        if isinstance(error, ForPerson):
            self._problem = (sentence(error, self._words), "bad")
        else:
            self._crashed(error)
            text = self._words.gettext("Something went wrong in the program; a report is saved. Try again.")
            self._problem = (text, "bad")
        self._show()

    def _default_name(self) -> str:
        return self._words.gettext("Till 1")

    def _show(self) -> None:
        t = self._words.gettext
        comparing = self._shown is not None
        text = t("Paste the pairing code that the server printed for this till, or hold its QR before the scanner.")
        if self._shown is not None:
            text = t(
                "Compare these characters with the ones on the server’s side ({address}) and confirm there."
            ).format(address=self._shown.address)
        button = t("Join the network")
        if self._busy:
            button = t("Asking the server…")
        elif comparing:
            button = t("Waiting for the confirmation…")
        self._render(
            PairingState(
                step=PairingStep.COMPARE if comparing else PairingStep.PASTE,
                title=t("Welcome to Loyalty Desk"),
                text=text,
                name_label=t("Name of this till"),
                name=self._name,
                name_hint=self._default_name(),
                code_label=t("Pairing code"),
                code=self._code,
                characters=_grouped(self._shown.characters) if self._shown else "",
                message=self._problem[0],
                message_tone=self._problem[1],
                button=button,
                button_enabled=bool(self._code.strip()) and not self._busy and not comparing,
                back=t("Back") if comparing or self._busy else "",
                language_label=self._words.language.upper(),
                language_tip=t("Language: switch to English")
                if self.language == "ru"
                else t("Language: switch to Russian"),
            )
        )


def _grouped(characters: str) -> str:
    """Return the characters in fours, as people compare them."""
    return "\u00a0".join(characters[i : i + 4] for i in range(0, len(characters), 4))
