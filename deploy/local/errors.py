"""What can go wrong on the local stack, in words for whoever started it.

StackError
├── ProcessFailedError   a process ended, or never answered, while it was waited for
└── StackStateError      the stack is not in the state that the command needs
"""


class StackError(Exception):
    """Something kept the local stack from doing what was asked; the message says what, and where to look."""


class ProcessFailedError(StackError):
    """A process ended, or did not answer in time; the message holds the last lines of its log."""


class StackStateError(StackError):
    """The stack is already running, or is not running, or is being started by someone else."""
