"""The pages: each says what it shows as a `CounterState` and takes what the cashier does. No Qt."""
