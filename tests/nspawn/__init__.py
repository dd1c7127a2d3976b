"""The service under the real systemd, in a container of its own."""
