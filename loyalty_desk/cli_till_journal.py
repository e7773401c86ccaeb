"""`loyalty-desk verify-journal`, `till verify | export | import | recover | leave`: journals proved and carried."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loyalty_desk.cli_till import AsJson, DataDir, Lang, fail, opened, show, words_of
from loyalty_desk.domain.errors import ForPerson, Refused

if TYPE_CHECKING:
    from loyalty_desk.services.wording import Words
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
    app.command()(leave)


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
    _report(proof, words_of(lang), as_json)


def verify(data_dir: DataDir = None, lang: Lang = "", as_json: AsJson = False) -> None:
    """Prove this till's own journal."""
    with opened(data_dir, lang) as (till, words):
        till.wait_until_checked()
        proof = till.prove()
    _report(proof, words, as_json)


def export(
    file: Annotated[Path, typer.Argument(help="The file to write, for example till.ldx.")],
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Write the whole journal, encrypted, into one file; another till or this one brings it to the server."""
    from loyalty_desk.support_lines import exported_line

    with opened(data_dir, lang) as (till, words):
        waiting = till.export(file)
        show({"file": str(file), "waiting": waiting}, exported_line(file, waiting, words), as_json)


def import_(
    files: Annotated[list[Path] | None, typer.Argument(help="Exports or journals; none: the tills laid aside.")] = None,
    sheet_file: Sheet = "",
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Hand the records of another journal over to the server; done again it changes nothing."""
    from loyalty_desk.recovery import laid_aside
    from loyalty_desk.support_lines import brought_line

    with opened(data_dir, lang) as (till, words):
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
            show(result, brought_line(file, done, words), as_json)


def recover(sheet_file: Sheet = "", data_dir: DataDir = None, lang: Lang = "", as_json: AsJson = False) -> None:
    """Lay a till aside whose keys are lost, so that it can join again; with the sheet its sales can be brought back."""
    from loyalty_desk import recovery
    from loyalty_desk.paths import till_paths
    from loyalty_desk.support_lines import aside_lines

    paths = till_paths(data_dir)
    try:
        paths.prepare()
        found = recovery.recover(paths, _sheet(sheet_file))
    except ForPerson as error:
        fail(error, lang)
    result = {"laid_aside": [{"folder": str(one.folder), "can_open": one.can_open} for one in found]}
    show(result, "\n".join(aside_lines(found, words_of(lang))), as_json)


def leave(
    export: Annotated[
        Path | None, typer.Option("--export", help="Where records still wait: write the journal into this file first.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    lang: Lang = "",
    as_json: AsJson = False,
) -> None:
    """Take this till off its network, before it is sold or joins another; refused while records wait."""
    from loyalty_desk.support_lines import leave_question, left_line

    with opened(data_dir, lang) as (till, words):
        found = till.status()
        if (
            found is not None
            and not yes
            and not typer.confirm(leave_question(found.till, found.store, words), err=True)
        ):
            sys.exit(1)
        folder = till.leave(export)
        show({"folder": str(folder)}, left_line(folder, words), as_json)


def _sheet(sheet_file: str) -> str | None:
    if not sheet_file:
        return None
    try:
        return sys.stdin.read() if sheet_file == "-" else Path(sheet_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused("sheet_unreadable", path=sheet_file) from error


def _report(proof: Proof, words: Words, as_json: bool) -> None:
    from loyalty_desk.support_lines import proof_lines

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
    show(result, "\n".join(proof_lines(proof, words)), as_json)
    if proof.bad is not None:
        sys.exit(1)
