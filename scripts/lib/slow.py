#!/usr/bin/env python3
"""A provider whose streams are slow, for scripts/streams and scripts/turnover; and the client that reads them.

The provider answers every Messages request, and every Chat one in its own form, with a stream: its opening and the first delta at once (a gateway may hold a
stream back until there is content), then nothing until it is told to go, then one delta per interval, `N:I@T ` being delta I of the stream whose request said `stream N.`, sent at microsecond T, so that
a mixed-up byte shows and the reader knows how late each event is.

    opening, delta 0 ──GET /go──▶ one event per interval ──all sent, or GET /finish──▶ the proper ending

`GET /count` tells how many streams are open, were begun, ended properly, and were broken off by the other side.
Both ends are asyncio protocols: thousands of connections in one process each.
"""

import argparse
import asyncio
import json
import pathlib
import re
import ssl
import sys
import time
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import kit  # noqa: E402

SENT = re.compile(rb"@(\d+) ")
SLICES = 20  # an interval is cut into these, so that the events of many streams do not come at once


def expected(number, events, model=kit.MODEL):
    """The whole stream of that number, as text, without the times; the answer names the model that was asked for."""
    return "".join([*kit.opening(number, model), *(kit.delta(f"{number}:{i}@ ") for i in range(events)), *kit.closing(events)])


# ---- The provider ----


class Provider:
    """All streams, and where they stand."""

    def __init__(self, events, interval):
        self.events, self.interval = events, interval
        self.going = self.finishing = False
        self.slices = [set() for _ in range(SLICES)]
        self.begun = self.ended = self.broken = 0

    def status(self):
        """What /count tells."""
        return {"open": sum(map(len, self.slices)), "begun": self.begun, "ended": self.ended, "broken": self.broken}

    async def tick(self):
        """Sends one event per stream and interval, a slice at a time."""
        turn, due = 0, time.monotonic()
        while True:
            due += self.interval / SLICES
            await asyncio.sleep(max(0, due - time.monotonic()))
            if self.going:
                for stream in list(self.slices[turn]):
                    stream.step()
            turn = (turn + 1) % SLICES


class Stream(asyncio.Protocol):
    """One connection of the provider; it serves one stream at a time."""

    def __init__(self, provider):
        self.provider, self.got, self.slice = provider, b"", None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.got += data
        head, found, rest = self.got.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if not found or len(rest) < (length := int(length[1]) if length else 0):
            return
        self.got = rest[length:]
        if head.startswith(b"GET "):
            return self.control(head.split()[1].decode())
        self.begin(rest[:length], b"/chat/completions " in head[:200])

    def control(self, path):
        provider = self.provider
        provider.going |= path in ("/go", "/finish")
        provider.finishing |= path == "/finish"
        body = json.dumps(provider.status()).encode()
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))

    def begin(self, body, chat):
        self.chat = chat
        number = re.search(rb"stream (\d+)\.", body)
        self.number, self.sent = int(number[1]) if number else 0, 0
        self.provider.begun += 1
        self.slice = self.provider.slices[self.provider.begun % SLICES]
        self.slice.add(self)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        opening = [kit.chunk({"role": "assistant", "content": ""})] if chat else kit.opening(self.number)
        self.transport.write(head + chunk("".join(opening)))
        self.delta()

    def delta(self):
        text = f"{self.number}:{self.sent}@{time.monotonic_ns() // 1000} "
        self.transport.write(chunk(kit.chunk({"content": text}) if self.chat else kit.delta(text)))
        self.sent += 1

    def step(self):
        provider = self.provider
        done = self.sent >= provider.events if provider.events else provider.finishing
        if not done:
            return self.delta()
        self.slice.discard(self)
        self.slice = None
        provider.ended += 1
        closing = kit.chat_events(self.sent)[-3:] if self.chat else kit.closing(self.sent)
        self.transport.write(chunk("".join(closing)) + b"0\r\n\r\n")

    def connection_lost(self, _):
        if self.slice is not None:
            self.slice.discard(self)
            self.provider.broken += 1


def chunk(text):
    """One chunk of the transfer coding."""
    data = text.encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


async def serve(options):
    """Runs until it is ended."""
    loop, provider, tls = asyncio.get_running_loop(), Provider(options.events, options.interval), None
    if options.cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.cert, options.key)
    await loop.create_server(lambda: Stream(provider), "127.0.0.1", options.port, backlog=4096, ssl=tls)
    if tls:  # the control paths without TLS, one port above
        await loop.create_server(lambda: Stream(provider), "127.0.0.1", options.control)
    await provider.tick()


