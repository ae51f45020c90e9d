"""Posteriors: by ratio, flow, likelihood, pool."""
