"""Questions to the outside at one look of the engine: some at once, each once, none after the time for them is over.

Whoever writes plans chooses what is asked, so slow answers are expected. What was not asked stays as it was until the
next look.
"""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime

from rollouts.services import probes

logger = logging.getLogger(__name__)

# For all questions of a look together.
SECONDS = 10.0
AT_ONCE = 8


class NotAsked(Exception):
    """There was no time for this question, or its answer came too late."""


@dataclass(frozen=True, slots=True)
class Address:
    """What status does an address answer?"""

    url: str

    def ask(self) -> float | None:
        """The answer. Raises ProbeError."""
        return probes.get(self.url)


@dataclass(frozen=True, slots=True)
class Query:
    """What number does Prometheus give at an instant?"""

    text: str
    at: datetime

    def ask(self) -> float | None:
        """The answer, None for no data. Raises ProbeError."""
        return probes.query(self.text, at=self.at)


Question = Address | Query


class Outside:
    """What the outside said at one look. Its time begins with the first question."""

    def __init__(self, seconds: float = SECONDS, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._ends_at: float | None = None
        self._answers: dict[Question, float | probes.ProbeError | None] = {}
        self._problem: probes.Unreachable | None = None

    def ask(self, questions: Iterable[Question]) -> None:
        """Ask what was not asked yet, in this order, as far as the time allows."""
        asked = [question for question in dict.fromkeys(questions) if question not in self._answers]
        if self._ends_at is None:
            self._ends_at = self._clock() + self._seconds
        if not asked or self._clock() >= self._ends_at:
            return
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="outside")
        try:
            begun: dict[Future[float | None], Question] = {
                pool.submit(question.ask): question for question in asked if isinstance(question, Address)
            }
            for question in self._after_the_first([one for one in asked if isinstance(one, Query)]):
                begun[pool.submit(question.ask)] = question
            for future in wait(begun, timeout=max(0.0, self._ends_at - self._clock())).done:
                self._answers[begun[future]] = _tried(future.result)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _after_the_first(self, queries: Sequence[Query]) -> Sequence[Query]:
        """The queries that are left after one: a Prometheus that is away is waited for once by all of them."""
        if queries and self._problem is None:
            first = self._answers[queries[0]] = _tried(queries[0].ask)
            self._problem = first if isinstance(first, probes.Unreachable) else None
        if self._problem is None:
            return queries[1:]
        self._answers.update(dict.fromkeys(queries, self._problem))
        return ()

    def said(self, question: Question) -> float | None:
        """The answer to a question. Raises ProbeError where there was none, and NotAsked."""
        if question not in self._answers:
            raise NotAsked
        answer = self._answers[question]
        if isinstance(answer, probes.ProbeError):
            raise answer
        return answer


def nobody() -> Outside:
    """Whoever asks here gets no answer: for what is decided again while rows are locked."""
    return Outside(0)


def _tried(ask: Callable[[], float | None]) -> float | probes.ProbeError | None:
    try:
        return ask()
    except probes.ProbeError as error:
        return error
    except Exception:
        logger.exception("A question to the outside failed in a way that nobody thought of")
        return probes.ProbeError("Flagsite could not ask it. Its log says why.")
