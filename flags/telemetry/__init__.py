"""Pure: what services report, as rows that were checked."""
