"""Scenario: archives of one object whose folder and calls vary. Claim: tools/syscalls names calls
outside the engines.
"""

import subprocess

from sample import SampleCase

READ = "#include <unistd.h>\nlong f(void *b) { return read(0, b, 1); }\n"
MAP = "#include <sys/mman.h>\nint f(void *b) { return madvise(b, 1, MADV_DONTNEED); }\n"
PURE = "#include <string.h>\nvoid f(void *b, long n) { memset(b, 0, (unsigned long)n); }\n"


class Syscalls(SampleCase):
    def archive(self, name, code):
        unit = self.write("unit.c", code)
        member = self.root / f"{name}.c.o"
        library = self.root / "unit.a"
        library.unlink(missing_ok=True)
        subprocess.run(["gcc", "-O1", "-fno-builtin", "-c", unit, "-o", member], check=True)
        subprocess.run(["ar", "rc", library, member], check=True)
        return library

    def test_computing_is_open_to_all(self):
        for layer in ("base", "fiber", "engine", "runtime", "io"):
            self.assert_clean("syscalls", self.archive(f"{layer}_unit", PURE))

    def test_read_belongs_to_engines(self):
        self.assert_clean("syscalls", self.archive("engine_epoll", READ))
        for layer in ("base", "fiber", "runtime", "io"):
            words = f"{layer}_unit refers to read, which {layer} may not use"
            self.assert_found(words, "syscalls", self.archive(f"{layer}_unit", READ))

    def test_fibers_map_memory(self):
        self.assert_clean("syscalls", self.archive("fiber_stack", MAP))
        self.assert_found("refers to madvise", "syscalls", self.archive("runtime_loop", MAP))

    def test_raw_system_calls(self):
        code = "#define _GNU_SOURCE\n#include <unistd.h>\nlong f(void) { return syscall(1); }\n"
        self.assert_found("refers to syscall", "syscalls", self.archive("io_stream", code))

    def test_unknown_folder(self):
        self.assert_found("utils is no layer", "syscalls", self.archive("utils_misc", PURE))
