"""The first run: this till joins a network."""
