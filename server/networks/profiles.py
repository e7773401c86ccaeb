"""Which limits hold in a store: by the profile that it has, which several stores may share.

A till redeems by limits that it was told some time ago, so what held before is kept, by store and by profile: nobody is
charged for what was allowed when it was done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from loyalty_desk.domain.errors import BadInput, Refused
from loyalty_desk.domain.guest_code import CodeKind
from loyalty_desk.wire.v1 import rows
from loyalty_desk.wire.v1.sync import FeedTable
from server.kit import feed
from server.kit.db import Connection
from server.networks import repository, service

MAX_NAME = 40
_CODES = tuple(one.value for one in CodeKind)
_MOST, _DIGITS = 10**12, 20
_MOST_OF = {
    # Waited at the counter, with the guest standing there.
    "random_online_wait_s": 300,
    # So long a till goes by what it was told, and is judged by it, also when the limits have been put right.
    "max_age_hours": 200 * 24,
}


async def set_profile(
    connection: Connection, network: UUID, store: UUID, name: str, changes: Sequence[str], now: datetime
) -> rows.ProfileRow:
    """Let the limits of a profile hold in a store from `now` on, and return them; tills have them at their next pull.

    `changes` are limits of the profile as ``floor_points=300`` or ``cvm.ld1=50``: they hold in every store that has it.
    A profile that there is not yet is made of the limits that hold in the store. Raises `Refused` `store_unknown`,
    `profile_unknown` (nothing is changed in it), `BadInput` `profile_name`, `limit_unknown`, `limit_value`.
    """
    await repository.lock_profiles(connection, network)
    known = await service.get_store(connection, network, store)
    found = (await repository.profiles(connection, network, [name])).get(name)
    if found is None:
        if not changes:
            names = ", ".join(await repository.profile_names(connection, network))
            raise Refused("profile_unknown", profile=name[:MAX_NAME], known=names)
        if not name.isprintable() or not 0 < len(name) <= MAX_NAME or name != name.strip():
            raise BadInput("profile_name", limit=MAX_NAME)
    present = found or (await repository.profiles(connection, network, [known.profile]))[known.profile]
    wanted = changed(present, changes)
    if wanted != found:
        await repository.put_profile(connection, network, name, wanted, now)
    if known.profile != name:
        await repository.set_profile(connection, network, store, name, now)
    told = [
        *await service.changes_of(connection, network, FeedTable.PROFILE, [name]),
        *await service.changes_of(connection, network, FeedTable.STORE, [str(store)]),
    ]
    await feed.record(connection, network, told)
    return rows.read(rows.ProfileRow, wanted)


def changed(settings: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Return all limits with these changes; raises `BadInput` `limit_unknown`, `limit_value`.

    Every one is written out: a till of another version must not fill in limits of its own.
    """
    made: dict[str, Any] = msgspec.structs.asdict(rows.read(rows.ProfileRow, settings))
    for one in changes:
        name, _, text = one.partition("=")
        field, _, part = name.partition(".")
        present = made.get(field)
        if present is None or isinstance(present, dict) != bool(part):
            raise BadInput("limit_unknown", limit=name[:60], known=", ".join(_names(made)))
        if isinstance(present, dict):
            if part not in _CODES:
                raise BadInput("limit_value", limit=name[:60], wants=f"a code: {', '.join(_CODES)}")
            made[field] = {**present, part: _number(name, text)}
        elif isinstance(present, list):
            made[field] = _codes(name, text)
        elif isinstance(present, str):
            if text not in tuple(rows.OfflineMode):
                raise BadInput("limit_value", limit=name, wants=f"one of {', '.join(rows.OfflineMode)}")
            made[field] = text
        else:
            made[field] = _number(name, text, _most(field))
    return made


def _names(limits: Mapping[str, Any]) -> list[str]:
    return [f"{name}.CODE" if isinstance(value, dict) else name for name, value in limits.items()]


def _most(field: str) -> int:
    return 10_000 if field.endswith("_bp") else _MOST_OF.get(field, _MOST)


def _number(name: str, text: str, most: int = _MOST) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS or int(text) > most:
        raise BadInput("limit_value", limit=name, wants=f"a whole number from 0 to {most}")
    return int(text)


def _codes(name: str, text: str) -> list[str]:
    codes = [one.strip() for one in text.split(",") if one.strip()]
    if not set(codes) <= set(_CODES):
        raise BadInput("limit_value", limit=name, wants=f"codes of {', '.join(_CODES)}, with commas between")
    return codes
