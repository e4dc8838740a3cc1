"""Medians and intervals. Only ratios of one round mean anything: the machine's speed moves between rounds."""

import random
import statistics

RESAMPLES = 2000


def median(values):
    return statistics.median(values)


def mad(values):
    """Median absolute deviation from the median."""
    middle = median(values)
    return median([abs(value - middle) for value in values])


def quantile(values, share):
    """Linear between the two nearest of the sorted values."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def bootstrap(values, seed=1, resamples=RESAMPLES):
    """The 95 % interval of the median, by resampling; the same values always give the same one."""
    if len(values) < 2:
        return values[0], values[0]
    draw = random.Random(seed)
    medians = [median(draw.choices(values, k=len(values))) for _ in range(resamples)]
    return quantile(medians, 0.025), quantile(medians, 0.975)


def jain(shares):
    """Jain's fairness index: 1 when all are equal, 1/n when one has everything."""
    total = sum(shares)
    squares = sum(share * share for share in shares)
    return total * total / (len(shares) * squares) if squares else 0.0


def paired(values, reference, combine):
    """combine(value, reference) of each round that both have; rounds are keys."""
    return [combine(values[key], reference[key]) for key in sorted(values) if key in reference]


def ratios(values, reference):
    return paired({key: value for key, value in values.items() if reference.get(key)}, reference,
                  lambda value, other: value / other)


def differences(values, reference):
    return paired(values, reference, lambda value, other: value - other)
