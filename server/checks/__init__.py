"""Checks of systems without our till: priced by the server, committed once under the caller's permanent id."""
