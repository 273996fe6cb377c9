"""Damaged files: good files of every format that an environment reads, and mutations of their bytes.

``complaint`` reads a damaged file. A reader has two good answers: a ValueError or OSError of one line that names the
file, or a reading that accounts for every taxon, residue, number or block that is still in
the file. Anything else is a complaint.

    python -m benchmarks.malformed_files [number of files]
"""

from __future__ import annotations

import collections
import gzip
import itertools
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gfn_envs
from gfn_envs.smiles_files import HEADERS

#: A change of a file: its kind, its place as a fraction of the file in 1 / 2^16, and a byte.
Edit = tuple[str, int, int]

#: Seconds of CPU time after which reading a file of a few hundred bytes counts as hanging.
SECONDS = 5.0


class Example(NamedTuple):
    """A good file.

    Attributes:
        environment, argument: environment and argument that read it.
        file: its name.
        content: its bytes.
        lost: function of changed content and its Dag -> text about lost data, ``""`` if nothing was lost.
        others: further arguments of the environment.
    """

    environment: str
    argument: str
    file: str
    content: bytes
    lost: Callable[[str, Any], str]
    others: Mapping[str, Any] = {}


# ---------------------------------------------------------------------- mutations


def _lines(content: bytes, change: Callable[[list[bytes], int], None], at: int) -> bytes:
    lines = content.splitlines(keepends=True)
    if lines:
        change(lines, at * len(lines) >> 16)
    return b"".join(lines)


def _swap(lines: list[bytes], k: int) -> None:
    lines[k - 1], lines[k] = lines[k], lines[k - 1]


def _at(content: bytes, at: int) -> int:
    return at * len(content) >> 16


#: name -> function of the content, a place and a byte.
MUTATIONS: dict[str, Callable[[bytes, int, int], bytes]] = {
    "delete a byte": lambda c, at, byte: c[: _at(c, at)] + c[_at(c, at) + 1 :],
    "insert a byte": lambda c, at, byte: c[: _at(c, at)] + bytes([byte]) + c[_at(c, at) :],
    "change a byte": lambda c, at, byte: c[: _at(c, at)] + bytes([byte]) + c[_at(c, at) + 1 :],
    "delete a line": lambda c, at, byte: _lines(c, lambda lines, k: lines.pop(k) and None, at),
    "repeat a line": lambda c, at, byte: _lines(c, lambda lines, k: lines.insert(k, lines[k]), at),
    "swap two lines": lambda c, at, byte: _lines(c, _swap, at),
    "cut the end": lambda c, at, byte: c[: _at(c, at)],
    "other line ends": lambda c, at, byte: c.replace(b"\n", (b"\r\n", b"\r")[byte % 2]),
}


def mutated(content: bytes, edits: Sequence[Edit]) -> bytes:
    """The content after all edits, in order."""
    for kind, at, byte in edits:
        content = MUTATIONS[kind](content, at, byte)
    return content


def random_edits(rng: random.Random, most: int = 4) -> list[Edit]:
    """One to ``most`` edits. Half of the bytes are printable."""
    count = rng.randint(1, most)
    return [
        (rng.choice(list(MUTATIONS)), rng.randrange(2**16), rng.choice([rng.randrange(256), rng.randrange(32, 127)]))
        for _ in range(count)
    ]


# ---------------------------------------------------------------------- what must not be lost


def _compare(what: str, expected: Any, got: Any) -> str:
    return "" if expected == got else f"{what}: expected {expected}, got {got}"


def _fasta_lost(text: str, dag: Any) -> str:
    lines = [line for line in text.split("\n") if not line.startswith(";")]
    names = [line[1:].split()[0] for line in lines if line.startswith(">")]
    letters = "".join("".join(line.split()) for line in lines if not line.startswith(">"))
    return _compare("taxa", names, list(dag.taxa)) or _compare("letters", letters, "".join(dag.sequences.values()))


def _characters(text: str) -> collections.Counter[str]:
    return collections.Counter("".join(text.split()))


