"""Networks: a chain, a restaurant, a shop; its stores, keys and offline limits."""
