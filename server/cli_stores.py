"""`store list | show | set-profile`: the stores of a network, and the limits that hold and held in one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import typer

from loyalty_desk.domain.money import currency
from loyalty_desk.wire.v1 import rows
from server.cli_ground import DataDir, Json, NetworkId, chosen_network, chosen_store, settings_of, with_ground
from server.cli_terminal import Terminal, counted, moment
from server.kit.ground import Ground
from server.limit_sentences import limit_sentence, spelled

if TYPE_CHECKING:
    from server.networks.service import Store

app = typer.Typer(no_args_is_help=True, help="The stores, and the limits that hold in them.")
type _Past = list[tuple[datetime, rows.ProfileRow]]


@app.command("list")
def store_list(network: NetworkId = None, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the stores with their zones and the profile of limits that each has."""
    from server.networks import service

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> list[dict[str, str]]:
        chosen = await chosen_network(opened, network)
        async with opened.db.begin(chosen) as connection:
            stores = await service.list_stores(connection, chosen)
        return [{"id": str(one.id), "name": one.name, "zone": one.zone, "profile": one.profile} for one in stores]

    found = with_ground(settings_of(data_dir), terminal, work)
    for one in found:
        terminal.line(f"{one['id']}  {one['zone']:<20}  {one['profile']:<12}  {one['name']}")
    terminal.line(counted(len(found), "store"))
    terminal.result(stores=found)


@app.command("show")
def store_show(
    store: Annotated[UUID | None, typer.Argument(help="The store's id, where there are several.")] = None,
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Say which limits hold in a store, with the server and without it, and what they were before.

    Each stands as `store set-profile --limit` takes it, amounts in smallest units, and then in words.
    """
    from server.networks import service

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> tuple[Store, rows.ProfileRow, _Past]:
        chosen = await chosen_network(opened, network)
        where = await chosen_store(opened, chosen, store)
        async with opened.db.begin(chosen) as connection:
            known = await service.get_store(connection, chosen, where)
            now = await service.profile_of(connection, chosen, where)
            return known, now, await service.past_profiles_of(connection, chosen, where)

    known, now, past = with_ground(settings_of(data_dir), terminal, work)
    unit, zone, limits = currency(known.currency), ZoneInfo(known.zone), spelled(now)
    terminal.line(f"{known.name}, {known.zone}, profile {known.profile}")
    typed = {f"{name}={value}": limit_sentence(name, value, unit) for name, value in limits.items()}
    width = max(map(len, typed))
    for limit, meaning in typed.items():
        terminal.line(f"  {limit:<{width}}  {meaning}")
    after = limits
    for replaced_at, before in past:
        held = spelled(before)
        changed = [f"{name} {value}, then {after[name]}" for name, value in held.items() if value != after[name]]
        terminal.line(f"until {moment(replaced_at, zone)}: {'; '.join(changed)}")
        after = held
    terminal.result(
        store=known.id,
        name=known.name,
        zone=known.zone,
        profile=known.profile,
        limits=msgspec.structs.asdict(now),
        past=[{"until": at.isoformat(), "limits": msgspec.structs.asdict(one)} for at, one in past],
    )


@app.command("set-profile")
def store_set_profile(
    profile: Annotated[str, typer.Argument(help="The profile's name, see `store list`.")],
    store: Annotated[UUID | None, typer.Option("--store", help="The store's id, where there are several.")] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", help="What is different in it, as floor_points=300 or cvm.ld1=50; makes a new one."),
    ] = None,
    network: NetworkId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Let a profile's limits hold in a store from now on; what is changed in it holds in every store that has it."""
    from server.networks import profiles, service

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> tuple[UUID, str, list[str], rows.ProfileRow]:
        chosen = await chosen_network(opened, network)
        where = await chosen_store(opened, chosen, store)
        async with opened.db.begin(chosen) as connection:
            made = await profiles.set_profile(connection, chosen, where, profile, limit or [], datetime.now(UTC))
            stores = await service.list_stores(connection, chosen)
        called = next(one.name for one in stores if one.id == where)
        return where, called, [one.name for one in stores if one.profile == profile and one.id != where], made

    where, called, others, made = with_ground(settings_of(data_dir), terminal, work)
    terminal.line(f"{called} has the profile {profile} now; its tills know at their next sync.")
    if limit and others:
        terminal.line(f"What was changed in it holds in these as well: {', '.join(others)}")
    terminal.result(store=where, profile=profile, limits=msgspec.structs.asdict(made), others=others)
