"""Parameters that bring simulations closest to data, and what they are uncertain by."""
