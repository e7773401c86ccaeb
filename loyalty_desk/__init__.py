"""Loyalty Desk: the till, and the kernel it shares with the ledger server."""

__version__ = "0.1.0"
