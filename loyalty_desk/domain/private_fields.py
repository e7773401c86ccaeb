"""Personal fields that travel beside a record, never in it: salted, so that its digest tells nothing of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256

from loyalty_desk.domain import canonical
from loyalty_desk.domain.canonical import Json
from loyalty_desk.domain.clock import to_ms
from loyalty_desk.domain.errors import BadInput
from loyalty_desk.domain.fields import Fields

SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Consent:
    """Consent to one text: which (`personal_data`, `messages`), the text's version, and the moment of the answer."""

    text: str
    version: str
    given: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class GuestFields:
    """What a guest tells at the counter. `phone` is E.164; all of it personal, so none of it goes into a payload."""

    name: str = ""
    phone: str = ""
    birthday: date | None = None
    email: str = ""
    language: str = ""
    comment: str = ""
    consents: tuple[Consent, ...] = ()

    def to_dict(self) -> dict[str, Json]:
        """Return the canonical object; empty parts are left out."""
        optional: dict[str, Json] = {
            "name": self.name,
            "phone": self.phone,
            "birthday": "" if self.birthday is None else self.birthday.isoformat(),
            "email": self.email,
            "language": self.language,
            "comment": self.comment,
            "consents": [
                {"text": one.text, "version": one.version, "given": one.given, "at": to_ms(one.at)}
                for one in self.consents
            ],
        }
        return {name: value for name, value in optional.items() if value}

    @classmethod
    def from_fields(cls, f: Fields) -> GuestFields:
        """Return the fields of an object; raises `BadInput`."""
        return cls(
            name=f.text("name"),
            phone=f.text("phone"),
            birthday=f.day("birthday"),
            email=f.text("email"),
            language=f.text("language"),
            comment=f.text("comment"),
            consents=tuple(
                Consent(one.text("text", None), one.text("version", None), one.flag("given"), one.instant("at"))
                for one in f.objects("consents")
            ),
        )


@dataclass(frozen=True, slots=True)
class Private:
    """Personal fields beside a record, bound to it by a salted digest; pushed with it, deleted some days later.

    Of a `register` they are the new guest's, of an `adjust` or `transfer` the comment alone.
    """

    salt: bytes
    fields: GuestFields

    @property
    def digest(self) -> bytes:
        """Return SHA-256(salt ‖ canonical JSON of the fields)."""
        return sha256(self.salt + canonical.encode(self.fields.to_dict())).digest()

    def to_bytes(self) -> bytes:
        """Return the canonical bytes that lie and travel beside the record."""
        return canonical.encode({"salt": canonical.bytes_to_text(self.salt), "fields": self.fields.to_dict()})

    @classmethod
    def from_bytes(cls, data: bytes) -> Private:
        """Return the fields of their bytes; raises `BadInput`."""
        try:
            f = Fields(canonical.decode_object(data), "private")
        except canonical.NotCanonical as error:
            raise BadInput("field_wrong", place="private", field="", wants="canonical") from error
        salt = f.raw("salt")
        if len(salt) < SALT_BYTES:
            raise f.wrong("salt", "bytes")
        return cls(salt, GuestFields.from_fields(f.object("fields")))
