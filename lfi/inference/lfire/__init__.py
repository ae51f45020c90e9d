"""LFIRE: likelihood-free inference by ratio estimation."""
