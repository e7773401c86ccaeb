"""Guests: who they are, sealed, and how they are found."""
