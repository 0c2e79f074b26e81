"""The conformance suite: ``pytest --pyargs oracle_tests.conformance --refquant-backend=...``."""
