"""Every touch of the world: sockets, files, processes, commands, the clock. Pure rooms never import from here."""
