"""The screen for a till that cannot open: one sentence and what to do."""
