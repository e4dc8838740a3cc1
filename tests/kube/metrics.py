"""What a program shows at /metrics."""


def total(text, name, **labels):
    """Of the series of that name with these labels, the sum; None without any."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    found = [float(line.split()[-1]) for line in text.splitlines()
             if line.split("{")[0].split(" ")[0] == name and all(label in line for label in wanted)]
    return sum(found) if found else None
