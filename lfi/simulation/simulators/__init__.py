"""Simulators: functions, commands and Pyro models with a prior."""
