"""Records that only a client in C can write: header names that are no text. Uses the library inside our own client."""

import ctypes
from pathlib import Path

import confluent_kafka

_TOPIC, _VALUE, _KEY, _HEADER, _END = 1, 4, 5, 9, 0
_PRODUCER = 0


def write_with_header(bootstrap_servers: str, topic: str, *, key: bytes, value: bytes, header: bytes) -> None:
    """Write a record whose one header has these bytes as its name; neither key nor header may hold a zero byte."""
    library = _librdkafka()
    library.rd_kafka_conf_new.restype = library.rd_kafka_new.restype = ctypes.c_void_p
    error = ctypes.create_string_buffer(512)
    configuration = ctypes.c_void_p(library.rd_kafka_conf_new())
    server = ctypes.c_char_p(bootstrap_servers.encode())
    library.rd_kafka_conf_set(configuration, b"bootstrap.servers", server, error, ctypes.c_size_t(512))
    producer = ctypes.c_void_p(library.rd_kafka_new(_PRODUCER, configuration, error, ctypes.c_size_t(512)))
    arguments = [
        *(ctypes.c_int(_TOPIC), ctypes.c_char_p(topic.encode())),
        *(ctypes.c_int(_VALUE), ctypes.c_char_p(value), ctypes.c_size_t(len(value))),
        *(ctypes.c_int(_KEY), ctypes.c_char_p(key), ctypes.c_size_t(len(key))),
        *(ctypes.c_int(_HEADER), ctypes.c_char_p(header), ctypes.c_char_p(b"x"), ctypes.c_ssize_t(1)),
        ctypes.c_int(_END),
    ]
    assert library.rd_kafka_producev(producer, *arguments) == 0
    assert library.rd_kafka_flush(producer, 20_000) == 0
    library.rd_kafka_destroy(producer)


def _librdkafka() -> ctypes.CDLL:
    """Return the library that our client has loaded, by its path."""
    assert confluent_kafka.libversion()
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    (path, *_) = {line.split()[-1] for line in lines if "librdkafka" in line}
    return ctypes.CDLL(path)
