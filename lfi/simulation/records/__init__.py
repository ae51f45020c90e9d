"""Records of simulations, in memory and on disk."""
