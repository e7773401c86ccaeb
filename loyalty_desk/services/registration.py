"""Registering a guest at the counter, with the server or without.

The till makes the guest's id and records the fact; the fields go beside it. Until the server has it the guest is
provisional: earns, spends nothing. A phone that somebody has already gives no right over their points, here or there.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from datetime import date
from uuid import UUID

from loyalty_desk.domain.canonical import readable
from loyalty_desk.domain.contents import RegisterContents
from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.guest_code import CodeKind, ld1, parse
from loyalty_desk.domain.private_fields import SALT_BYTES, Consent, GuestFields, Private
from loyalty_desk.domain.record import Credential, RecordKind
from loyalty_desk.services.guests import GuestCard, Guests
from loyalty_desk.services.online import Online
from loyalty_desk.services.ports.cache import Cache
from loyalty_desk.services.recording import Fact, Recorder
from loyalty_desk.services.staff import Cashier
from loyalty_desk.services.trusted_clock import TrustedClock
from loyalty_desk.wire.v1.lookup import LookupBy
from loyalty_desk.wire.v1.phones import e164

PERSONAL_DATA = "personal_data"
MOST_NAME = 100
OLDEST = date(1900, 1, 1)
# Letters would pass for the digits they share a key with.
_PHONE = re.compile(r"\+?[0-9\s().-]+")
_DATE = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})|(\d{4})-(\d{2})-(\d{2})")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\.[^@\s]{2,}")
# Consent is given in front of the cashier to a text of this version.
_TEXT = re.compile(r"[0-9A-Za-z._-]{1,40}")


@dataclass(frozen=True, slots=True)
class Registered:
    """A registration that is on the disk. `was_asked`: the server knew no guest with this phone when asked."""

    record_id: UUID
    card: GuestCard
    was_asked: bool


class Registration:
    """The cashier's use case. For the db thread."""

    def __init__(
        self,
        cache: Cache,
        guests: Guests,
        recorder: Recorder,
        clock: TrustedClock,
        cashier: Cashier,
        online: Online | None,
    ) -> None:
        self._cache = cache
        self._guests = guests
        self._recorder = recorder
        self._clock = clock
        self._cashier = cashier
        self._online = online

    def register(self, fields: GuestFields, consent: str, card_code: str = "") -> Registered:
        """Register a guest with an optional card handed out; `consent` is the version of the text agreed to.

        Raises `BadInput` `register_name`, `register_phone`, `register_birthday`, `register_email`, `register_nothing`,
        `register_card`; `Refused` `consent_needed`, `phone_taken` (the server was asked), `phone_registered` (here, and
        the server has not heard of it), `card_taken`, and as `Recorder.record`.
        """
        if not _TEXT.fullmatch(consent):
            raise Refused("consent_needed")
        kept = replace(
            self._checked(fields), consents=(*fields.consents, Consent(PERSONAL_DATA, consent, True, self._clock.now()))
        )
        credential = self._card(card_code)
        was_asked = bool(kept.phone) and self._nobody_has(kept.phone)
        guest = self._recorder.new_id()
        private = Private(os.urandom(SALT_BYTES), kept)
        recorded = self._recorder.record(
            Fact(
                RecordKind.REGISTER,
                cashier=self._cashier.id(),
                check=RegisterContents(private.digest).to_check(),
                guest_id=guest,
                credential=credential,
                private=private.to_bytes(),
            )
        )
        shown = credential or Credential(CodeKind.PHONE, None)
        return Registered(recorded.record.id, self._guests.registered(guest, shown), was_asked)

    def new_card(self) -> str:
        """Return the code of a card that exists nowhere yet, for a guest who is handed none: their phone shows it."""
        return ld1(int.from_bytes(os.urandom(8), "big"))

    def _checked(self, fields: GuestFields) -> GuestFields:
        name = readable(" ".join(fields.name.split()))
        phone = _phone(fields.phone.strip())
        if not name and not phone:
            raise BadInput("register_nothing")
        if len(name) > MOST_NAME or not name.isprintable():
            raise BadInput("register_name", limit=MOST_NAME)
        if fields.birthday is not None and not OLDEST <= fields.birthday <= self._clock.now().date():
            raise BadInput("register_birthday")
        if fields.email and not _EMAIL.fullmatch(fields.email):
            raise BadInput("register_email")
        return replace(fields, name=name, phone=phone)

    def _card(self, code: str) -> Credential | None:
        if not code.strip():
            return None
        shown = parse(code)
        if shown.kind is not CodeKind.LD1 or shown.handle is None:
            raise BadInput("register_card")
        known = self._cache.by_handle(shown.handle)
        if known is not None or self._guests.registration(handle=shown.handle) is not None:
            raise Refused("card_taken")
        return Credential(shown.kind, shown.handle)

    def _nobody_has(self, phone: str) -> bool:
        """Return whether the server was asked; raises `Refused` `phone_taken` or `phone_registered`."""
        # Registered twice before the server hears of either, one person would be two guests.
        waiting = self._guests.waiting_with_phone(phone)
        if waiting is not None:
            raise Refused("phone_registered", name=waiting.name)
        if self._online is None:
            return False
        try:
            found = self._online.find(LookupBy.PHONE, phone)
        except Refused as refused:
            # Silence is no answer: the registration is provisional and the server decides.
            return refused.code == "guest_not_found"
        if found:
            raise Refused("phone_taken", name=str(found[0].row.get("name", "")))
        return True


def birthday_of(typed: str) -> date | None:
    """Return a date as people write one, None for nothing; raises `BadInput` `register_birthday`."""
    if not typed:
        return None
    found = _DATE.fullmatch(typed)
    if found is None:
        raise BadInput("register_birthday")
    day, month, year, iso_year, iso_month, iso_day = found.groups()
    try:
        return date(int(year or iso_year), int(month or iso_month), int(day or iso_day))
    except ValueError:
        raise BadInput("register_birthday") from None


def _phone(typed: str) -> str:
    """Return a phone as the server keeps it, which would keep none that it cannot read."""
    if not typed:
        return ""
    if not _PHONE.fullmatch(typed):
        raise BadInput("register_phone")
    try:
        return e164(typed)
    except BadInput:
        raise BadInput("register_phone") from None
