"""Builds the packages: one file, deb, rpm, SBOM, all from locked wheels. `python -m tools.package --help` says how.

Refuses to resolve while it builds: what goes in stands in `packaging/locks/`, by file name and digest.
"""
