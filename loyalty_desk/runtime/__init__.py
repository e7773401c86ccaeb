"""Qt plumbing without widgets: threads, their way back to the main one, the keyboard scanner, shutdown and crashes."""
