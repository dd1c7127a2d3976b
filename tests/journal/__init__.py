"""Tests of the journals: how lines are read, how attempts are counted, and how journalctl is used."""
