"""The packages: what they hold, that they install, start, and go again."""
