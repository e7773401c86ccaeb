"""Tills: pairing codes, enrolment, and which device may do what."""
