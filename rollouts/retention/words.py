"""How payloads are counted in sentences."""


def payloads(number: int) -> str:
    """“1 payload” or “12,500 payloads”."""
    return "1 payload" if number == 1 else f"{number:,} payloads"
