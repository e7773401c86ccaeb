"""What may go wrong in a run, and how often; and the mutations by which the simulation is shown to bite."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    """A kind of trouble. A run has some of them; each is a word of the trace."""

    LOST_REQUEST = "lost_request"
    LOST_ANSWER = "lost_answer"
    CUT_BODY = "cut_body"
    DUPLICATE = "duplicate"
    DELAY = "delay"
    PORTAL = "portal"
    SERVER_ERROR = "server_error"
    CRASH_MID_BATCH = "crash_mid_batch"
    CRASH_AFTER_COMMIT = "crash_after_commit"
    POWER_CUT = "power_cut"
    POISON = "poison"
    CLOCK = "clock"
    CACHE_LOST = "cache_lost"
    DISK_LIES = "disk_lies"
    ROLLBACK = "rollback"
    ROLLBACK_UNSEEN = "rollback_unseen"
    WITNESS_LOST = "witness_lost"
    JOURNAL_LOST = "journal_lost"
    CORRUPT_TAIL = "corrupt_tail"
    CLONE = "clone"
    FAILOVER = "failover"
    RESTORE = "restore"
    SILENT_RESTORE = "silent_restore"
    SUSPEND = "suspend"
    CARD_TWICE = "card_twice"


NETWORK = (
    Fault.LOST_REQUEST,
    Fault.LOST_ANSWER,
    Fault.CUT_BODY,
    Fault.DUPLICATE,
    Fault.DELAY,
    Fault.PORTAL,
    Fault.SERVER_ERROR,
    Fault.CRASH_MID_BATCH,
    Fault.CRASH_AFTER_COMMIT,
)
# Faults after which a till may show a balance that counts an own sale twice until it has synced, or has lost facts.
REWINDS = frozenset(
    {Fault.DISK_LIES, Fault.ROLLBACK, Fault.ROLLBACK_UNSEEN, Fault.JOURNAL_LOST, Fault.CORRUPT_TAIL, Fault.CLONE}
)
# Faults that put the server back to an earlier state.
PUTS_BACK = frozenset({Fault.FAILOVER, Fault.RESTORE, Fault.SILENT_RESTORE})


class Mutation(StrEnum):
    """A defect put into the code under test: the simulation has to report it."""

    ACK_BEFORE_COMMIT = "ack_before_commit"
    HALF_A_BATCH = "half_a_batch"
    NO_RECONCILE = "no_reconcile"
    DELETE_ON_4XX = "delete_on_4xx"
    TTL_DEDUPE = "ttl_dedupe"
    BARE_CONFLICT = "bare_conflict"
    PLAIN_SEQUENCE = "plain_sequence"
    UNSYNCED_WITNESS = "unsynced_witness"
    UNSYNCED_JOURNAL = "unsynced_journal"
    ANY_ANSWER_ACKS = "any_answer_acks"
    ACK_DROPS_OVERLAY = "ack_drops_overlay"
    CURSOR_OUTLIVES_CACHE = "cursor_outlives_cache"
    PULL_AT_ANY_TIME = "pull_at_any_time"
    BLIND_TO_RESTORE = "blind_to_restore"
    IDS_BY_CLOCK = "ids_by_clock"
    POISON_BLOCKS = "poison_blocks"
    FORGOTTEN_EPOCH = "forgotten_epoch"
    DROPPED_WHEN_SUSPENDED = "dropped_when_suspended"
    RECLAIMED_BY_TIME = "reclaimed_by_time"
    GIVEN_UNTIL_ACKNOWLEDGED = "given_until_acknowledged"
    LEASES_FORGOTTEN = "leases_forgotten"


@dataclass(frozen=True, slots=True)
class Plan:
    """What one seed plays: tills, guests, steps and faults; `trouble` is how often a request fails.

    `gifts` says that the program has a rule that may be given a limited number of times; else chance says so.
    """

    tills: int
    guests: int
    steps: int
    trouble: float
    faults: frozenset[Fault] = field(default_factory=frozenset)
    gifts: bool = False

    @classmethod
    def draw(cls, random: Random) -> Plan:
        """Return a plan; about one run in eight knows the network's faults alone."""
        faults = {one for one in NETWORK if random.random() < 0.6}
        if random.random() < 0.875:
            faults |= {one for one in Fault if one not in NETWORK and random.random() < 0.35}
        return cls(
            tills=random.choice((1, 1, 2, 2, 3, 4)),
            guests=random.randint(1, 3),
            steps=random.randint(20, 60),
            trouble=random.choice((0.05, 0.2, 0.45)),
            faults=frozenset(faults),
        )

    def has(self, fault: Fault) -> bool:
        """Return whether this kind of trouble occurs in the run."""
        return fault in self.faults
