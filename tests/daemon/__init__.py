"""The service as processes on a staged node, and its parts."""
