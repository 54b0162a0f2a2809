"""Commands about flags."""
