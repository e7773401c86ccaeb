"""How this till joins a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from loyalty_desk.domain.canonical import text_to_bytes
from loyalty_desk.domain.errors import Refused
from loyalty_desk.services.ports.identity import Identity
from loyalty_desk.services.ports.server import EnrolClient, NoAnswer, NotOurServer, ServerSaid
from loyalty_desk.wire.v1.enrol import EnrolAnswer, EnrolFinish, EnrolPending, EnrolStart, Pairing
from loyalty_desk.wire.v1.rows import keyset_message
from loyalty_desk.wire.v1.signing import enrol_message, fingerprint

MAX_NAME = 60


@dataclass(frozen=True, slots=True)
class PairingShown:
    """The 8 characters that both screens show, and whom the till is about to join."""

    characters: str
    address: str


@dataclass(frozen=True, slots=True, repr=False)
class Enrolled:
    """What the till has become, with its secrets; for the one who keeps them."""

    identity: Identity
    device_key: Ed25519PrivateKey
    answer: EnrolAnswer


@dataclass(frozen=True, slots=True, repr=False)
class _Under:
    pairing: Pairing
    client: EnrolClient
    key: Ed25519PrivateKey
    pending: EnrolPending
    name: str


class Enrolment:
    """One enrolment at a time. Both calls talk to the server: never on the main thread."""

    def __init__(self, connect: Callable[[Pairing], EnrolClient], keep: Callable[[Enrolled], None]) -> None:
        """Take how to reach a server, and what makes the till's files once it is enrolled."""
        self._connect = connect
        self._keep = keep
        self._under: _Under | None = None
        self._identity: Identity | None = None

    def is_done(self, identity: Identity) -> None:
        """Know that this till belongs to a network already."""
        self._identity = identity

    def start(self, pairing_text: str, name: str) -> PairingShown:
        """Present the one-time code and return the characters for a person to compare.

        Raises `BadInput` of `Pairing.from_text`; `Refused`: `already_enrolled`, `pairing_refused` (`text`),
        `server_silent`, `server_foreign`.
        """
        if self._identity is not None:
            raise Refused("already_enrolled", till=self._identity.till_name, store=self._identity.store_name)
        pairing = Pairing.from_text(pairing_text)
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes_raw()
        client = self._connect(pairing)
        shown_name = name.strip()[:MAX_NAME] or "Till"
        pending = _asked(lambda: client.start(EnrolStart(pairing.network, pairing.code, public, shown_name)))
        self._under = _Under(pairing, client, key, pending, shown_name)
        return PairingShown(fingerprint(public, pending.nonce, pairing.network), pairing.address)

    def finish(self) -> Identity | None:
        """Ask once whether a person has confirmed; None while not. After it the till is enrolled and keys are kept.

        Raises `Refused` as `start`; and `pairing_not_started`.
        """
        if self._identity is not None:
            return self._identity
        under = self._under
        if under is None:
            raise Refused("pairing_not_started")
        sig = under.key.sign(enrol_message(under.pairing.network, under.pending.pending, under.pending.nonce))
        answer = _asked(lambda: under.client.finish(EnrolFinish(under.pairing.network, under.pending.pending, sig)))
        if answer is None:
            return None
        _check_keyset(under.pairing, answer)
        identity = Identity(
            network=under.pairing.network,
            device=answer.device,
            store=answer.store.id,
            root=under.pairing.root,
            recovery_pub=answer.recovery_pub,
            spki_pin=under.pairing.spki_pin,
            address=under.pairing.address.rstrip("/"),
            zone=answer.store.zone,
            currency=answer.store.currency,
            store_name=answer.store.name,
            till_name=answer.name or under.name,
            network_name=answer.network_name,
        )
        self._keep(Enrolled(identity, under.key, answer))
        self._under, self._identity = None, identity
        return identity


def _check_keyset(pairing: Pairing, answer: EnrolAnswer) -> None:
    """Refuse a server whose keys the root of the pairing code has not signed: it is not the network's."""
    document, sig = answer.keyset.get("document"), answer.keyset.get("sig")
    try:
        if not isinstance(document, dict) or document.get("network") != str(pairing.network):
            raise ValueError("another network's keys")
        root = Ed25519PublicKey.from_public_bytes(pairing.root)
        root.verify(text_to_bytes(str(sig)), keyset_message(document))
    except (InvalidSignature, ValueError) as error:
        raise Refused("server_foreign", address=pairing.address) from error


def _asked[T](call: Callable[[], T]) -> T:
    try:
        return call()
    except NoAnswer as error:
        raise Refused("server_silent") from error
    except NotOurServer as error:
        raise Refused("server_foreign") from error
    except ServerSaid as said:
        raise Refused("pairing_refused", text=said.text, reason=said.code) from said
