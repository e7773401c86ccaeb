"""Demo data: a restaurant network with stores, staff and guests, the same for a seed however often it is made."""
