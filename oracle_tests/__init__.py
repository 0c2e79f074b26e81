"""Tests of refquant, and the conformance suite other projects run against their backends."""
