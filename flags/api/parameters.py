"""The query parameters of an address: each at most once, none that is not known, and all that is wrong told at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rest_framework.request import Request

from flags.errors import InvalidInput


class Parameters:
    """The parameters of a request. One that cannot be used is kept for the refusal and reads as if it were absent."""

    def __init__(self, request: Request, known: Sequence[str]) -> None:
        self._given = request.query_params
        self._refused: dict[str, str] = {}
        for name in self._given:
            if name not in known:
                self.refuse(name[:60], f"This parameter is not known{_listed(known)}")
            elif len(self._given.getlist(name)) > 1:
                self.refuse(name, "This is given more than once. Give it once.")

    @property
    def problems(self) -> list[dict[str, str]]:
        """Path and message of each parameter that cannot be used."""
        return [{"path": path, "message": message} for path, message in self._refused.items()]

    def refuse(self, name: str, message: str) -> None:
        """Keep why a parameter cannot be used; what was found first stays."""
        self._refused.setdefault(name, message)

    def text(self, name: str) -> str | None:
        """A parameter as it was sent, None where it is not there."""
        return None if name in self._refused else self._given.get(name)

    def one_of(self, name: str, known: Sequence[str]) -> str:
        """A parameter that is one of `known`, empty where it is not there."""
        text = self.text(name)
        if text is None or text in known:
            return text or ""
        self.refuse(name, f"Choose one of: {', '.join(known)}.")
        return ""

    def key(self, name: str) -> str:
        """A parameter that is the key of a flag, empty where it is not there."""
        text = self.text(name)
        if text is None or (text and all(char.isascii() and (char.isalnum() or char in "-_.") for char in text)):
            return text or ""
        self.refuse(name, "This is no key of a flag.")
        return ""

    def whole_number(self, name: str, *, largest: int) -> int | None:
        """A parameter from 1 to `largest`, None where it is not there."""
        text = self.text(name)
        if text is None:
            return None
        if text.isascii() and text.isdigit() and len(text) <= len(str(largest)) and 1 <= int(text) <= largest:
            return int(text)
        self.refuse(name, f"Give a whole number from 1 to {largest}.")
        return None


@contextmanager
def parameters(request: Request, *known: str) -> Iterator[Parameters]:
    """The parameters of a request, to be read inside a `with`. Raises InvalidInput at its end for all wrong ones."""
    asked = Parameters(request, known)
    yield asked
    if asked.problems:
        told = "; ".join(f"{each['path']}: {each['message']}" for each in asked.problems)
        raise InvalidInput(f"Some parameters cannot be used. {told}", problems=asked.problems)


def refuse_parameters(request: Request) -> None:
    """Raise InvalidInput where an address that takes no parameter is given any."""
    with parameters(request):
        pass


def _listed(known: Sequence[str]) -> str:
    if not known:
        return ": this address takes none."
    *first, last = known
    return f". Known are {', '.join(first)} and {last}." if first else f". Known is {last}."
