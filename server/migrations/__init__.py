"""The database schema, step by step. Expand first, contract a release later (architecture.md, Storage)."""
