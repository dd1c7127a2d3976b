"""`python3 eniagent.pyz`: opens the same door as the file does when it is run by its own name."""

import zipapp_door  # noqa: F401 - to import it is to run it
