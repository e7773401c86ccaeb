"""`create-network`, `demo-data`, `networks`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from loyalty_desk.domain.errors import Refused
from loyalty_desk.wire.v1.sheets import SheetKind, sheet_text
from server.cli_ground import DataDir, Json, network_names, settings_of, with_ground
from server.cli_terminal import Terminal, count
from server.kit.ground import Ground

app = typer.Typer()


@app.command("create-network")
def create_network(
    name: Annotated[str, typer.Argument(help="What guests know it by.")],
    kind: Annotated[str, typer.Option(help="restaurant or shop.")] = "restaurant",
    currency: Annotated[str, typer.Option(help="ISO code, like RUB.")] = "RUB",
    zone: Annotated[str, typer.Option(help="Time zone, like Europe/Moscow.")] = "Europe/Moscow",
    store: Annotated[list[str] | None, typer.Option(help="A store's name; may be repeated.")] = None,
    same_name: Annotated[bool, typer.Option("--same-name", help="Also where a network is called so already.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a network with its keys. Two of them are printed once and kept nowhere: write them down."""
    from server.networks import service

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> service.MadeNetwork:
        wanted = " ".join(name.split()).casefold()
        for there, called in ({} if same_name else await network_names(opened)).items():
            if called.casefold() == wanted:
                raise Refused("network_named", name=called, network=str(there))
        stores = [service.NewStore(one) for one in store or [name]]
        return await service.create_network(opened, name, kind, currency, zone, stores)

    made = with_ground(settings_of(data_dir), terminal, work)
    terminal.line(f"Network {made.network.name}: {made.network.id}")
    for one in made.stores:
        terminal.line(f"  store {one.name}: {one.id}")
    sheets = _print_sheets(terminal, made)
    terminal.result(
        network=made.network.id, stores=[{"id": str(one.id), "name": one.name} for one in made.stores], **sheets
    )


@app.command("demo-data")
def demo_data(
    seed: Annotated[int, typer.Option(help="Which demo.")] = 1,
    guests: Annotated[int, typer.Option(min=6, max=200_000, help="How many guests.")] = 5_000,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make the demo network, or add what of it is missing."""
    from server.demo.service import make_demo

    terminal = Terminal(as_json)
    demo = with_ground(settings_of(data_dir), terminal, lambda opened: make_demo(opened, seed, guests))
    terminal.line(f"Network {demo.network}, {count(demo.guests)} guests")
    for store in demo.stores:
        terminal.line(f"  store {store.name}: {store.id}")
    terminal.line(f"  cashier: {demo.cashier}")
    for one in demo.samples:
        terminal.line(f"  {one.code}  {one.member_no}  {one.tier:<8} {count(one.points):>6} points  {one.name}")
    sheets = _print_sheets(terminal, demo.made) if demo.made else {}
    terminal.result(
        network=demo.network,
        created=demo.made is not None,
        stores=[{"id": str(one.id), "name": one.name} for one in demo.stores],
        cashier=demo.cashier,
        guests=demo.guests,
        samples=[
            {
                "id": str(one.id),
                "name": one.name,
                "ld1": one.code,
                "member_no": one.member_no,
                "tier": one.tier,
                "points": one.points,
            }
            for one in demo.samples
        ],
        **sheets,
    )


@app.command("networks")
def list_networks(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List networks and their stores."""
    from server.networks import service

    terminal = Terminal(as_json)

    async def work(opened: Ground) -> list[dict[str, Any]]:
        found = []
        for network_id in await opened.db.networks():
            async with opened.db.begin(network_id) as connection:
                network = await service.get_network(connection, network_id)
                stores = await service.list_stores(connection, network_id)
            found.append(
                {
                    "network": str(network.id),
                    "name": network.name,
                    "stores": [{"id": str(one.id), "name": one.name} for one in stores],
                }
            )
        return found

    found = with_ground(settings_of(data_dir), terminal, work)
    for one in found:
        terminal.line(f"{one['network']}  {one['name']}")
        for store in one["stores"]:
            terminal.line(f"  {store['id']}  {store['name']}")
    if not found:
        terminal.line('There is no network yet: loyalty-server create-network "NAME"')
    terminal.result(networks=found)


def _print_sheets(terminal: Terminal, made: Any) -> dict[str, str]:
    sheets = {
        "root_sheet": sheet_text(SheetKind.ROOT, made.root_private),
        "recovery_sheet": sheet_text(SheetKind.RECOVERY, made.recovery_private),
    }
    terminal.line()
    terminal.line("Print these two and lock them away. They are shown once and stored nowhere.")
    titles = (
        "Root key: signs new keys of this network",
        "Recovery key: opens a till's journal when its keyring is lost",
    )
    for title, text in zip(titles, sheets.values(), strict=True):
        terminal.line()
        terminal.line(title)
        terminal.line(f"  {text}")
        terminal.code(text)
    return sheets
