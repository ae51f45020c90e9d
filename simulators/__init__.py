"""Ready-made simulators with their real data: each file is one, and knows nothing of lfi."""
