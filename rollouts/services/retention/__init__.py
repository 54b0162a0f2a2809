"""Payloads leave the database for files, class by class, and come back."""
