"""Tests of the edge: real sockets, files and processes."""
