"""Work that nobody asks for: expiry, tiers, birthdays, write-offs; idempotent, resumable, done by any worker."""