def _alignment_text(dag: Any) -> str:
    return "".join(name + sequence for name, sequence in dag.sequences.items())


def _phylip_lost(text: str, dag: Any) -> str:
    header, _, rest = text.lstrip().partition("\n")
    shape = [len(dag.taxa), len(dag.sequences[dag.taxa[0]])]
    wrong = _compare("taxa and sites", [int(word) for word in header.split()], shape)
    return wrong or _compare("characters", _characters(rest), _characters(_alignment_text(dag)))


def _nexus_lost(text: str, dag: Any) -> str:
    text = re.sub(r"\[[^\[\]]*\]", "", text)
    for name, value in (("ntax", len(dag.taxa)), ("nchar", len(dag.sequences[dag.taxa[0]]))):
        for declared in re.findall(rf"\b{name}\s*=\s*([0-9]+)", text, re.I):
            if wrong := _compare(name, int(declared), value):
                return wrong
    return ""


def _plain_nexus_lost(text: str, dag: Any) -> str:
    """As above; and all characters of a matrix without names in quotes, sets and match characters."""
    bare = re.sub(r"\[[^\[\]]*\]|['\"]", "", text)
    matrix = re.search(r"\bmatrix\b([^;]*);", bare, re.I)
    assert matrix is not None
    found = re.sub("['\"]", "", _alignment_text(dag))
    return _nexus_lost(text, dag) or _compare("matrix", _characters(matrix[1]), _characters(found))


def _pdb_lost(text: str, dag: Any) -> str:
    """Residues with CA or CB of the first chain of the first model, up to TER."""
    residues: dict[str, set[str]] = {}
    ended: set[str] = set()
    chain = ""
    for line in text.split("\n"):
        record = line[:6].rstrip()
        if record in ("ATOM", "HETATM"):
            chain = line[21]
            if chain not in ended and line[12:16].strip() in ("CA", "CB"):
                residues.setdefault(chain, set()).add(line[22:27])
        elif record == "TER":
            ended.add(chain)
        elif record in ("MODEL", "ENDMDL", "END") and residues:
            break
    return _compare("residues", len(next(iter(residues.values()))), dag.length)


def _csv_lost(text: str, dag: Any) -> str:
    rows = [row for row in text.split("\n") if row.strip()]
    return _compare("residues", (rows[0].count(","), len(rows) - 1), (dag.length, dag.length))


def _cells(text: str) -> list[list[str]]:
    """The cells of the lines that are not blank, without quotes."""
    lines = [re.split(r"[\t;,]", line) for line in text.replace('"', "").split("\n") if line.strip()]
    return [[cell.strip() for cell in line] for line in lines]


def _data_lost(text: str, dag: Any) -> str:
    """Numbers may have decimal commas, and columns labels."""
    lines = [line for line in text.replace('"', "").split("\n") if line.strip()]
    mark = next((mark for mark in "\t;,|" if mark in lines[0]), None)
    header, *rows = [[cell.strip() for cell in line.split(mark)] for line in lines]
    given = [[_number_or_label(cell) for cell in row] for row in rows if any(row)]
    found = [
        [value if labels is None else labels[int(value)] for value, labels in zip(row, dag.labels, strict=True)]
        for row in dag.data.tolist()
    ]
    return _compare("columns", len(header), len(dag.names)) or _compare("rows", given, found)


def _number_or_label(cell: str) -> float | str:
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return cell


def _rewards_lost(text: str, dag: Any) -> str:
    """The values of all strings in order. The first line may be a header."""
    lines = [[cell for cell in re.split(r"[\s;,]+", line.replace('"', "")) if cell] for line in text.split("\n")]
    values = {line[0]: float(line[1]) for line in lines if line and set(line[0]) <= set("AC")}
    strings = ["".join(letters) for letters in itertools.product("AC", repeat=2)]
    return _compare("values", [values[string] for string in strings], dag.reward_table.tolist())


