"""Training: the one loop over players, and what it needs."""
