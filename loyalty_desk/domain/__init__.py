"""The kernel: facts about guests, checks and money. No I/O, no clock, no random number of its own."""
