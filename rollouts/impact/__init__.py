"""Pure: who gets another answer once a change is applied, counted over a population of evaluation contexts."""

from .headlines import headline
from .masks import masked
from .mentions import Mentions, mentions_of
from .populations import MAX_SIZE, Population, PopulationProblem
from .proposals import proposed_population
from .sampled import NOTE, SMALLEST_SAMPLE, described_sample, sampled_contexts
from .scope import Side, affected_flags
from .simulation import Simulation
from .uploads import MAX_BYTES, read_contexts

__all__ = [
    "MAX_BYTES",
    "MAX_SIZE",
    "NOTE",
    "SMALLEST_SAMPLE",
    "Mentions",
    "Population",
    "PopulationProblem",
    "Side",
    "Simulation",
    "affected_flags",
    "described_sample",
    "headline",
    "masked",
    "mentions_of",
    "proposed_population",
    "read_contexts",
    "sampled_contexts",
]
