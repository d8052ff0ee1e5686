"""What the measuring scripts share: processes with their CPU time and memory, ports, the gateway, requests, tables.

Python's standard library only. Nothing here knows a row, a stream or a turnover: those are the scripts' own matter.
"""

import contextlib
import datetime
import json
import os
import pathlib
import random
import resource
import shutil
import socket
import subprocess
import sys
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "kits" / pathlib.Path(sys.argv[0]).name
KEY = "pm-kit-0123456789abcdef"  # the virtual key of every measured request
MODEL = "claude-sonnet-4-5-20250929"


def fail(message):
    """Ends the script with exit code 1."""
    sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {message}")


def say(message):
    """Progress, on stderr: stdout holds the result only."""
    print(message, file=sys.stderr, flush=True)


# ---- Tools ----


def need(*packages):
    """Installs Debian packages that are missing. `packages` are pairs of a package and a path or command it brings."""
    missing = [name for name, proof in packages if not (shutil.which(proof) or os.path.exists(proof))]
    if not missing:
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        fail(f"please install {', '.join(missing)} (as root on Debian this script does it itself)")
    say(f"installing {', '.join(missing)}")
    quiet = dict(check=True, stdout=subprocess.DEVNULL, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    subprocess.run(["apt-get", "update", "-qq"], **quiet)
    subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], **quiet)


def binary():
    """The release binary; built if need be. `$POINTSMAN` names another one."""
    if given := os.environ.get("POINTSMAN"):
        return given
    say("building the release binary")
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=ROOT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    return str(pathlib.Path(target) / "release" / "pointsman")


def raise_descriptors():
    """Lifts the soft limit of descriptors to the hard one (and the hard one if that is allowed); gives the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, 65536), max(hard, 65536)))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_port():
    """A loopback port that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_listening(port, seconds=10.0):
    """Returns once something accepts on the port."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    fail(f"nothing listens on port {port} after {seconds:g} s")


# ---- Processes ----


class Process:
    """A child with its descendants: CPU time, memory, descriptors. Ended with the `with` block, by its own id."""

    def __init__(self, name, command, **options):
        self.name = name
        self.log = WORK / f"{name}.log"
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        self.pid = self.child.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.child.poll() is not None:
            return
        self.child.terminate()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def pids(self):
        """Itself and all descendants."""
        found, look = [], [self.pid]
        while look:
            pid = look.pop()
            found.append(pid)
            with contextlib.suppress(OSError):
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/children") as f:
                        look += map(int, f.read().split())
        return found

    def cpu(self):
        """Seconds of CPU (user and system) of all its processes since they began.

        Read from each process's CPU clock: the sum that utime and stime of /proc/PID/stat share out, threads that
        have ended included, but in nanoseconds instead of ticks of 10 ms.
        """
        return sum(time.clock_gettime(((~pid) << 3) | 2) for pid in self.pids())

    def rss(self):
        """Resident bytes; where there are several processes, pages that they share count once (proportional size)."""
        pids = self.pids()
        if len(pids) == 1:
            return 1024 * field(f"/proc/{pids[0]}/status", "VmRSS:")
        return 1024 * sum(field(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in pids)

    def descriptors(self):
        """How many it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def settle(self, seconds=3.0):
        """Waits until it uses (almost) no CPU any more, then gives its CPU time."""
        end, before = time.monotonic() + seconds, self.cpu()
        while time.monotonic() < end:
            time.sleep(0.06)
            now = self.cpu()
            if now - before < 0.0005:
                return now
            before = now
        return before

    def check(self):
        """Fails if it has ended."""
        if self.child.poll() is not None:
            fail(f"{self.name} ended with {self.child.returncode}; its last words:\n{tail(self.log)}")


def field(path, name):
    """The number after `name` in a /proc file."""
    with open(path) as f:
        for line in f:
            if line.startswith(name):
                return int(line.split()[1])
    return 0


def tail(path, count=15):
    """The last lines of a file."""
    return "\n".join(pathlib.Path(path).read_text(errors="replace").splitlines()[-count:])


# ---- The gateway ----


def gateway(program, config, port, workers=None, name="pointsman", **options):
    """Starts `pointsman serve` with this configuration (a dict; JSON is YAML) and waits until it listens."""
    file = WORK / f"{name}.yaml"
    file.write_text(json.dumps(config, indent=1))
    command = [program, "serve", "--config", str(file), "--listen", f"127.0.0.1:{port}", "--state", str(WORK / "state")]
    process = Process(name, command + (["--workers", str(workers)] if workers else []), **options)
    wait_listening(port)
    process.check()
    return process


