"""What ends a command."""


class CommandError(Exception):
    """A command that can't be carried out; the message is for the user."""
