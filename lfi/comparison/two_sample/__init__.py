"""Two-sample tests: kernels, energy, density difference, classifiers."""
