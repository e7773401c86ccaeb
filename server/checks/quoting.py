"""Saying what checks cost now: many in one transaction, each as if it were asked alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from loyalty_desk.domain.errors import ForPerson, Refused
from server.checks.committing import limits_of, shown_by
from server.checks.moment import Moment
from server.checks.pricing import told
from server.checks.schemas import QuoteAnswer, QuoteRequest
from server.guests.proof import Proved
from server.kit.db import Connection
from server.ledger.online import OnlinePosting
from server.ledger.store import Tools
from server.systems.service import Asker


async def quote_all(
    connection: Connection, network: UUID, tools: Tools, group: Sequence[tuple[Asker, QuoteRequest]], now: datetime
) -> list[QuoteAnswer | ForPerson]:
    """Return what each check costs now, or why it has no price; nothing is kept."""
    program = await tools.program_of(connection, network, None)
    if program is None:
        return [Refused("program_missing") for _ in group]
    shown = await shown_by(connection, network, tools, group, now)
    guests = {one.guest for one in shown if isinstance(one, Proved) and one.guest is not None}
    posting = await OnlinePosting.look(connection, network, tools, guests, program, now)
    stores = await limits_of(connection, network, group)
    moment = await Moment.of(posting, tools.vault, stores, alone=False)
    return [await _quote(moment, asker, asked, one) for (asker, asked), one in zip(group, shown, strict=True)]


async def _quote(
    moment: Moment, asker: Asker, asked: QuoteRequest, proved: Proved | ForPerson | None
) -> QuoteAnswer | ForPerson:
    if isinstance(proved, ForPerson):
        return proved
    try:
        quote = (await moment.price(asker, asked, proved)).quote
    except ForPerson as error:
        return error
    if proved is None or proved.guest is None:
        return QuoteAnswer(told(quote))
    return QuoteAnswer(told(quote), proved.guest, moment.available(proved.guest), quote.redemption.max_points)
