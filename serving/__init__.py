"""What every HTTP server of the product shares: a port that is refused clearly, and a graceful end."""
