"""Worked examples: the ops of the oracle written with other people's libraries, to be verified."""
