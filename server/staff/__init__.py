"""Staff: who works at the tills."""
