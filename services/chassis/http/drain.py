"""Stops a listening socket without resetting anybody.

Closing a listening socket resets every connection that has not been accepted yet, also those whose request is on
its way; emptying the accept queue first only narrows that gap. So first nothing new is let in: the kernel drops what
asks for a new connection (the client asks again a second later, and is then refused, or taken by another process),
and lets through what completes one.
"""

import ctypes
import errno
import socket
import struct

# linux/filter.h and asm-generic/socket.h; the standard library has no names for them.
_SO_ATTACH_FILTER = 26
_LOAD_BYTE, _JUMP_IF_SET, _RETURN = 0x30, 0x45, 0x06
_TCP_FLAGS, _SYN = 13, 0x02
# (operation, jump if true, jump if false, operand): accept a segment unless its SYN flag is set.
_NO_SYN = (
    (_LOAD_BYTE, 0, 0, _TCP_FLAGS),
    (_JUMP_IF_SET, 1, 0, _SYN),
    (_RETURN, 0, 0, 0xFFFFFFFF),
    (_RETURN, 0, 0, 0),
)


def admit_no_more(listener: socket.socket) -> None:
    """Let no further connection begin at `listener`; those that have begun can still be accepted.

    Where the system has no such filter, the shortest accept queue narrows the gap instead.
    """
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in _NO_SYN)
    code = ctypes.create_string_buffer(program, len(program))
    try:
        listener.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(_NO_SYN), ctypes.addressof(code))
        )
    except OSError as error:
        if error.errno not in (errno.ENOPROTOOPT, errno.EINVAL, errno.EPERM):
            raise
        listener.listen(0)
