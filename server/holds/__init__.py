"""Holds: points set apart for a check that is about to be paid."""
