"""The lives of flags, read from what is kept: facts in a constant number of queries, and what was judged from them."""
