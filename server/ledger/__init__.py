"""The ledger: what a till's facts become, and the proof that nothing was lost or doubled."""
