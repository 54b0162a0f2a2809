"""How long payloads are kept in the database, class by class. Pure."""
