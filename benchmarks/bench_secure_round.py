"""A round of 23.5 million parameters over three sites: in the clear, under masks, and by CKKS on a fraction.

    python benchmarks/bench_secure_round.py --repeats 5

Plain and secure rounds take turns in one process, so that each repeat gives one ratio. Both do what a round
between processes does: a site writes its update as safetensors to a file and takes its SHA-256; the lead
reads the file, compares the digest, parses it and adds it up (in the clear, after checking that every value
is finite). The secure round adds everything of its five phases. Seconds are of the processor (in which other
work on the machine hardly counts) and of the clock. Aim: at most 1.1 times the bytes and 1.3 times the time.

CKKS runs on `--ckks-share` of the parameters and is scaled up linearly, which its chunks allow. Peak memory
is measured in processes of their own (`--role`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huizhen.core.digests import digest_bytes
from huizhen.ledger.signing import SigningKey
from huizhen.privacy.secure_aggregation.client import Client
from huizhen.privacy.secure_aggregation.coding import FixedPoint
from huizhen.privacy.secure_aggregation.interface import MaskedInput, Terms
from huizhen.privacy.secure_aggregation.server import Server

PARAMETERS = 23_508_032
SITES = ("a", "b", "c")
WEIGHTS = {"a": 120, "b": 80, "c": 40}
CODING = FixedPoint.finest(sites=3, clip=4.0, max_weight=120)


def updates(count: int) -> dict[str, NDArray[np.float32]]:
    """Return an update for each site."""
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(count, np.float32) * np.float32(1e-3) for name in SITES}


def sent(folder: Path, name: str, array: NDArray[Any]) -> tuple[str, int]:
    """Write an array as safetensors; return its digest and size."""
    from safetensors.numpy import save

    data = save({"update": array})
    (folder / name).write_bytes(data)
    return hashlib.sha256(data).hexdigest(), len(data)


def received(folder: Path, name: str, digest: str) -> NDArray[Any]:
    """Read what was sent, check its digest, and parse it without a copy."""
    data = (folder / name).read_bytes()
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError("altered")
    head = 8 + int.from_bytes(data[:8], "little")
    dtype = {"F32": np.float32, "U32": np.uint32}[json.loads(data[8:head])["update"]["dtype"]]
    return np.frombuffer(data, dtype, offset=head)


def plain_round(vectors: dict[str, NDArray[np.float32]], folder: Path) -> tuple[NDArray[np.float32], int]:
    """Return the weighted mean and the bytes that sites sent."""
    total, size = np.zeros(len(vectors["a"]), np.float32), 0
    for name, vector in vectors.items():
        digest, length = sent(folder, name, vector)
        array = received(folder, name, digest)
        if not np.isfinite(array).all():
            raise ValueError("not finite")
        total += array * np.float32(WEIGHTS[name])
        size += length
    return total / np.float32(sum(WEIGHTS.values())), size


def terms_for(count: int, keys: dict[str, SigningKey]) -> Terms:
    """Return the round's terms."""
    return Terms(
        study=digest_bytes(b"benchmark"),
        round_number=0,
        sites=tuple((name, key.public) for name, key in keys.items()),
        threshold=2,
        length=CODING.elements(count),
        coding=CODING,
    )


def size_of(message: Any) -> int:
    """Return the bytes of a small message's fields."""
    if isinstance(message, bytes | str):
        return len(message)
    if isinstance(message, tuple):
        return sum(map(size_of, message))
    return sum(size_of(getattr(message, name)) for name in message.__dataclass_fields__)


def secure_round(vectors: dict[str, NDArray[np.float32]], folder: Path) -> tuple[NDArray[np.float32], int]:
    """Return the weighted mean and the bytes that sites sent and were sent beyond the plain round's."""
    keys = {name: SigningKey.generate() for name in SITES}
    terms = terms_for(len(vectors["a"]), keys)
    server = Server(terms=terms)
    clients = {name: Client(terms=terms, name=name, key=key) for name, key in keys.items()}
    size = 0
    adverts = [client.advertise() for client in clients.values()]
    [server.take_advert(advert) for advert in adverts]
    roster = server.close_adverts()
    shares = [client.share(roster) for client in clients.values()]
    [server.take_shares(one) for one in shares]
    deliveries = server.close_shares()
    for name, client in clients.items():
        encoded = CODING.encoded([vectors[name]], weight=WEIGHTS[name])
        digest, length = sent(folder, name, client.mask(deliveries[name], encoded).vector)
        vector = received(folder, name, digest)
        server.take_masked(MaskedInput(terms=terms.digest, site=name, vector=vector))
        size += length
    survivors = server.close_masked()
    signed = [client.endorse(survivors) for client in clients.values()]
    [server.take_endorsement(one) for one in signed]
    endorsements = server.close_endorsements()
    answers = [client.unmask(endorsements) for client in clients.values()]
    [server.take_unmasking(answer) for answer in answers]
    mean, _ = CODING.decode(server.total().vector)
    size += sum(map(size_of, [*adverts, *shares, *signed, *answers, *deliveries.values()]))
    return mean, size + 3 * sum(map(size_of, [roster.adverts, endorsements.signatures, survivors.sites]))


