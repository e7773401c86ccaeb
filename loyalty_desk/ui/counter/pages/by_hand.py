"""F9: points given or taken by hand, and a limit lifted once, with a manager's PIN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from loyalty_desk.domain.contents import AdjustReason
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.services.approvals import ByHand
from loyalty_desk.services.checkout import GuestCard
from loyalty_desk.services.counter_lines import allowed_line, by_hand_line, guest_lines
from loyalty_desk.services.pins import Member
from loyalty_desk.ui.counter.page import PIN, WHO, Page, facts_of
from loyalty_desk.ui.counter.state import CounterState, Group, Option
from loyalty_desk.ui.sale.entry import Reading, read_entry
from loyalty_desk.ui.sale.state import FieldMode, Tone

WHAT, REASON, POINTS, COMMENT = "what", "reason", "points", "comment"
GIVE, TAKE, LIFT, TIER = "give", "take", "lift", "tier"


class ByHandPage(Page):
    """Both names go into the journal: who stood here, and who approved."""

    name = "F9"

    def begin(self) -> None:
        self.chosen = {WHAT: GIVE}
        self._guest = guest = self.around.guest()
        cases = self.around.cases
        # The sale's guest has the limits of a till whose server answers; what is lifted here are those without it.
        self.work(lambda: (cases.pins.members(), guest and cases.guests.refresh(guest)), self._begun)

    def _begun(self, found: tuple[Sequence[Member], GuestCard | None]) -> None:
        members, self._guest = found
        self.take_staff(one for one in members if one.is_manager)

    def state(self) -> CounterState:
        t, guest = self.words.gettext, self._guest
        if guest is None or guest.guest_id is None:
            said = t("Find the guest first: scan the card or type its number, then press F9.")
            return CounterState(t("Points by hand"), facts_label=said, button=self.go(t("Record"), enabled=False))
        what = self.chosen[WHAT]
        kinds = {
            GIVE: t("Give points"),
            TAKE: t("Take points"),
            LIFT: t("Allow one more redemption"),
            TIER: t("Allow the tier’s discount once"),
        }
        groups = [Group(WHAT, t("What is to be done"), tuple(Option(k, v, "", k == what) for k, v in kinds.items()))]
        fields = [self.pin_field(is_right=True)]
        if self._moves:
            groups.append(self._reasons())
            # What has to be typed stands above what may be: a small window shows that much without scrolling.
            words = replace(self.field(COMMENT, t("A few words, if needed")), is_right=True)
            fields = [self.field(POINTS, t("How many points"), "0"), *fields, words]
        groups.append(self.who_group(t("Which manager approves?"), is_right=True))
        return CounterState(
            t("Points by hand"),
            groups=tuple(groups),
            fields=tuple(fields),
            facts_label=t("For this guest"),
            facts=facts_of(guest_lines(guest, self.words, with_limit=what == LIFT), t("Points")),
            button=self.go(self._button(), enabled=self._is_ready),
            focus=POINTS if self._moves else PIN,
            fields_first=True,
        )

    @property
    def _moves(self) -> bool:
        return self.chosen.get(WHAT) in (GIVE, TAKE)

    @property
    def _points(self) -> int:
        words = self.words
        entry = read_entry(
            self.text(POINTS), FieldMode.POINTS, has_guest=True, of=words.currency, point_decimals=words.point_decimals
        )
        return entry.units or 0 if entry.reading is Reading.POINTS else 0

    @property
    def _is_ready(self) -> bool:
        return self.is_signed and (not self._moves or (self._points > 0 and REASON in self.chosen))

    def _button(self) -> str:
        t, points = self.words.gettext, self._points
        if not self._moves:
            return t("Allow once")
        if not points:
            return t("Type how many points")
        text = t("Give {points}") if self.chosen[WHAT] == GIVE else t("Take {points}")
        return text.format(points=self.words.points(points))

    def _reasons(self) -> Group:
        t = self.words.gettext
        named = {
            AdjustReason.GOODWILL: t("Goodwill"),
            AdjustReason.COMPENSATION: t("Compensation"),
            AdjustReason.FORGOTTEN_CARD: t("Forgotten card"),
            AdjustReason.MISTAKE: t("Mistake"),
            AdjustReason.PRIZE: t("Prize"),
            AdjustReason.FAMILY: t("Family"),
            AdjustReason.LOST_CARD: t("Lost card"),
            AdjustReason.FRAUD: t("Fraud"),
            AdjustReason.OTHER: t("Something else"),
        }
        options = tuple(Option(one.value, text, "", self.chosen.get(REASON) == one) for one, text in named.items())
        return Group(REASON, t("Why"), options)

    def submit(self) -> None:
        guest = self._guest
        if guest is None:
            return
        if not self._is_ready:
            self._say_why_not()
            return
        pins, who, pin = self.around.cases.pins, self.chosen[WHO], self.text(PIN)
        act = self._act(guest)

        def approved() -> ByHand | None:
            return act(pins.manager(who, pin))

        self.record(approved, self._done)

    def _say_why_not(self) -> None:
        if self._moves and not self._points:
            self.say(self.sentence_of(BadInput("points_by_hand")), Tone.INFO)
        elif self._moves and REASON not in self.chosen:
            self.say(self.words.gettext("Choose why the points are moved: ↑ ↓ and Enter."), Tone.INFO)
        else:
            self.say_what_is_missing()

    def _act(self, guest: GuestCard) -> Callable[[Member], ByHand | None]:
        """Return what is done once the manager is known; decided here, for a choice may change meanwhile."""
        approvals, what = self.around.cases.approvals, self.chosen[WHAT]
        if self._moves:
            points = self._points if what == GIVE else -self._points
            reason, comment = AdjustReason(self.chosen[REASON]), self.text(COMMENT)
            return lambda member: approvals.adjust(guest, points, reason, member, comment)

        def lift(member: Member) -> None:
            if what == TIER:
                approvals.lift_tier_cap(guest, member)
            else:
                approvals.lift_limit(guest, member)

        return lift

    def _done(self, done: ByHand | None) -> None:
        self.recorded()
        self.texts.clear()
        self.chosen.pop(REASON, None)
        self.say(by_hand_line(done, self.words) if done is not None else allowed_line(self.words), Tone.GOOD)
        guest, guests = self._guest, self.around.cases.guests
        if guest is not None:
            self.work(lambda: guests.refresh(guest), self._refreshed)

    def _refreshed(self, guest: GuestCard) -> None:
        self.around.found(guest)
        self._guest = self.around.guest()
