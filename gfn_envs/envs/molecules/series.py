"""Power series with integer coefficients, as lists: entry d is the coefficient of x^d."""

from __future__ import annotations

Series = list[int]


def multisets(choices: Series, count: int) -> Series:
    """Multisets of ``count`` choices by Newton's identity k h_k = sum over i of p_i h_(k-i), p_i = choices(x^i)."""
    result: list[Series] = [[1] + [0] * (len(choices) - 1)]
    for k in range(1, count + 1):
        terms = [product(spread(choices, i), result[k - i]) for i in range(1, k + 1)]
        result.append([sum(column) // k for column in zip(*terms, strict=True)])
    return result[count]


def spread(series: Series, step: int) -> Series:
    """The series of x^step."""
    return [series[d // step] if d % step == 0 else 0 for d in range(len(series))]


def product(left: Series, right: Series) -> Series:
    """The product, up to the power of ``left``."""
    return [sum(left[i] * right[d - i] for i in range(d + 1)) for d in range(len(left))]


def total(series: list[Series], length: int) -> Series:
    """The sum of series of this length; zero if there are none."""
    return [sum(one[d] for one in series) for d in range(length)]
