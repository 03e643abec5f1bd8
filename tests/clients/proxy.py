"""The network between a caller and a server: it loses requests, loses answers, and delivers requests
long after their caller has turned away. It knows HTTP/2's frames, so that what happens, happens to a
request. What it does is drawn from a seed, connection by connection.
"""
import asyncio
import collections
import random
import threading

PREFACE_BYTES = 24
FRAME_HEADER_BYTES = 9
DATA, HEADERS = 0, 1
END_STREAM = 1

# What becomes of a request, and how often in a hundred.
STORM = {"passed": 62, "request lost": 6, "request lost, silently": 4, "answer lost": 7,
         "answer lost, silently": 5, "delivered late": 7, "slow": 9}
# After every so many requests comes a spell in which one thing happens to all of them. It is longer
# than the callers' patience, so that they give up while their requests are lost or on their way.
SPELL_EVERY = 50
SPELL_S = 1.8
SPELLS = ("request lost, silently", "delivered late")
# How long a silent connection stays open, a late request is on its way, and a slow one.
SILENCE_S = (0.05, 0.6)
LATE_S = (0.3, 2.0)
SLOW_S = (0.02, 0.15)
# How long a connection is read from, after a request was delivered whose answer nobody gets.
AFTER_S = 0.5


class Proxy:
    """`with Proxy(target, seed) as proxy:` listens on proxy.address. `script` names what becomes of
    the first requests; after it, `fates` are drawn."""

    def __init__(self, target, seed, fates=None, script=()):
        self.target = target
        self.seed = seed
        self.fates = fates if fates is not None else STORM
        self.script = list(script)
        self.counts = collections.Counter()
        self.connections = 0
        self.spells, self.spell_ends = 0, 0.0
        self.tasks = set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)

    def __enter__(self):
        self.thread.start()
        self.server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self.accepted, "127.0.0.1", 0), self.loop).result()
        self.address = "127.0.0.1:%d" % self.server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *exception):
        self.loop.call_soon_threadsafe(self.server.close)
        self.settle()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def settle(self):
        """Waits until everything that was on its way has arrived: nothing comes after it."""
        async def wait():
            while self.tasks:
                await asyncio.wait(set(self.tasks))
        asyncio.run_coroutine_threadsafe(wait(), self.loop).result()

    async def accepted(self, reader, writer):
        self.connections += 1
        chance = random.Random(f"{self.seed}/{self.connections}")
        task = asyncio.current_task()
        self.tasks.add(task)
        try:
            await Connection(self, chance, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.tasks.discard(task)
            writer.close()

    def fate(self, chance):
        """What becomes of the next request."""
        if self.script:
            fate = self.script.pop(0)
        elif self.loop.time() < self.spell_ends:
            fate = SPELLS[self.spells % len(SPELLS)]
        else:
            fate = chance.choices(list(self.fates), list(self.fates.values()))[0]
        self.counts[fate] += 1
        if sum(self.counts.values()) % SPELL_EVERY == 0:
            self.spells, self.spell_ends = self.spells + 1, self.loop.time() + SPELL_S
        return fate


class Connection:
    def __init__(self, proxy, chance, reader, writer):
        self.proxy = proxy
        self.chance = chance
        self.client = reader, writer
        self.is_silent = False  # whether answers are swallowed

    async def run(self):
        host, port = self.proxy.target.rsplit(":", 1)
        self.server = await asyncio.open_connection(host, int(port))
        answers = asyncio.ensure_future(self.pass_answers())
        requests = asyncio.ensure_future(self.pass_requests())
        try:
            await asyncio.wait((answers, requests), return_when=asyncio.FIRST_COMPLETED)
            if not requests.done() and self.is_silent:
                await requests  # the answers were cut off on purpose; the request goes on
        finally:
            for task in (answers, requests):
                task.cancel()
            await asyncio.gather(answers, requests, return_exceptions=True)
            self.server[1].close()

    async def pass_answers(self):
        while piece := await self.server[0].read(65536):
            if not self.is_silent:
                self.client[1].write(piece)
                await self.client[1].drain()

    async def frame(self):
        """(type, flags, the whole frame) of the next one from the client."""
        head = await self.client[0].readexactly(FRAME_HEADER_BYTES)
        payload = await self.client[0].readexactly(int.from_bytes(head[:3], "big"))
        return head[3], head[4], head + payload

    async def request(self, headers):
        """The rest of a request, up to the end of its stream."""
        frames = headers
        kind, flags = HEADERS, 0
        while not (kind == DATA and flags & END_STREAM):
            kind, flags, frame = await self.frame()
            frames += frame
        return frames

    async def pass_requests(self):
        server = self.server[1]
        server.write(await self.client[0].readexactly(PREFACE_BYTES))
        while True:
            kind, _, frame = await self.frame()
            if kind != HEADERS:
                server.write(frame)
                continue
            fate = self.proxy.fate(self.chance)
            frames = await self.request(frame)
            if fate == "request lost":
                return
            if fate == "slow":
                await asyncio.sleep(self.chance.uniform(*SLOW_S))
            if fate in ("passed", "slow"):
                server.write(frames)
                await server.drain()
                continue
            self.is_silent = True
            if fate == "request lost, silently":
                await asyncio.sleep(self.chance.uniform(*SILENCE_S))
            else:
                await self.deliver_without_answer(fate, frames)
            return

    async def deliver_without_answer(self, fate, frames):
        silence_s = 0 if fate == "answer lost" else self.chance.uniform(*SILENCE_S)
        if fate == "delivered late":
            closing = self.proxy.loop.call_later(silence_s, self.client[1].close)
            await asyncio.sleep(self.chance.uniform(*LATE_S))
            closing.cancel()
        elif silence_s == 0:
            self.client[1].close()
        self.server[1].write(frames)
        await self.server[1].drain()
        await asyncio.sleep(max(silence_s, AFTER_S))
