"""Finite numbers written for people, and the round numbers of an axis."""

import math
import re
from collections.abc import Sequence


def compact(value: float) -> str:
    """A number in three digits or so: 950, 2,434, 31.1 k, 1.45 M."""
    for limit, size, unit in ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(value) >= limit * 0.9995:
            return f"{digits(value / size)}\u00a0{unit}"
    return f"{value:,.0f}" if value == int(value) else digits(value)


def digits(value: float) -> str:
    """Three significant digits, no exponent for everyday sizes."""
    if value == 0 or not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:,.{min(max(0, 2 - math.floor(math.log10(abs(value)))), 6)}f}"


def duration(seconds: float) -> str:
    """Seconds for people: 0.4 s, 48 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 9.95:
        return f"{seconds:.1f}\u00a0s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}\u00a0min {rest:02}\u00a0s" if minutes else f"{rest}\u00a0s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}\u00a0h {minutes:02}\u00a0min"


def percent(share: float) -> str:
    """A share of one: 34.2 %; small ones in two digits, 0.012 %."""
    return f"{100 * share:.2g}\u00a0%" if 0 < abs(share) < 0.0005 else f"{100 * share:.1f}\u00a0%"


def bare(text: str) -> str:
    """A written number without decimals that are zero."""
    return re.sub(r"\.0+(?!\d)", "", text)


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """About ``count`` round numbers (1, 2, 2.5 or 5 times a power of ten) from ``low`` to ``high``, both inclusive."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers for a logarithmic axis: 1, 2 and 5 times the powers of ten if they are few, else the powers alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
        if len(ticks) <= count:
            return ticks
    return ticks[:: math.ceil(len(ticks) / count)]


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """Ticks with as many decimals as the steps between them need; large ones in short form."""
    if len(ticks) < 2 or max(map(abs, ticks)) >= 1e5:
        return [bare(compact(tick)) for tick in ticks]
    step = ticks[1] - ticks[0]
    if step < 1e-3:
        return [f"{tick:.3g}" for tick in ticks]
    decimals = next((count for count in range(4) if abs(step * 10**count - round(step * 10**count)) < 1e-6), 4)
    return [f"{tick:,.{decimals}f}" if tick else "0" for tick in ticks]
