"""Search through a surrogate: a black box is fitted locally, and what is fitted differentiated."""
