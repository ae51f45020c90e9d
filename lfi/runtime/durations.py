"""Times in words, the same everywhere."""

SMALL = ((1e-3, 1e-6, "microseconds"), (0.095, 1e-3, "milliseconds"))  # below, unit, and its name
DAYS = 172_800  # seconds from which days are told, two of them


def duration(seconds: float) -> str:
    """Return a time in words.

    Example:
        >>> duration(2.1e-4), duration(0.02), duration(2.34), duration(65)
        ('210 microseconds', '20 milliseconds', '2.3 s', '1 min 5 s')
        >>> duration(7_300), duration(400_000), duration(0.0)
        ('2 h 1 min', '4.6 days', '0.0 s')
    """
    for below, unit, name in SMALL:
        if 0 < seconds < below:
            return f"{float(f'{seconds / unit:.2g}'):g} {name}"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < DAYS:
        return f"{whole // 3_600} h {whole % 3_600 // 60} min"
    return f"{seconds / 86_400:.1f} days"
