"""The sale screen: guest, check, price, confirmation."""
