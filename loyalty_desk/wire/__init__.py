"""The contract between till and server, by version."""
