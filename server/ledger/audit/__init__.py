"""The proof: the whole ledger of a network read again and held against its invariants, the first bad place named.

Balances are summed from entries (INV-1, 2), lots against accounts (INV-15), every stored record hashed again along its
chain with its running totals (INV-7, 25), heads compared, entries planned anew from the bytes, the feed's digest made
again from the rows as a till would get them.
"""

from __future__ import annotations

from server.ledger.audit.findings import Audit, last_line
from server.ledger.audit.whole import audit

__all__ = ["Audit", "audit", "last_line"]