def start(events, interval, certificate=None):
    """Starts the provider as a process: (process, port, control port). `events` 0 is: until /finish."""
    port = kit.free_port()
    control = kit.free_port() if certificate else port
    command = [sys.executable, __file__, "--port", str(port), "--events", str(events), "--interval", str(interval)]
    if certificate:
        command += ["--cert", certificate[0], "--key", certificate[1], "--control", str(control)]
    process = kit.Process("provider", command)
    kit.wait_listening(port)
    kit.wait_listening(control)
    return process, port, control


def control(port, path):
    """Asks the provider's control path."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return json.load(answer)


# ---- The client ----


class Reader(asyncio.Protocol):
    """One stream as the client sees it: all its bytes, how late each delta came (seconds), when the last one came."""

    def __init__(self, number, model, request):
        self.number, self.model, self.request, self.got = number, model, request, bytearray()
        self.last, self.late = None, []
        self.opened = asyncio.get_running_loop().create_future()
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.request)
        self.request = None

    def data_received(self, data):
        now = time.monotonic()
        if self.last is None:
            self.opened.set_result(True)
        self.late += [now - int(sent) / 1e6 for sent in SENT.findall(data)]
        self.last = now
        self.got += data
        refused = not self.got.startswith(b"HTTP/1.1 200"[: len(self.got)])
        if (refused or self.got.endswith(b"0\r\n\r\n")) and not self.closed.done():
            self.closed.set_result(True)

    def connection_lost(self, error):
        for future in (self.opened, self.closed):
            if not future.done():
                future.set_result(False)

    def fault(self, events=None, translated=False):
        """What is wrong with the stream that was read, or an empty text. `events` None is: as many as came, if complete.
        Of a translated stream the texts must be the provider's, and its end an end."""
        head, _, rest = bytes(self.got).partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            return f"answered {head[:80]!r} {rest[:200]!r}"
        text, ended = dechunk(rest)
        text = re.sub(r"(\d+:\d+@)\d+ ", r"\1 ", text)
        text = re.sub(r"event: ping\ndata: [^\n]*\n\n", "", text)
        if not ended:
            return f"cut after {text.count('content_block_delta') // 2} deltas"
        count = text.count('"content_block_delta"') if events is None else events
        if translated:
            told = "".join(json.loads(t) for t in re.findall(r'"text_delta","text":("[^"]*")', text))
            whole = told == "".join(f"{self.number}:{i}@ " for i in range(count)) and '"message_stop"' in text[-80:]
            return "" if whole else f"not what the provider sent: {text[-300:]!r}"
        if text != expected(self.number, count, self.model):
            return f"not what the provider sent: {text[-300:]!r}"
        return ""


def dechunk(data):
    """The content of a chunked body, and whether its end is there."""
    out, at = [], 0
    while (line := data.find(b"\r\n", at)) >= 0:
        size = int(data[at:line].split(b";")[0] or b"0", 16)
        if size == 0:
            return b"".join(out).decode(), True
        out.append(data[line + 2 : line + 2 + size])
        at = line + 2 + size + 2
    return b"".join(out).decode(errors="replace"), False


async def open_stream(port, number, model=kit.MODEL):
    """Connects and asks; gives the reader, which may not have anything yet."""
    payload = kit.body(1024, number, True, model, f"stream {number}. ")
    lines = kit.headers(kit.session(number), True)
    loop = asyncio.get_running_loop()
    _, reader = await loop.create_connection(lambda: Reader(number, model, kit.raw(lines, payload)), "127.0.0.1", port)
    return reader


async def open_many(port, count, model=kit.MODEL, at_once=64, seconds=60):
    """Opens streams, a few at a time, and waits until each has its opening."""
    readers, gate = [], asyncio.Semaphore(at_once)

    async def one(number):
        async with gate:
            reader = await open_stream(port, number, model)
            readers.append(reader)
            await asyncio.wait_for(asyncio.shield(reader.opened), seconds)

    await asyncio.gather(*(one(number) for number in range(1, count + 1)))
    return readers


def main():
    """The provider as a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--control", type=int, help="a second port, without TLS")
    parser.add_argument("--events", type=int, default=10, help="deltas per stream; 0: until /finish")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two events of a stream")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