def _blocks_lost(text: str, dag: Any) -> str:
    words = [re.split(r"[\s,;]", line.strip())[0] for line in text.split("\n") if line.strip()]
    blocks = itertools.dropwhile(lambda word: word.strip("\"'").lower() in HEADERS, words)
    return _compare("blocks", len(list(blocks)), len(dag.vocabulary.kinds))


def _modes_lost(text: str, dag: Any) -> str:
    modes = {"".join(sorted(line.strip())) for line in text.split("\n") if line.strip()}
    return _compare("modes", len(modes), dag.num_modes)


# ---------------------------------------------------------------------- good files

FASTA = b""";a comment
>ape one
ACGTAC
GTTA
>bee
AC-TNC
GTTR
;another
>cat x
ACGTACGTTA
"""
PLAIN_NEXUS = b"""#NEXUS
[a comment [with another]]
begin data;
  dimensions ntax=4 nchar=10;
  format datatype=dna missing=? gap=-;
  matrix
    one   ACGTACGTTA
    two   ACGTACG?TA
    three ACGTA [wrapped]
          CGTRA
    four  ACG-ACGTTT
  ;
end;
"""
NEXUS = b"""#NEXUS
begin taxa;
  title 'All; taxa';
  dimensions ntax=3;
  taxlabels 'c 1' Pan_paniscus O;
end;
begin characters;
  dimensions nchar=8;
  format datatype=dna missing=? gap=- matchchar=. equate="z={AG}" interleave;
  charlabels 1 2 3 4;
  matrix
    'c 1'        ACGT [4]
    Pan_paniscus .C{AG}.
    o            ..z-

    'C 1'        ACGT
    pan_paniscus (CT)..?
    O            .AC.
  ;
end;
begin trees;
  tree one = ('c 1',(Pan_paniscus,O));
end;
"""
PHYLIP = b""" 4 12
ape       ACGTACGTTACC
bee       ACGTAC-TTACC
cat       ACGTAC
GTTGCC
dog       ACGT ACGT TTCC
"""
INTERLEAVED = b"""3 12
ape   ACGTAC
bumblebee ACGTA-
cat   ACGTTC

GTTACC
GTTACN
GTTAGG
"""
PDB = b"""HEADER    A TEST
MODRES 1ABC SEP A    4  SER  PHOSPHOSERINE
MODEL        1
ATOM      1  N   TRP A   1       9.000   9.000   9.000  1.00  0.00           N
ATOM      2  CA  TRP A   1       0.000   0.000   0.000  1.00  0.00           C
ATOM      3  CB  TRP A   1       1.000   0.000   0.000  1.00  0.00           C
ATOM      4  CA  GLY A   2       4.000   0.000   0.000  1.00  0.00           C
HETATM    5  CA  MSE A   3       6.000   1.000   0.000  1.00  0.00           C
HETATM    6  CB AMSE A   3       6.500   1.500   0.000  0.50  0.00           C
HETATM    7  CB BMSE A   3       6.000   2.500   0.000  0.50  0.00           C
HETATM    8  CA  SEP A   4       8.000   1.000   5.000  1.00  0.00           C
ATOM      9  CA  HIE A   4A      3.000   6.000   5.000  1.00  0.00           C
ATOM     10  CB  HIE A   4A      3.000   7.000   5.000  1.00  0.00           C
TER      11      HIE A   4A
ATOM     12  CA  LYS B   1       0.000   0.000   9.000  1.00  0.00           C
ATOM     13  CA  ALA B   2       7.900   0.000   9.000  1.00  0.00           C
TER      14      ALA B   2
HETATM   15  O   HOH A   1       5.000   5.000   5.000  1.00  0.00           O
ENDMDL
MODEL        2
ATOM      1  CA  TRP A   1       0.000   0.000   0.000  1.00  0.00           C
ATOM      2  CA  GLY A   2       4.000   0.000   0.000  1.00  0.00           C
ENDMDL
END
"""
CSV = b",5,6,9,10\n5,0,3.5,5,7\n6,3.5,,6.5,8\n9,5,6.5,0,4\n10,7,8,4,0\n"

