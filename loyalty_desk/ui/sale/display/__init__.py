"""From what the sale screen knows to what it shows: every word and number of the window is made here."""
