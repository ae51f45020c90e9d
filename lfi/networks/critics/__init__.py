"""Critics: networks whose output is a log density ratio."""
