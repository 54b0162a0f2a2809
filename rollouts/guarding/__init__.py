"""Pure: guard metrics. From stored counts to a verdict, by the same arithmetic at every look and in every replay."""
