"""The layout of `cache.db`. It has no steps: a cache laid out otherwise is made anew from the feed."""

from __future__ import annotations

# `digest` is each live row's part of the feed's checkpoint; `row` of a guest is msgpack, of a document JSON.
LAYOUT = """
CREATE TABLE guest (
    id BLOB PRIMARY KEY, member_no TEXT, phone_hash TEXT, row BLOB NOT NULL, digest BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX guest_member_no ON guest(member_no) WHERE member_no IS NOT NULL;
CREATE INDEX guest_phone_hash ON guest(phone_hash) WHERE phone_hash IS NOT NULL;
CREATE TABLE credential (
    handle INTEGER PRIMARY KEY, guest BLOB NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
    generation INTEGER NOT NULL, root BLOB NOT NULL, step INTEGER NOT NULL, digest BLOB NOT NULL
) STRICT;
CREATE TABLE counter (
    owner TEXT NOT NULL, rule TEXT NOT NULL, period TEXT NOT NULL, used INTEGER NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (owner, rule, period)
) STRICT, WITHOUT ROWID;
CREATE TABLE document (
    tbl TEXT NOT NULL, key TEXT NOT NULL, row TEXT, digest BLOB NOT NULL, PRIMARY KEY (tbl, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE quota (rule TEXT PRIMARY KEY, left INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1), incarnation BLOB, cursor INTEGER, complete INTEGER NOT NULL,
    rows INTEGER NOT NULL, digest BLOB NOT NULL, guests INTEGER NOT NULL,
    synced_at INTEGER, synced_boot BLOB, synced_monotonic INTEGER
) STRICT;
INSERT INTO state VALUES (1, NULL, NULL, 0, 0, zeroblob(16), 0, NULL, NULL, NULL);
"""
