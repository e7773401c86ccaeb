"""What a counter does beside selling, page by page: shift, sales and returns, guests, points by hand."""
