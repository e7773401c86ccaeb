"""The database schema, step by step. Expand first, contract a release later."""