DATA = b"a;b;c\n1.5;2;-3e-1\n0.25;1;7\n-2;0.5;4\n1e2;3;3\n"
QUOTED = b'"height","weight"\n1.80,70\n1.65,"55.5"\n1.72,61\n'
REWARDS = b"sequence,score\nAA,1.0\nAC,2.5\nCA,3e-1\nCC,4\n"
SPACED = b"CC 4\nCA\t0.3\n\nAC 2.5\nAA 1\n"
SMI = b"smiles name\n*C methyl\n*c1ccc(*)cc1 phenylene\n*CO*\n*N(*)C=O amide, with a comment\n"
MODES = b"AAAB\nABBB\n\nACCC\n"

PHYLO, FOLD = "GFN/PhyloTree-v0", "GFN/InverseFolding-v0"
STRINGS = {"alphabet": "AC", "length": 2}
BAG = {"num_letters": 3, "capacity": 4, "repeats": 3}
EXAMPLES = {
    "fasta": Example(PHYLO, "alignment", "a.fasta", FASTA, _fasta_lost),
    "fasta.gz": Example(PHYLO, "alignment", "a.fasta.gz", gzip.compress(FASTA, mtime=0), _fasta_lost),
    "nexus": Example(PHYLO, "alignment", "a.nex", PLAIN_NEXUS, _plain_nexus_lost),
    "nexus, all constructs": Example(PHYLO, "alignment", "b.nex", NEXUS, _nexus_lost),
    "phylip": Example(PHYLO, "alignment", "a.phy", PHYLIP, _phylip_lost),
    "phylip, interleaved": Example(PHYLO, "alignment", "b.phy", INTERLEAVED, _phylip_lost),
    "pdb": Example(FOLD, "distances", "a.pdb", PDB, _pdb_lost),
    "csv of data": Example("GFN/BayesNet-v0", "data", "a.csv", DATA, _data_lost),
    "csv of data, quoted": Example("GFN/BayesNet-v0", "data", "b.csv", QUOTED, _data_lost),
    "csv of rewards": Example("GFN/Sequence-v0", "reward", "a.csv", REWARDS, _rewards_lost, STRINGS),
    "text of rewards": Example("GFN/Sequence-v0", "reward", "a.txt", SPACED, _rewards_lost, STRINGS),
    "smi": Example("GFN/FragmentMolecule-v0", "blocks", "a.smi", SMI, _blocks_lost, {"max_blocks": 3}),
    "text of modes": Example("GFN/Bag-v0", "modes", "a.txt", MODES, _modes_lost, BAG),
    "csv of distances": Example(FOLD, "distances", "a.csv", CSV, _csv_lost),
}


def complaint(example: Example, content: bytes, folder: Path) -> str:
    """What is wrong with the answer to a damaged file, ``""`` if it is good."""
    path = folder / example.file
    path.write_bytes(content)
    start = time.process_time()
    try:
        dag = gfn_envs.make_dag(example.environment, **{**example.others, example.argument: str(path)})
    except (ValueError, OSError) as error:
        message = str(error)
        if "\n" in message or example.file not in message:
            return f"a message of several lines, or without the file: {message!r}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    else:
        raw = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        text = raw.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
        if lost := example.lost(text, dag):
            return lost
    seconds = time.process_time() - start
    return f"it took {seconds:.1f} s" if seconds > SECONDS else ""


def main(count: int) -> int:
    """Read ``count`` damaged files of each format and print complaints. Returns their number."""
    rng, complaints = random.Random(0), 0
    with tempfile.TemporaryDirectory() as folder:
        for name, example in EXAMPLES.items():
            for _ in range(count):
                content = mutated(example.content, edits := random_edits(rng))
                if found := complaint(example, content, Path(folder)):
                    complaints += 1
                    print(f"{name}, {edits}: {found}")
            print(f"{name}: {count} files")
    return complaints


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000) > 0)
