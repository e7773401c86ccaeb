"""Tills and server exchange facts and changes: hello, push, reconcile, pull."""
