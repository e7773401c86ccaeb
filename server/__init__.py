"""The central ledger server."""