def config(providers, **more):
    """A gateway with one account, one virtual key, sessions, health, gate, meter and record: everything on."""
    return {
        "accounts": [{"id": "kit", "providers": providers}],
        "virtual_keys": [{"id": "kit", "key": KEY, "account": "kit"}],
        "log": {"requests": True},
        **more,
    }


def provider(name, base_url, weight, kind="anthropic_compatible", **more):
    """One provider, of the Anthropic dialect unless `kind` says otherwise."""
    return {"id": name, "type": kind, "base_url": base_url, "api_key": f"sk-{name}-0123456789", "weight": weight, **more}


# ---- Requests as Claude Code sends them ----


def headers(session, stream):
    """The 22 headers of a Messages request, as pairs, without Host and Content-Length."""
    return [
        ("accept", "application/json"),
        ("anthropic-beta", "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,prompt-caching-scope-2026-01-05,effort-2025-11-24"),
        ("anthropic-dangerous-direct-browser-access", "true"),
        ("anthropic-version", "2023-06-01"),
        ("authorization", f"Bearer {KEY}"),
        ("content-type", "application/json"),
        ("user-agent", "claude-cli/2.1.201 (external, cli)"),
        ("x-app", "cli"),
        ("x-claude-code-session-id", session),
        ("x-stainless-arch", "x64"),
        ("x-stainless-helper-method", "stream" if stream else "create"),
        ("x-stainless-lang", "js"),
        ("x-stainless-os", "Linux"),
        ("x-stainless-package-version", "0.81.0"),
        ("x-stainless-retry-count", "0"),
        ("x-stainless-runtime", "node"),
        ("x-stainless-runtime-version", "v24.3.0"),
        ("x-stainless-timeout", "600"),
        ("accept-language", "*"),
        ("sec-fetch-mode", "cors"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("connection", "keep-alive"),
    ]


def session(number):
    """A session's id."""
    return str(uuid.UUID(int=random.Random(number).getrandbits(128), version=4))


def body(size, number, stream, model=MODEL, text="list the files here"):
    """A Messages request of exactly `size` bytes: system blocks, tools, and a history of tool calls and their results."""
    rnd = random.Random(number)
    request = {
        "model": model,
        "max_tokens": 32000,
        "stream": stream,
        "system": [{"type": "text", "text": "You are Claude Code, Anthropic's official CLI for Claude.", "cache_control": {"type": "ephemeral"}}],
        "metadata": {"user_id": json.dumps({"device_id": "d0", "account_uuid": "", "session_id": session(number)})},
        "tools": [],
        "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}],
    }
    room = size - len(json.dumps(request)) - 200
    if room > 4000:
        request["system"].append({"type": "text", "text": prose(rnd, min(room // 4, 16000))})
        request["tools"] = [tool(rnd, i) for i in range(min(18, room // 8000 + 1))]
    while (room := size - len(json.dumps(request)) - 200) > 1500:
        request["messages"] += turn(rnd, len(request["messages"]), min(room - 700, rnd.randrange(1000, 9000)))
    padding = size - len(json.dumps(request))
    request["messages"][0]["content"][0]["text"] += "." * max(padding, 0)
    return json.dumps(request).encode()


def turn(rnd, number, size):
    """An assistant's tool call and its result: a piece of source code."""
    call = {"type": "tool_use", "id": f"toolu_01{number:022d}", "name": "Read", "input": {"file_path": f"/src/{number}.rs", "limit": 200}}
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": code(rnd, size)}
    return [{"role": "assistant", "content": [{"type": "text", "text": prose(rnd, 60)}, call]}, {"role": "user", "content": [result]}]


def tool(rnd, number):
    """One tool with its schema."""
    schema = {"type": "object", "properties": {f"field_{i}": {"type": "string", "description": prose(rnd, 60)} for i in range(6)}, "required": ["field_0"], "additionalProperties": False}
    return {"name": f"Tool{number}", "description": prose(rnd, 900), "input_schema": schema}


WORDS = "the file that holds state is read before every request and its value must never be cached across a wait".split()


def prose(rnd, size):
    """Text of about this size."""
    words = []
    while size > 0:
        words.append(rnd.choice(WORDS))
        size -= len(words[-1]) + 1
    return " ".join(words)


def code(rnd, size):
    """Source text of about this many bytes once it is escaped: quotes, tabs and line ends as in real tool results."""
    lines, number = [], 1
    while size > 0:
        lines.append(f'{number:6}\tlet {rnd.choice(WORDS)} = "{prose(rnd, 24)}"; // {prose(rnd, 20)}\n')
        size -= len(json.dumps(lines[-1])) - 2
        number += 1
    return "".join(lines)


def raw(head_lines, payload, path="/anthropic/v1/messages?beta=true", host="127.0.0.1"):
    """A whole request as bytes."""
    lines = [f"POST {path} HTTP/1.1", f"host: {host}", *(f"{k}: {v}" for k, v in head_lines), f"content-length: {len(payload)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload


# ---- Answers as a provider sends them ----


def event(name, **fields):
    """One SSE event."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields}, separators=(',', ':'))}\n\n"


def opening(number=0, model=MODEL):
    """The events before the first delta."""
    usage = {"input_tokens": 12, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 1}
    message = {"id": f"msg_{number:024d}", "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    return [event("message_start", message=message), event("content_block_start", index=0, content_block={"type": "text", "text": ""})]


def delta(text):
    """One piece of text."""
    return event("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


def closing(tokens):
    """The events after the last delta."""
    stop = event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": tokens})
    return [event("content_block_stop", index=0), stop, event("message_stop")]


def whole(size=600):
    """A whole answer."""
    answer = {"id": f"msg_{0:024d}", "type": "message", "role": "assistant", "model": MODEL, "content": [{"type": "text", "text": ""}], "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 12, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 14}}
    answer["content"][0]["text"] = prose(random.Random(1), size - len(json.dumps(answer)))
    return json.dumps(answer)


def chunk(delta, finish=None, **more):
    """One chunk of Chat Completions."""
    choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}] if delta is not None else []
    fields = {"id": f"chatcmpl-{0:024d}", "object": "chat.completion.chunk", "created": 1764000000, "model": "gpt-4o-2024-08-06", "service_tier": "default", "system_fingerprint": "fp_0123456789", "choices": choices, "usage": None, **more}
    return f"data: {json.dumps(fields, separators=(',', ':'))}\n\n"


def chat_events(count):
    """A stream of Chat Completions with `count` pieces of text, as the real one sends it when usage is asked for."""
    usage = {"prompt_tokens": 12, "completion_tokens": count, "total_tokens": 12 + count, "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}}
    pieces = [chunk({"content": f" word{i % 10} and"}) for i in range(count)]
    return [chunk({"role": "assistant", "content": "", "refusal": None}), *pieces, chunk({}, "stop"), chunk(None, usage=usage), "data: [DONE]\n\n"]


def chat_whole(size=600):
    """A whole answer of Chat Completions."""
    message = {"role": "assistant", "content": "", "refusal": None, "annotations": []}
    answer = {"id": f"chatcmpl-{0:024d}", "object": "chat.completion", "created": 1764000000, "model": "gpt-4o-2024-08-06", "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}], "usage": {"prompt_tokens": 12, "completion_tokens": 14, "total_tokens": 26}}
    message["content"] = prose(random.Random(1), size - len(json.dumps(answer)))
    return json.dumps(answer)


# ---- Where and when ----


def machine():
    """Processor, cores, memory, kernel."""
    model = "unknown processor"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    memory = field("/proc/meminfo", "MemTotal:") / 1024 / 1024
    return f"{model}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GB, Linux {os.uname().release}"


def command():
    """The command line of this run, without the way to it."""
    return " ".join(["scripts/" + pathlib.Path(sys.argv[0]).name, *sys.argv[1:]])


def today():
    """The date, UTC."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def run(*command):
    """What a command prints, on both outputs."""
    out = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    return out.stdout + out.stderr


def first_line(*command):
    """The first line that a command prints."""
    return (run(*command).strip().splitlines() or ["?"])[0]


def verdict(value, target, unit=""):
    """Whether a figure that should be at most `target` is, and by how much not."""
    if value <= target:
        return "reached"
    return f"missed by {value - target:.3g}{unit} ({value / target:.2f} x the target)"


def workplace():
    """Makes an empty folder for logs and configurations."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
