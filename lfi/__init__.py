"""lfi: likelihood-free inference.

Compare two samples, and use the comparison twice: its gradient trains a generator, its value (a
density ratio) weighs the parameters of a simulator. Names are imported when they are first used.

Example:
    >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
    >>> wrapped = lfi.Simulator(lambda theta: theta + 1, prior=prior)
    >>> wrapped.names
    ('mean',)
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)  # names: __init__.pyi
