"""Programs, checks, guests and ledgers as people write them, in TOML, YAML or JSON, with money like 220.50."""
