"""Schema steps of the till's files, by `PRAGMA user_version`; they import nothing of the program."""
