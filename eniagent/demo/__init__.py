"""Recorded nodes, replayed on loopback: so that the main job can be seen, and tested, on any machine.

Refuses to touch what it finds on the machine: everything it serves and writes is on loopback or below a private directory.
"""
