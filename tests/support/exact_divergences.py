"""A textbook's f, its slope and its conjugate to 60 digits, whatever formula it is written with."""

import operator

import mpmath

DIGITS = 60


class Number:
    """A number of 60 digits with the methods of a tensor that formulas of f use."""

    def __init__(self, value):
        self.value = value.value if isinstance(value, Number) else mpmath.mpf(value)

    def log(self):
        return Number(mpmath.log(self.value))

    def sqrt(self):
        return Number(mpmath.sqrt(self.value))

    def atan(self):
        return Number(mpmath.atan(self.value))

    def __neg__(self):
        return Number(-self.value)


def _binary(operation, reflected=False):
    def method(self, other):
        pair = (Number(other).value, self.value) if reflected else (self.value, Number(other).value)
        return Number(operation(*pair))

    return method


for name in ("add", "sub", "mul", "truediv", "pow"):
    setattr(Number, f"__{name}__", _binary(getattr(operator, name)))
    setattr(Number, f"__r{name}__", _binary(getattr(operator, name), reflected=True))


def exact(textbook, h):
    """Return f, f' and u f' - f at u = exp(h), each a number of 60 digits."""
    with mpmath.workdps(DIGITS):
        of_h = lambda h: textbook(Number(mpmath.exp(h))).value
        u, f = mpmath.exp(mpmath.mpf(h)), of_h(mpmath.mpf(h))
        derivative = mpmath.diff(of_h, mpmath.mpf(h))  # u f'(u)
        return f, derivative / u, derivative - f