def timed(act: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return a call's result, its seconds of processor, and of the clock."""
    processor, clock = time.process_time(), time.perf_counter()
    result = act()
    return result, time.process_time() - processor, time.perf_counter() - clock


def compare(count: int, repeats: int) -> None:
    """Print plain against secure rounds."""
    vectors = updates(count)
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for repeat in range(repeats + 1):
            (plain, plain_bytes), *plain_s = timed(lambda: plain_round(vectors, folder))
            (secure, secure_bytes), *secure_s = timed(lambda: secure_round(vectors, folder))
            if repeat:  # the first one warms up
                rows.append((*plain_s, *secure_s))
    plain_cpu, plain_wall, secure_cpu, secure_wall = (statistics.median(c) for c in zip(*rows, strict=True))
    print(f"{count:,} parameters, three sites, median of {repeats} interleaved turns")
    print(f"  largest difference of the means {np.abs(plain - secure).max():.1e}")
    print(f"  bytes   plain {plain_bytes:,}  secure {secure_bytes:,}  ratio {secure_bytes / plain_bytes:.6f}")
    for name, plain_s, secure_s, at in (
        ("processor", plain_cpu, secure_cpu, 0),
        ("clock", plain_wall, secure_wall, 1),
    ):
        ratio = statistics.median(row[2 + at] / row[at] for row in rows)
        print(f"  {name:9s} plain {plain_s:6.3f} s  secure {secure_s:6.3f} s  ratio {ratio:.3f}")


def primitives() -> None:
    """Print what a keystream of 94 MiB costs by generator."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    chunk, turns = 1 << 18, 376
    zeros, space = bytes(chunk), bytearray(chunk + 16)
    makers = {
        "AES-128-CTR": lambda: Cipher(algorithms.AES(bytes(16)), modes.CTR(bytes(16))),
        "AES-256-CTR": lambda: Cipher(algorithms.AES(bytes(32)), modes.CTR(bytes(16))),
        "ChaCha20": lambda: Cipher(algorithms.ChaCha20(bytes(32), bytes(16)), None),
    }
    for name, maker in makers.items():
        best = []
        for _ in range(5):
            stream = maker().encryptor()
            best.append(timed(lambda s=stream: [s.update_into(zeros, space) for _ in range(turns)])[1])
        print(f"  {name:12s} {1000 * min(best):6.1f} ms of processor for 94 MiB")


def ckks(count: int, share: float) -> None:
    """Print CKKS on a share of the parameters, scaled to all, beside masks."""
    from huizhen.privacy.homomorphic import add, decrypt, encrypt, make_keys

    vectors = {name: vector[: int(count * share)] for name, vector in updates(count).items()}
    keys = make_keys()
    boxes, encrypt_s, _ = timed(lambda: [encrypt(keys, vector, sites=3) for vector in vectors.values()])
    total, add_s, _ = timed(lambda: add(keys.public, boxes))
    result, decrypt_s, _ = timed(lambda: decrypt(keys, total))
    size = sum(map(len, boxes[0].chunks))
    error = np.abs(result - sum(v.astype(float) for v in vectors.values())).max()
    print(f"CKKS on {share:.2%} of the parameters, scaled to all (of processor):")
    print(
        f"  encrypt {encrypt_s / 3 / share:.1f} s a site, add {add_s / share:.1f} s, "
        f"decrypt {decrypt_s / share:.1f} s, {size / share / 1e6:,.0f} MB a site, error {error:.1e}"
    )


def role(name: str, count: int) -> None:
    """Do one process's part of a round and print its peak memory."""
    keys = {site: SigningKey.generate() for site in SITES}
    terms = terms_for(count, keys)
    clients = {site: Client(terms=terms, name=site, key=key) for site, key in keys.items()}
    server = Server(terms=terms)
    [server.take_advert(client.advertise()) for client in clients.values()]
    roster = server.close_adverts()
    [server.take_shares(client.share(roster)) for client in clients.values()]
    deliveries = server.close_shares()
    with tempfile.TemporaryDirectory() as scratch:
        if name == "site":
            encoded = CODING.encoded([np.full(count, 1e-3, np.float32)])
            sent(Path(scratch), "a", clients["a"].mask(deliveries["a"], encoded).vector)
        else:
            digest, _ = sent(Path(scratch), "a", np.ones(terms.length, np.uint32))
            for site in SITES:
                vector = received(Path(scratch), "a", digest)
                server.take_masked(MaskedInput(terms=terms.digest, site=site, vector=vector))
            CODING.decode(server._sum)  # what the lead holds at the end of a round
    print(f"  {name}: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parameters", type=int, default=PARAMETERS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--ckks-share", type=float, default=0.005)
    parser.add_argument("--role", choices=["site", "lead"], help="one process's peak memory only")
    given = parser.parse_args()
    if given.role:
        return role(given.role, given.parameters)
    print("peak memory of a process of its own:", flush=True)
    for name in ("site", "lead"):  # first, because a process inherits the peak of the one that starts it
        line = [sys.executable, __file__, "--role", name, "--parameters", str(given.parameters)]
        subprocess.run(line, check=True)
    compare(given.parameters, given.repeats)
    print("keystreams:")
    primitives()
    ckks(given.parameters, given.ckks_share)
    return None


if __name__ == "__main__":
    main()
