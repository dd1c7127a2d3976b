"""The service: looks again and again, keeps what it learned, notices incidents, and tells of them.

Refuses to decide anything about the node by itself: what stands is what `diagnose` says of the case.
"""
