"""Steps of `journal.db`."""

from __future__ import annotations

import apsw


def first(connection: apsw.Connection) -> None:
    """Lay out the journal.

    `effect` is derived from `record` and kept apart from it: acknowledging must not rewrite payloads. `settled` = a
    completed pull has shown the effect, so that the partial index holds only what a balance still has to add.
    """
    connection.execute("""
        CREATE TABLE epoch (
            ordinal INTEGER PRIMARY KEY, epoch INTEGER NOT NULL UNIQUE, prev BLOB NOT NULL, opened_at INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE record (
            epoch INTEGER NOT NULL REFERENCES epoch(epoch), seq INTEGER NOT NULL, id BLOB NOT NULL UNIQUE,
            prev BLOB NOT NULL, hash BLOB NOT NULL, sig BLOB NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (epoch, seq)
        ) STRICT;
        CREATE TABLE effect (
            epoch INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, guest BLOB, handle INTEGER,
            earned INTEGER NOT NULL, redeemed INTEGER NOT NULL, day TEXT NOT NULL, uses TEXT NOT NULL, program BLOB,
            receipt INTEGER NOT NULL, cum_count INTEGER NOT NULL, cum_earned INTEGER NOT NULL,
            cum_redeemed INTEGER NOT NULL, feed_seq INTEGER, settled INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (epoch, seq)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX effect_of_guest ON effect(guest) WHERE settled = 0 AND guest IS NOT NULL;
        CREATE INDEX effect_of_handle ON effect(handle) WHERE settled = 0 AND guest IS NULL AND handle IS NOT NULL;
        CREATE INDEX effect_redeeming ON effect(redeemed) WHERE settled = 0 AND redeemed > 0;
        CREATE TABLE private (record_id BLOB PRIMARY KEY, salt BLOB NOT NULL, ciphertext BLOB NOT NULL) STRICT;
        CREATE TABLE ack (
            epoch INTEGER PRIMARY KEY, upto_seq INTEGER NOT NULL, incarnation BLOB NOT NULL, feed_seq INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE step (handle INTEGER NOT NULL, root BLOB NOT NULL, highest INTEGER NOT NULL,
            PRIMARY KEY (handle, root)) STRICT, WITHOUT ROWID;
        CREATE TABLE pin_tries (staff TEXT PRIMARY KEY, failed INTEGER NOT NULL, until INTEGER NOT NULL) STRICT;
        CREATE TABLE notice (id INTEGER PRIMARY KEY, code TEXT NOT NULL, facts TEXT NOT NULL, at INTEGER NOT NULL,
            UNIQUE (code, facts)) STRICT;
        CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE program (ordinal INTEGER PRIMARY KEY, version INTEGER NOT NULL, hash BLOB NOT NULL UNIQUE,
            bytes BLOB NOT NULL) STRICT;
    """)


def second(connection: apsw.Connection) -> None:
    """Say of each effect what came back of which sale, what was redeemed without the server, and what was registered.

    Until now every record but the first of an epoch was a sale with a receipt, and every redemption one made offline.
    """
    connection.execute("""
        ALTER TABLE effect ADD COLUMN offline INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE effect ADD COLUMN hold_until INTEGER;
        ALTER TABLE effect ADD COLUMN reverses BLOB;
        ALTER TABLE effect ADD COLUMN tier_discount INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE effect ADD COLUMN registers INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE effect ADD COLUMN numbered INTEGER NOT NULL DEFAULT 0;
        UPDATE effect SET offline = redeemed;
        UPDATE effect SET numbered = seq > 1;
        DROP INDEX effect_redeeming;
        CREATE INDEX effect_redeeming ON effect(offline) WHERE settled = 0 AND offline > 0;
        CREATE INDEX effect_reversing ON effect(reverses) WHERE reverses IS NOT NULL;
        CREATE INDEX effect_numbered ON effect(receipt) WHERE numbered = 1;
        CREATE INDEX effect_registering ON effect(handle, guest) WHERE registers = 1;
        CREATE INDEX effect_of_guest_at ON effect(guest, at) WHERE guest IS NOT NULL;
        ALTER TABLE pin_tries ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
    """)


def third(connection: apsw.Connection) -> None:
    """Name of each epoch the last record that was pruned: signed, it is what the rest of the chain begins behind."""
    connection.execute("""
        CREATE TABLE pruned (
            epoch INTEGER PRIMARY KEY, seq INTEGER NOT NULL, id BLOB NOT NULL, hash BLOB NOT NULL, sig BLOB NOT NULL,
            cum_count INTEGER NOT NULL, cum_earned INTEGER NOT NULL, cum_redeemed INTEGER NOT NULL
        ) STRICT;
    """)


def fourth(connection: apsw.Connection) -> None:
    """Count of each epoch what it gave of rules that are limited for all guests together."""
    connection.execute("""
        CREATE TABLE given (
            epoch INTEGER NOT NULL, rule TEXT NOT NULL, period TEXT NOT NULL, amount INTEGER NOT NULL,
            PRIMARY KEY (epoch, rule, period)
        ) STRICT, WITHOUT ROWID;
    """)


STEPS = (first, second, third, fourth)
