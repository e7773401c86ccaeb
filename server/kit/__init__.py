"""What the server stands on: database, encryption, feed, logging. Nothing here knows about loyalty."""
