"""The sale screen before its till is open: one calm sentence, and nothing that Enter could do yet."""

from __future__ import annotations

from loyalty_desk.language import catalogue
from loyalty_desk.ui.sale.state import ButtonState, CheckState, GuestState, HeaderState, SaleState


def opening_state(language: str) -> SaleState:
    """Return what stands on the screen until a presenter draws on it; what is typed meanwhile stays in the field."""
    t = catalogue("till", language).gettext
    said = t("The till is opening…")
    return SaleState(
        title="Loyalty Desk",
        header=HeaderState(place="Loyalty Desk"),
        check=CheckState(empty=said),
        guest=GuestState(empty=t("What is typed meanwhile stays in the field.")),
        button=ButtonState(said),
    )
