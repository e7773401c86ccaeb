"""`loyalty-desk verify-journal`, `till verify | export | import | recover`: journals proved, carried, opened again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loyalty_desk.cli_till import AsJson, DataDir, Lang, fail, opened, show
from loyalty_desk.domain.errors import ForPerson

if TYPE_CHECKING:
    from loyalty_desk.store.verify import Proof

Sheet = Annotated[
    str, typer.Option("--sheet-file", help="A file with the network's recovery sheet, or - to read it from input.")
]


def mount(app: typer.Typer, root: typer.Typer) -> None:
    """Add the commands."""
    root.command("verify-journal")(verify_journal)
    app.command()(verify)
    app.command("export")(export)
    app.command("import")(import_)
    app.command()(recover)


def verify_journal(
    file: Annotated[Path, typer.Argument(help="journal.db, a copy of it, or an export.")],
    sheet_file: Sheet = "",
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Prove a journal record by record: hashes, chain, totals; exit code 1, and the first bad place, where one is."""
    from loyalty_desk.paths import till_paths
    from loyalty_desk.recovery import verify_file

    try:
        proof = verify_file(file, till_paths(data_dir), _sheet(sheet_file))
    except ForPerson as error:
        fail(error, lang)
    _report(proof, as_json)


def verify(data_dir: DataDir = None, lang: Lang = "", as_json: AsJson = False) -> None:
    """Prove this till's own journal."""
    with opened(data_dir, lang) as (till, _):
        till.wait_until_checked()
        proof = till.prove()
    _report(proof, as_json)


def export(
    file: Annotated[Path, typer.Argument(help="The file to write, for example till.ldx.")],
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Write the whole journal, encrypted, into one file; another till or this one brings it to the server."""
    with opened(data_dir, lang) as (till, _):
        waiting = till.export(file)
        show({"file": str(file), "waiting": waiting}, f"{file}: waiting {waiting}", as_json)


def import_(
    files: Annotated[list[Path] | None, typer.Argument(help="Exports or journals; none: the tills laid aside.")] = None,
    sheet_file: Sheet = "",
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Hand the records of another journal over to the server; done again it changes nothing."""
    from loyalty_desk.recovery import laid_aside

    with opened(data_dir, lang) as (till, _):
        wanted = files or [one.folder / "journal.db" for one in laid_aside(till.paths)]
        for file in wanted:
            done = till.bring(file, _sheet(sheet_file))
            result = {
                "file": str(file),
                "posted": done.posted,
                "known": done.known,
                "quarantined": done.quarantined,
                "refused": done.refused,
            }
            text = f"{file}: posted {done.posted}, known {done.known}, set aside {done.quarantined}"
            show(result, text + (f", refused {done.refused}" if done.refused else ""), as_json)


def recover(sheet_file: Sheet = "", data_dir: DataDir = None, lang: Lang = "", as_json: AsJson = False) -> None:
    """Lay a till aside whose keys are lost, so that it can join again; with the sheet its sales can be brought back."""
    from loyalty_desk import recovery
    from loyalty_desk.paths import till_paths

    paths = till_paths(data_dir)
    try:
        paths.prepare()
        found = recovery.recover(paths, _sheet(sheet_file))
    except ForPerson as error:
        fail(error, lang)
    result = {"laid_aside": [{"folder": str(one.folder), "can_open": one.can_open} for one in found]}
    lines = [f"{one.folder}: {'can be opened' if one.can_open else 'needs the recovery sheet'}" for one in found]
    lines.append("Now: loyalty-desk till enrol, then loyalty-desk till import." if found else "Nothing is laid aside.")
    show(result, "\n".join(lines), as_json)


def _sheet(sheet_file: str) -> str | None:
    if not sheet_file:
        return None
    try:
        return sys.stdin.read() if sheet_file == "-" else Path(sheet_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{sheet_file} cannot be read") from error


def _report(proof: Proof, as_json: bool) -> None:
    result = {
        "records": proof.records,
        "epochs": [
            {"epoch": one.epoch, "first": one.first, "head_seq": one.head_seq, "head": one.head_hash.hex()}
            | {"count": one.totals.count, "earned": one.totals.earned, "redeemed": one.totals.redeemed}
            for one in proof.epochs
        ],
        "signed": proof.signed,
        "bad": None if proof.bad is None else {"epoch": proof.bad.epoch, "seq": proof.bad.seq, "what": proof.bad.what},
    }
    lines = [
        f"epoch {one.epoch}: {one.first} to {one.head_seq}, earned {one.totals.earned}, redeemed {one.totals.redeemed},"
        f" head {one.head_hash.hex()[:16]}"
        for one in proof.epochs
    ]
    if proof.bad is None:
        lines.append(f"{proof.records} records hold" + ("" if proof.signed else "; signatures were not checked"))
    else:
        lines.append(f"record {proof.bad.seq} of epoch {proof.bad.epoch} does not hold: {proof.bad.what}")
    show(result, "\n".join(lines), as_json)
    if proof.bad is not None:
        sys.exit(1)
