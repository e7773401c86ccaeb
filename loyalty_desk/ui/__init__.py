"""The cashier's window: one folder a screen, each with a view (Qt), a presenter (plain Python) and a frozen state."""
