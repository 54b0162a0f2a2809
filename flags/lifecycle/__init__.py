"""The life of a flag: its stages, when it is stale, whether it may go, its versions. Pure: derived from facts."""
