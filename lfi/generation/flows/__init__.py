"""Real NVP as a generator of data: by maximum likelihood, by any comparison, or by both."""
