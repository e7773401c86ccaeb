"""The till's files: the journal of facts, the cache of the feed, and what guards them."""
