"""What the scripts share that run a real client: processes of the gateway and of its mock, checks, the binary.

Python's standard library only. Knows no client and no dialect but by the paths on which a mock is asked for answers.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Seconds.
START, BUILD, INSTALL = 15, 1800, 300
# How long after the client is gone the upstream may still be busy.
CUT = 0.25
# What a request for an answer ends with, in any dialect.
TURNS = ("/messages", "/chat/completions")


class Failed(Exception):
    """A check that does not hold."""


def expect(holds, detail):
    if not holds:
        raise Failed(detail)


class Report:
    """Prints a line per check and counts what failed."""

    def __init__(self):
        self.failed = 0

    def ok(self, name):
        print(f"ok {name}", flush=True)

    def fail(self, name, detail):
        self.failed += 1
        print(f"FAILED {name}: {detail}", flush=True)

    @contextlib.contextmanager
    def check(self, name):
        """One line for what happens inside; an exception fails this check and not the run."""
        begun, notes = time.monotonic(), []
        try:
            yield notes.append
            print(f"ok {name} ({time.monotonic() - begun:.1f} s){''.join('; ' + n for n in notes)}", flush=True)
        except Exception as error:  # Any error of a client is a finding, not the end of the run.
            detail = " ".join(f"{type(error).__name__}: {error}".split())[:800]
            self.fail(f"{name} ({time.monotonic() - begun:.1f} s)", detail)


class Named:
    """A report whose checks bear the name of a run."""

    def __init__(self, report, name):
        self.report, self.name = report, name

    def check(self, name):
        return self.report.check(f"{self.name}: {name}")

    def skip(self, name, why):
        print(f"-- {self.name}: {name}: {why}", flush=True)


class Server:
    """A pointsman process on a port of its own, ended at the end of the `with`."""

    def __init__(self, name, arguments, folder, port=None):
        self.name, self.port, self.log = name, port or free_port(), folder / f"{name}.log"
        # No variable of the caller may reach it: a key in the environment would be a provider.
        env = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder)}
        arguments = [a.format(listen=f"127.0.0.1:{self.port}") for a in arguments]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(arguments, cwd=folder, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + START
        while time.monotonic() < end:
            expect(self.process.poll() is None, f"{name} ended with {self.process.returncode}: {self.tail()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        self.end()
        raise Failed(f"{name} did not listen within {START} s: {self.tail()}")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def tail(self):
        return self.log.read_text(errors="replace")[-600:]

    def kill(self):
        """As a crash does it: at once."""
        self.process.kill()
        self.process.wait(10)

    def end(self):
        """As an operator does it. Returns the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode

    def ends_well(self):
        expect(self.process.poll() is None, f"it had ended with {self.process.returncode}: {self.tail()}")
        code, log = self.end(), self.log.read_text(errors="replace")
        expect(code == 0, f"exit {code}: {self.tail()}")
        expect("panicked" not in log, log[-600:])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Gateway(Server):
    """`pointsman serve` with a configuration, or without any."""

    def __init__(self, name, binary, folder, config=None):
        arguments = [binary, "serve", "--listen", "{listen}", "--state", str(folder / f"{name}-state")]
        if config:
            path = folder / f"{name}.yaml"
            path.write_text(config)
            arguments += ["--config", str(path)]
        super().__init__(name, arguments, folder)


class Mock(Server):
    """`pointsman mock`, what it was asked, and what goes wrong in it."""

    def __init__(self, name, binary, folder, port=None):
        self.binary, self.folder = binary, folder
        super().__init__(name, [binary, "mock", "--listen", "{listen}"], folder, port)

    def revived(self):
        """Another mock in the place of this one, which was killed: on the same port."""
        return Mock(f"{self.name}-again", self.binary, self.folder, self.port)

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def set_fault(self, **fault):
        self.control("POST", "/mock/faults", fault)

    @contextlib.contextmanager
    def fault(self, **fault):
        """A fault for the time of the `with`."""
        self.set_fault(**fault)
        try:
            yield
        finally:
            self.control("DELETE", "/mock/faults")

    def turns(self, bodies=False):
        """The requests for answers that it saw, oldest first."""
        seen = self.control("GET", f"/mock/requests?bodies={int(bodies)}")["requests"]
        return [request for request in seen if request["path"].split("?")[0].endswith(TURNS)]

    def last(self):
        """The latest request for an answer, with its body, or None."""
        seen = self.turns(bodies=True)
        return seen[-1] if seen else None

    def gone_after(self, begun):
        """Seconds from `begun` until the mock noticed that its client is gone."""
        while time.monotonic() < begun + 5:
            if self.control("GET", "/mock/requests?last=1&bodies=0")["requests"][-1]["ended"] == "gone":
                return time.monotonic() - begun
            time.sleep(0.005)
        raise Failed("the upstream was still busy 5 s after the client had gone")


def soon(seconds):
    """Milliseconds, which must be few."""
    expect(seconds <= CUT, f"after {seconds * 1000:.0f} ms, not within {CUT * 1000:.0f}")
    return round(seconds * 1000)


def until(what, limit, complaint):
    """What `what` returns, as soon as that is true."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise Failed(f"{complaint} within {limit} s")


def clean(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@contextlib.contextmanager
def workplace(prefix, report, keep):
    """A folder to work in; kept if a check failed."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        if keep or report.failed:
            print(f"# kept {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def build():
    """The gateway's binary: `$POINTSMAN`, or built in release."""
    given = os.environ.get("POINTSMAN")
    if given:
        binary = Path(given).resolve()
        expect(binary.is_file(), f"POINTSMAN={given} is not a file")
        return str(binary)
    subprocess.run(["cargo", "build", "--release", "--bin", "pointsman"], cwd=ROOT, check=True, timeout=BUILD)
    meta = subprocess.run(["cargo", "metadata", "--format-version=1", "--no-deps"], cwd=ROOT, check=True, capture_output=True, timeout=60)
    return str(Path(json.loads(meta.stdout)["target_directory"]) / "release" / "pointsman")


def with_sdk(folder, package):
    """Goes on in a Python that has the newest `package`: makes it if it is not there, and becomes it."""
    python = folder / "bin" / "python"
    if Path(sys.prefix).resolve() == folder.resolve():
        return
    if not python.exists() or subprocess.run([str(python), "-c", f"import {package}"], capture_output=True, timeout=60).returncode:
        print(f"installing {package} into {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=INSTALL)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", package]
        subprocess.run(install, check=True, timeout=INSTALL, stdout=sys.stderr)
    os.execv(str(python), [str(python), *sys.argv])


def without_variables(*prefixes):
    """Takes the caller's variables away that would change what a client sends, and where."""
    for name in list(os.environ):
        if name.startswith(prefixes) or name.lower().endswith("_proxy"):
            del os.environ[name]
