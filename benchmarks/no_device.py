"""A GPU that is not there, for Triton to compile for."""

from triton.backends.compiler import GPUTarget

TARGET = GPUTarget("cuda", 90, 32)


class NoDevice:
    """A driver that says what to compile for; whoever asks for more finds that it has no more."""

    def get_current_target(self) -> GPUTarget:
        """What is compiled for."""
        return TARGET

    def get_current_device(self) -> int:
        """The first."""
        return 0

    def get_current_stream(self, device: int) -> int:
        """The default one."""
        return 0
