"""Gives the official core suite our emulator where it asks for its own in-memory backend.

A pytest plugin (`-p upstream_plugin`). The suite calls `create_test_backend(port)` for every test and stops
what it gets; here that starts `TASKHUB_EMULATOR` (a command with `{port}` in it) and ends that process.
"""

import os
import shlex
import socket
import subprocess
import time

import durabletask.testing
from durabletask.testing import in_memory_backend


class Emulator:
    """One emulator, in a process of its own."""

    def __init__(self, port):
        command = shlex.split(os.environ["TASKHUB_EMULATOR"].format(port=port))
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(500):
            if self.process.poll() is not None:
                raise RuntimeError(f"the emulator ended with code {self.process.returncode}: {command}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError(f"nothing listens on port {port}: {command}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def reset(self):
        """The process is gone, and its state with it."""


def create_test_backend(port=50051, max_history_size=10000):
    return Emulator(port)


durabletask.testing.create_test_backend = create_test_backend
in_memory_backend.create_test_backend = create_test_backend
