"""Commands and long-running processes inside a network namespace and a cgroup."""

import os
import pathlib
import signal
import subprocess

from .waiting import Timeout, wait_until

# Joins the cgroups first, then the namespaces; every step is an exec, so the pid stays the same. `nsenter --net`, not
# `ip netns exec`, which remounts /sys and hides bpffs and cgroups.
_ENTER = 'for cgroup in $1; do echo $$ >"$cgroup/cgroup.procs" || exit 125; done; shift; exec nsenter "$@"'


class CommandFailed(Exception):
    def __init__(self, argv, code, output):
        super().__init__(f"{' '.join(map(str, argv))}: exit code {code}\n{output}")
        self.code = code
        self.output = output


def run(argv, check=True, timeout=30, **options):
    """Runs a command of the machine itself; returns CompletedProcess with text output."""
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=timeout, **options)
    if check and done.returncode != 0:
        raise CommandFailed(argv, done.returncode, done.stdout + done.stderr)
    return done


class Place:
    """Where processes run: a network namespace and a cgroup. Owns the processes started in it."""

    def __init__(self, netns_path, cgroup, log_dir):
        self.netns_path = pathlib.Path(netns_path)
        self.cgroup = cgroup
        self._log_dir = pathlib.Path(log_dir)
        self._processes = []
        self._process = Process  # Or an heir.
        self.environment = {}  # On top of this process's own, for all that runs here.

    def namespaces(self):
        """What nsenter(1) is told. Entering a pid namespace makes it fork and wait."""
        return [f"--net={self.netns_path}"]

    def _argv(self, argv):
        cgroups = " ".join(map(str, self.cgroup.paths))
        return ["sh", "-c", _ENTER, "sh", cgroups, *self.namespaces(), "--", *map(str, argv)]

    def run(self, argv, check=True, timeout=30, input=None):
        """Runs a command to its end; raises CommandFailed unless check is false."""
        done = subprocess.run(self._argv(argv), capture_output=True, text=True, timeout=timeout, input=input,
                              env=dict(os.environ, **self.environment))
        if check and done.returncode != 0:
            raise CommandFailed(argv, done.returncode, done.stdout + done.stderr)
        return done

    def spawn(self, argv, name=None, env=None):
        """Starts a process whose output goes to a log file; it ends with this place at the latest."""
        name = name or pathlib.Path(str(argv[0])).name
        log = self._log_dir / f"{name}-{len(self._processes)}.log"
        process = self._process(self._argv(argv), name, log, dict(self.environment, **(env or {})))
        self._processes.append(process)
        return process

    def stop_all(self):
        for process in reversed(self._processes):
            process.stop()
        self._processes.clear()


class Process:
    def __init__(self, argv, name, log, env=None):
        self.name = name
        self.log = log
        with open(log, "wb") as output:
            # Its own session: Ctrl-C reaches the test alone, which then ends everything in order.
            self._popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                           start_new_session=True, env=dict(os.environ, **env) if env else None)

    @property
    def pid(self):
        return self._popen.pid

    @property
    def exit_code(self):
        """None while it runs."""
        return self._popen.poll()

    def output(self):
        return self.log.read_text(errors="replace")

    def signal(self, number):
        if self.exit_code is None:
            os.kill(self.pid, number)

    def kill(self):
        """SIGKILL, as a crash would end it."""
        self.signal(signal.SIGKILL)
        self._popen.wait()

    def stop(self, seconds=5):
        """SIGTERM, and SIGKILL for what does not end in time; returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.exit_code

    def wait_ready(self, condition, what, seconds=15):
        """Waits for the condition; a process that ends before is reported with the tail of its log."""
        def ready_or_dead():
            return self.exit_code is not None or condition()

        try:
            wait_until(ready_or_dead, what, seconds)
        except Timeout as timeout:
            raise Timeout(f"{timeout}; {self.name} said:\n{self.output()[-4000:]}") from None
        if self.exit_code is not None:
            raise CommandFailed([self.name], self.exit_code, self.output()[-4000:])


class ForkedProcess(Process):
    """A process behind a parent that waits for it, as nsenter does after it entered a pid namespace."""

    @property
    def pid(self):
        """The child's; LookupError before it is born and after its death."""
        parent = self._popen.pid
        try:
            return int(pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])
        except (FileNotFoundError, IndexError):
            raise LookupError(f"{self.name} does not run") from None

    def signal(self, number):
        def sent():
            try:
                os.kill(self.pid, number)
            except (LookupError, ProcessLookupError):
                return self.exit_code is not None  # Otherwise it is not born yet.
            return True

        wait_until(sent, f"{self.name} runs, to get its signal")
