"""What the field knows, as data with small look-ups: signatures, EC2 error codes, instance limits, settings."""
