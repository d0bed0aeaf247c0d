#!/usr/bin/env python3
"""What is built into the programs and libraries, as a bill of materials (CycloneDX 1.5, JSON).

From `cargo metadata` and Cargo.lock alone, without a network, a clock or a random number: the same
sources give the same bytes. What only tests and measurements use is not in it: nobody gets it from us. A crate without a licence or a checksum is an error.
Usage: sbom.py [TARGET] > sknock.cdx.json
For all systems, whose crates `cargo fetch` brings; or for one, as in x86_64-unknown-linux-gnu, for which
what a build fetches is enough.
"""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CARGO = os.environ.get("CARGO", "cargo")
OURS_ALONE = ["sknock-tests"]
TARGET = sys.argv[1] if len(sys.argv) > 1 else None


# Settings of the user that change what cargo prints.
PLAIN = {name: value for name, value in os.environ.items() if not name.startswith("CARGO_TERM_")}
PLAIN |= {"CARGO_TERM_COLOR": "never"}


def metadata():
    command = [CARGO, "metadata", "--format-version=1", "--locked", "--offline"]
    command += [f"--filter-platform={TARGET}"] if TARGET else []
    return json.loads(subprocess.run(command, cwd=ROOT, env=PLAIN, check=True, stdout=subprocess.PIPE).stdout)


def checksums():
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    return {(p["name"], p["version"]): p.get("checksum") for p in locked["package"]}


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, checksum):
    # A licence that is an expression is one; a slash is how "or" was written before.
    if not package["license"]:
        sys.exit(f"sbom.py: {package['name']} names no licence")
    if not checksum and package["source"]:
        sys.exit(f"sbom.py: {package['name']} has no checksum in Cargo.lock")
    licence = package["license"].replace("/", " OR ")
    made = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(package),
        "licenses": [{"expression": licence}],
    }
    if checksum:
        made["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return made


def shipped():
    """Name and version of all that is run or built on any system; metadata alone names some that are
    not, because of features that nobody asks for."""
    command = [CARGO, "tree", "--workspace", "--locked", "--offline", "--edges=normal,build"]
    command += [f"--target={TARGET or 'all'}", "--prefix=none"] + [f"--exclude={name}" for name in OURS_ALONE]
    tree = subprocess.run(command, cwd=ROOT, env=PLAIN, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    words = (line.split() for line in tree.splitlines() if line)
    return {(name, version.removeprefix("v")) for name, version, *_ in words}


def needs(node):
    return [d["pkg"] for d in node["deps"] if any(k["kind"] != "dev" for k in d["dep_kinds"])]


def main():
    described, sums = metadata(), checksums()
    packages = {package["id"]: package for package in described["packages"]}
    nodes = {node["id"]: node for node in described["resolve"]["nodes"]}
    built = shipped()
    chosen = [id for id, p in packages.items() if (p["name"], p["version"]) in built]
    chosen.sort(key=lambda id: purl(packages[id]))
    roots = [id for id in described["workspace_members"] if id in chosen]
    refs = lambda ids: sorted({purl(packages[id]) for id in ids if id in chosen})
    version = next(packages[id]["version"] for id in roots if packages[id]["name"] == "sknock")
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": "sknock", "version": version, "bom-ref": "sknock"}
        },
        "components": [
            component(packages[id], sums.get((packages[id]["name"], packages[id]["version"])))
            for id in chosen
        ],
        "dependencies": [{"ref": "sknock", "dependsOn": refs(roots)}]
        + [{"ref": purl(packages[id]), "dependsOn": refs(needs(nodes[id]))} for id in chosen],
    }
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    print(json.dumps(bill, indent=1, ensure_ascii=False))


main()
