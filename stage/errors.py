"""Mistakes of users, as exceptions whose message is written for them: one line with what is wrong, where, and the mend."""


class JgptError(Exception):
    """Anything that ends a command with one line instead of a traceback."""

    exit_status = 1


class UsageError(JgptError):
    """Flags, a configuration or a request that cannot be."""

    exit_status = 2


class InputError(JgptError):
    """A file that the user gave cannot be used; the message names the file and the place in it."""


class ArtifactError(JgptError):
    """A folder is not the artifact it should be, is not whole, or was made otherwise than asked for now."""
