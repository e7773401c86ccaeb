"""What `cache.db` has of its own. It has no steps: a cache laid out otherwise is made anew from the feed."""

from __future__ import annotations

# Beside the tables of `wire.v1.bootstrap`: how far the file has come.
OWN_LAYOUT = """
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1), incarnation BLOB, cursor INTEGER, complete INTEGER NOT NULL,
    rows INTEGER NOT NULL, digest BLOB NOT NULL, guests INTEGER NOT NULL,
    synced_at INTEGER, synced_boot BLOB, synced_monotonic INTEGER
) STRICT;
INSERT INTO state VALUES (1, NULL, NULL, 0, 0, zeroblob(16), 0, NULL, NULL, NULL);
"""
