"""Losses of critics and generators: divergences, contrastive, relativistic and decision losses."""
