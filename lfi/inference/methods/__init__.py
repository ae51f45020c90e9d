"""Methods: from simulations to a posterior."""
