"""Flags in the form of others: the flagd definition, written and read. Pure."""

from .flagd_export import Definition, Omission, export_definition
from .flagd_import import Grade, ImportedFlag, ImportReport, read_definition

__all__ = [
    "Definition",
    "Grade",
    "ImportReport",
    "ImportedFlag",
    "Omission",
    "export_definition",
    "read_definition",
]
