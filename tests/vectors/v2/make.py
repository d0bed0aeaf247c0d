#!/usr/bin/env python3
"""Writes the reference vectors of sKnock protocol v2, always the same bytes. See README.md.

Usage: pip install -r requirements.txt && ./make.py [--check]
With --check nothing is written; the exit code says whether the files are what would be written.
"""

import json
import sys
from pathlib import Path

from maker import good, keys, pki, refused, refused_answers, rfc9180
from maker.case import document, refused_answer

HERE = Path(__file__).resolve().parent
FOLDERS = ("pki", "good", "refused", "refused-answers")


def main() -> int:
    rfc9180.check()
    wanted = files()
    if sys.argv[1:] == ["--check"]:
        return check(wanted)
    for stale in sorted(present() - wanted.keys()):
        stale.unlink()
    for path, content in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    print(f"{len(wanted)} files, {sum(map(len, wanted.values()))} bytes")
    return 0


def check(wanted: dict[Path, bytes]) -> int:
    differing = [
        path for path, content in wanted.items() if not path.exists() or path.read_bytes() != content
    ]
    differing += present() - wanted.keys()
    for path in sorted(differing):
        print(f"{path} is not what make.py writes", file=sys.stderr)
    return 1 if differing else 0


def present() -> set[Path]:
    """Every file that is ours to write or remove."""
    return {
        path for folder in FOLDERS for path in (HERE / folder).rglob("*") if path.is_file()
    }


def files() -> dict[Path, bytes]:
    entities, lists = pki.make()
    out = {HERE.parent / "rfc9180" / "a3-base.json": text(rfc9180.VECTOR)}
    for name, entity in entities.items():
        out[HERE / "pki" / f"{name}.cer"] = entity.der
    for name, der in lists.items():
        out[HERE / "pki" / f"{name}.crl"] = der
    held = {
        name: keys.pkcs8(entity.key).hex() for name, entity in entities.items() if not entity.spec.authority
    }
    out[HERE / "pki" / "keys.json"] = text(held)
    for case in good.cases():
        put(out, HERE / "good" / f"{case.name}.json", text(document(case, entities, good=True)))
    for reason, cases in refused.cases().items():
        for case in cases:
            path = HERE / "refused" / reason / f"{case.name}.json"
            put(out, path, text(document(case, entities, good=False)))
    for case in refused_answers.cases():
        put(out, HERE / "refused-answers" / f"{case.name}.json", text(refused_answer(case, entities)))
    return out


def put(out: dict[Path, bytes], path: Path, content: bytes) -> None:
    assert path not in out, f"two cases called {path}"
    out[path] = content


def text(value: dict) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


if __name__ == "__main__":
    sys.exit(main())
