"""Readers of alignments: NEXUS, PHYLIP and FASTA in legal styles, against Biopython and DendroPy; and their errors."""

from __future__ import annotations

import gzip
import io
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfn_envs import PhyloTree
from gfn_envs.envs.phylogenetics.alignments import read_alignment

HEAD = """#NEXUS
begin characters;
{extra}dimensions ntax=3 nchar=4;
format datatype=dna missing=? gap=- {format};
matrix
{rows};
end;
"""
ROWS = "A ACGT\nB ACGA\nC TTTT\n"
READ = {"A": "ACGT", "B": "ACGA", "C": "TTTT"}


def read(text: str, folder: Path) -> dict[str, str]:
    (folder / "file").write_text(text, encoding="utf-8")
    return read_alignment(folder / "file", "PhyloTree")


def nexus(rows: str = ROWS, extra: str = "", format: str = "") -> str:
    return HEAD.format(rows=rows, extra=extra, format=format)


# ---------------------------------------------------------------------- NEXUS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (nexus(), READ),
        (nexus(extra="title 'DNA matrix; one';\n"), READ),
        (nexus(extra="TITLE Matrix;\nLINK TAXA = Taxa;\n"), READ),
        (nexus(extra="options mstaxa=uncertain gapmode=newstate;\ncharlabels a b c d;\n"), READ),
        (nexus(extra="taxlabels A 'b' C;\n"), READ),
        (nexus().replace("begin", "BEGIN TAXA;\nDIMENSIONS NTAX=3;\nTAXLABELS c b a;\nEND;\nBegin", 1), READ),
        (nexus().replace("end;", "ENDBLOCK;\nbegin trees;\ntree t = (A,(B,C));\nend;"), READ),
        (nexus(ROWS.replace("A ", "'O''Brien [x]; (y)' ", 1)), {"O'Brien [x]; (y)": "ACGT", "B": "ACGA", "C": "TTTT"}),
        (nexus(ROWS.replace("ACGT", "A[one [two; three]]CG[']T")), READ),
        (nexus("A ACGT B ACGA C TTTT"), READ),
        (nexus("A\nAC\nGT\nB A C\n G A\nC TTTT"), READ),
        (nexus("A AC\nB AC\nC TT\n\na GT\nb GA\nc TT", format="interleave"), READ),
        (nexus("A AC\nB AC\nC TT\nA GT\nB GA\nC TT", format="interleave=yes"), READ),
        (nexus(format="interleave=no"), READ),
        (nexus("A ACGT\nB ...A\nC TTTT", format="matchchar=."), READ),
        (nexus("A AC\nB ..\nC TT\nA GT\nB .A\nC T.", format="matchchar = . interleave"), READ),
        (nexus("A A{AG}(CT)T\nB AC{C G}A\nC {A,C,G,T}T{A}(?)"), {"A": "ARYT", "B": "ACSA", "C": "NTA?"}),
        (nexus("A xCGT\nB Xyzz\nC TTTT", format='equate="x=A y={AG} z=?"'), {"A": "ACGT", "B": "XR??", "C": "TTTT"}),
        (nexus("A ACGN\nB ACG*\nC acgn", format="x").replace("missing=? gap=- x", "missing=N gap='*'"),
         {"A": "ACG?", "B": "ACG-", "C": "acg?"}),
        (nexus("A ACGU\nB ACGT\nC ACGT").replace("dna", "NUCLEOTIDE"), {"A": "ACGU", "B": "ACGT", "C": "ACGT"}),
        (nexus('"A b" ACGT\nD.e-1/x ACGA\nÉ_é TTTT'), {"A b": "ACGT", "D.e-1/x": "ACGA", "É_é": "TTTT"}),
        (nexus().replace("ntax=3 nchar=4", ""), READ),
        ("\n\n" + nexus().replace("\n", "\r\n"), READ),
        (nexus().replace("\n", "\r"), READ),
    ],
)  # fmt: skip
def test_legal_nexus(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    (tmp_path / "file").write_bytes(text.encode())
    found = read_alignment(tmp_path / "file", "PhyloTree")
    assert list(found.items()) == list(expected.items())
    (tmp_path / "file.gz").write_bytes(gzip.compress(text.encode()))
    assert read_alignment(tmp_path / "file.gz", "PhyloTree") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (nexus("A ACGT\nB ACGA\nA TTTT"), "line 8: sequences must have different names, got 'A', and 'A' on line 6"),
        (nexus("A_b ACGT\n'a B' ACGA\nC TTTT"), "line 7: .* different names, got 'a B', and 'A_b' on line 6"),
        (nexus("A_b ACGT\n'A_b' ACGA\nC TTTT"), "line 7: .* different names, got 'A_b', and 'A_b' on line 6"),
        (nexus("A ACGT\nB ACGA\nA TTTT\nB ACGT").replace("ntax=3 nchar=4", ""), "line 8: .* different names, got 'A'"),
        (nexus("A AC\nB AC\nA GT\nC GA", format="interleave"), "line 9: expected taxon 'B', got 'C'"),
        (nexus("A AC\nB AC\nC AC\nA GT\nB GA", format="interleave"), "the last part .* ends before taxon 'C'"),
        (nexus("A AC\nB ACG\nC AC", format="interleave"), "line 7: taxon 'B' has 3 sites in this part, and 'A' 2"),
        (nexus("A AC\nB AC\nC AC\nA GT\nB GT\nC GT"), "has at least 5 sites, but NCHAR is 4 .* needs INTERLEAVE"),
        (nexus("A ACGT\nB ACGA"), "NTAX of the CHARACTERS block is 3, but the matrix has 2 taxa: 'A', 'B'"),
        (nexus("A ACG\nB ACGT\nC ACG"), "line 7: a taxon must begin a line, got 'ACGT' .NCHAR is 4"),
        (nexus("A ACG\n'B' ACGT\nC ACGT"), "line 7: taxon 'A' has 3 sites, but NCHAR is 4"),
        (nexus(extra="taxlabels A B D;\n"), "the matrix has no taxon 'D', which TAXLABELS of CHARACTERS names"),
        (nexus(extra="taxlabels A B;\n"), "the matrix has taxon 'C', which TAXLABELS of CHARACTERS lacks"),
        (nexus(extra="taxlabels A B C a;\n"), "line 3: .* different names, got 'a'"),
        ("#NEXUS begin taxa; dimensions ntax=4; taxlabels A B C; end;" + nexus()[6:], "NTAX of the TAXA block is 4"),
        ("#NEXUS begin taxa; end; begin taxa; end;" + nexus()[6:], "several TAXA blocks, on lines 1 and 1"),
        (nexus() + nexus()[6:], "several alignments, in blocks CHARACTERS on line 2 and CHARACTERS on line 12; leave"),
        (nexus(extra="format datatype=dna;\n"), "line 5: a second FORMAT in the CHARACTERS block"),
        (nexus(extra="eliminate 1-2;\n"), "line 3: 'eliminate' in a CHARACTERS block cannot be read"),
        (nexus(extra="options gapmode=missing;\n"), "OPTIONS GAPMODE=missing cannot be read; allowed: GAPMODE=NEWST"),
        (nexus(format="transpose"), "line 4: FORMAT TRANSPOSE cannot be read; allowed: DATATYPE, EQUATE, GAP"),
        (nexus(format="nolabels"), "FORMAT NOLABELS cannot be read"),
        (nexus(format="labels=right"), "FORMAT LABELS=right cannot be read; allowed: LABELS or LABELS=LEFT"),
        (nexus(format="interleave=maybe"), "FORMAT INTERLEAVE=maybe cannot be read"),
        (nexus(format="missing=N"), "expected an option that is new, got 'missing'"),
        (nexus(format="matchchar=-"), "MATCHCHAR=- has another meaning already"),
        (nexus(format="matchchar=A"), "MATCHCHAR must be one character and no nucleotide, got 'A'"),
        (nexus(format="matchchar="), "'matchchar' has no value"),
        (nexus(format='symbols="01"'), "SYMBOLS has '01'"),
        (nexus(format='equate="A=C"'), "EQUATE must give new symbols the meaning of nucleotides, got 'A=C'"),
        (nexus(format='equate="x=Q"'), "EQUATE must give .*, got 'x=Q'"),
        (nexus().replace("dna", "protein"), "line 4: DATATYPE=protein; allowed: DNA, RNA, NUCLEOTIDE"),
        (nexus().replace("dna", "rna"), "taxon 'A': 'T' is not a letter of the DATATYPE; NUCLEOTIDE has T and U"),
        (nexus("A ACGU\nB ACGA\nC TTTT"), "line 6: taxon 'A': 'U' is not a letter"),
        (nexus("A ACG.\nB ACGA\nC TTTT"), r"line 6: taxon 'A', site 4: unknown letter '\.' .a letter like"),
        (nexus("A .CGT\nB ACGA\nC TTTT", format="matchchar=."), "the first taxon, 'A', has match characters"),
        (nexus("A AC\nGT\nB AC\nJA\nC TTTT"), "line 9: taxon 'B', site 3: unknown letter 'J'; allowed: - . A B C"),
        (nexus("A AC{A-}T\nB ACGA\nC TTTT"), "line 6: taxon 'A': no IUPAC letter stands for the states {A-}"),
        (nexus("A AC{AGT\nB ACGA\nC TTTT"), "taxon 'A' has at least"),
        (nexus().replace("ntax=3", "ntax=three"), "line 3: DIMENSIONS NTAX=three; allowed: NTAX and NCHAR with a numb"),
        (nexus().replace("ntax=3", "ntax=3 nfoo=3"), "DIMENSIONS NFOO=3; allowed"),
        (nexus().replace("ACGT", "AC[GT"), r"line 6: a comment \[ does not end"),
        (nexus().replace("ACGT", "AC]GT"), r"line 6: \] without a comment"),
        (nexus().replace("A ", "'A ", 1), "line 6: a quote ' does not end on its line"),
        (nexus().replace(";\nend;\n", ""), "line 5: the command 'matrix' does not end with a semicolon"),
        (nexus().replace("end;\n", ""), "the CHARACTERS block of line 2 does not end"),
        (nexus().replace("\nend;", "\nbegin trees;\nend;"), "line 10: the CHARACTERS block of line 2 does not end bef"),
        (nexus() + "more;", "line 11: expected BEGIN and the name of a block, got 'more'"),
        ("#NEXUS\nbegin data;\nmatrix\n;\nend;", "no DATA or CHARACTERS block with a MATRIX"),
        (nexus() + "begin assumptions; exset * one = 1-2; end;", "line 11: a default 'exset' cannot be applied"),
    ],
)
def test_what_nexus_refuses(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^PhyloTree: {tmp_path}/file.*{message}"):
        read(text, tmp_path)


# ---------------------------------------------------------------------- random alignments

NAMES = st.lists(
    st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=9).filter(lambda name: name[0].isalpha()),
    min_size=2,
    max_size=6,
    unique_by=str.lower,
)


@st.composite
def random_alignments(draw: st.DrawFn) -> dict[str, str]:
    names, sites = draw(NAMES), draw(st.integers(1, 40))
    return {name: draw(st.text("ACGTRYNacgt-?", min_size=sites, max_size=sites)) for name in names}


def in_parts(sequence: str, width: int) -> list[str]:
    return [sequence[start : start + width] for start in range(0, len(sequence), width)]


def written(alignment: dict[str, str], style: str, width: int) -> str:
    """An alignment in a legal style."""
    taxa, sites = len(alignment), len(next(iter(alignment.values())))
    parts = [[(name, part) for name, part in zip(alignment, row, strict=True)]
             for row in zip(*(in_parts(sequence, width) for sequence in alignment.values()), strict=True)]  # fmt: skip
    if style == "fasta":
        return "".join(f">{name} x\n" + "\n".join(in_parts(s, width)) + "\n" for name, s in alignment.items())
    if style.startswith("phylip"):
        strict, head = "strict" in style, f" {taxa} {sites}\n"
        first = {name: f"{name:<10s}" if strict else f"{name} " for name in alignment}
        if "interleaved" in style:
            return head + "\n".join(
                "".join(f"{first[name] if not k else ''}{part}\n" for name, part in block)
                for k, block in enumerate(parts)
            )
        return head + "".join(first[name] + "\n".join(in_parts(s, width)) + "\n" for name, s in alignment.items())
    interleave = "interleave" if style == "nexus interleaved" else ""
    head = f"#NEXUS\nbegin data;\ndimensions ntax={taxa} nchar={sites};\n"
    head += f"format datatype=dna missing=? gap=- {interleave};\nmatrix\n"
    if interleave:
        rows = "\n".join("".join(f"{name} {part}\n" for name, part in block) for block in parts)
    else:
        rows = "".join(f"'{name}'\n" + "\n".join(in_parts(s, width)) + "\n" for name, s in alignment.items())
    return head + rows + ";\nend;\n"


STYLES = ["fasta", "phylip sequential", "phylip strict sequential", "phylip interleaved", "phylip strict interleaved",
          "nexus", "nexus interleaved"]  # fmt: skip


def read_or_ambiguous(text: str, style: str, folder: Path) -> dict[str, str] | None:
    """The alignment; None if it is PHYLIP, which does not declare its variant, and two variants fit and differ."""
    try:
        return read(text, folder)
    except ValueError as error:
        if "phylip" not in style or "which differ" not in str(error):
            raise
        return None


@pytest.mark.parametrize("style", STYLES)
@given(alignment=random_alignments(), width=st.integers(1, 40))
def test_random_alignments_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, style: str, alignment: dict[str, str], width: int
) -> None:
    found = read_or_ambiguous(written(alignment, style, width), style, tmp_path_factory.getbasetemp())
    assert found is None or list(found.items()) == list(alignment.items())


@given(alignment=random_alignments())
def test_files_of_biopython(tmp_path_factory: pytest.TempPathFactory, alignment: dict[str, str]) -> None:
    pytest.importorskip("Bio")
    from Bio import Align, AlignIO, Seq, SeqRecord

    records = [
        SeqRecord.SeqRecord(Seq.Seq(sequence), id=name, annotations={"molecule_type": "DNA"})
        for name, sequence in alignment.items()
    ]
    for style in ("nexus", "fasta", "phylip", "phylip-relaxed", "phylip-sequential"):
        handle = io.StringIO()
        AlignIO.write(Align.MultipleSeqAlignment(records), handle, style)
        found = read_or_ambiguous(handle.getvalue(), style, tmp_path_factory.getbasetemp())
        assert found is None or list(found.items()) == list(alignment.items()), style


@pytest.mark.parametrize("style", ["nexus", "nexus interleaved", "fasta"])
@given(alignment=random_alignments(), width=st.integers(1, 40))
def test_biopython_and_dendropy_read_the_same(
    tmp_path_factory: pytest.TempPathFactory, style: str, alignment: dict[str, str], width: int
) -> None:
    dendropy = pytest.importorskip("dendropy")
    text = written(alignment, style, width)
    found = read(text, tmp_path_factory.getbasetemp())
    matrix = dendropy.DnaCharacterMatrix.get(data=text, schema=style.split()[0], **(
        {"preserve_underscores": True} if "nexus" in style else {}
    ))  # fmt: skip
    theirs = {taxon.label.split()[0]: row.symbols_as_string().upper() for taxon, row in matrix.items()}
    assert theirs == {name: sequence.upper() for name, sequence in found.items()}


# ---------------------------------------------------------------------- PHYLIP and FASTA


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 4\nA ACGT\nB ACGA\n", {"A": "ACGT", "B": "ACGA"}),
        (" 2  4 \nHomo sapieACGT\nPan trogl AC GA\n", {"Homo sapie": "ACGT", "Pan trogl": "ACGA"}),
        ("2 4\na_long_name_here AC\n GT\nB ACGA\n", {"a_long_name_here": "ACGT", "B": "ACGA"}),
        ("2 6\nA ACG\nB ACG\n\nTTT\nGGG\n", {"A": "ACGTTT", "B": "ACGGGG"}),
        ("2 4\nA\nACGT\nB\nACGA\n", {"A": "ACGT", "B": "ACGA"}),
    ],
)
def test_phylip(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    assert list(read(text, tmp_path).items()) == list(expected.items())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3 4\nA ACGT\nB ACGA\n", "declares 3 taxa with 4 sites, but line 3: only 2 taxa are there"),
        ("2 5\nA ACGT\nB ACGA\n", "declares 2 taxa with 5 sites, but line 3: taxon 'A"),
        ("1 4\nA ACGT\nB ACGA\n", "declares 1 taxa with 4 sites, but line 3: "),
        (
            "2 4\nA ACGT\nB ACGA\nC ACGT\n",
            "declares 2 taxa with 4 sites, but line 4: ",
        ),
        ("2 4\nA ACGT\nA ACGA\n", "line 3: sequences must have different names, got 'A', and 'A' on line 2"),
        ("2 4\nA ACGT\nB ACJA\n", "line 3: taxon 'B', site 3: unknown letter 'J'"),
        ("2 4 I\nA ACGT\nB ACGA\n", "line 1: the first line must have the numbers of taxa and sites only, got '2 4 I'"),
        ("0 4\nA ACGT\n", "line 1: 0 taxa and 4 sites; allowed: at least 1"),
        ("2 4\nCat       AC  ACGT\nDog       GT  ACGT\n", "taxa with 4 sites, but"),
        ("2 4\nA         \tACGT\nC ACGTACGT\n", "declares 2 taxa with 4 sites, but line 3"),
    ],
)
def test_what_phylip_refuses(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^PhyloTree: {tmp_path}/file.*({message})"):
        read(text, tmp_path)


def test_two_readings_of_a_phylip_file_raise(tmp_path: Path) -> None:
    """Sequential: A ACGCCT and G ACTTTT. Interleaved: A ACGGAC and C CTTTTT."""
    message = (
        "as relaxed interleaved and as relaxed sequential PHYLIP, which differ: taxon 'A' with ACGGAC.* or .* ACGCCT"
    )
    with pytest.raises(ValueError, match=message):
        read("2 6\nA ACG\nC CT\nG AC\nTTTT\n", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a FASTA file, which begins with '>', a NEXUS file, which begins with '#NEXUS', or a PHYLIP"),
        ("CLUSTAL W (1.82)\n\nA ACGT\n", "must be a FASTA file.*; got 'CLUSTAL W"),
        ("# STOCKHOLM 1.0\n", "must be a FASTA file"),
        (";only a comment\nACGT\n", "must be a FASTA file"),
        (";a comment\nACGT\n>A\nAC\n", "line 2: a FASTA file must begin with '>', got 'ACGT'"),
        (">A\nAC\n>B\n>C\nAC\n", "line 3: taxon 'B' has no sequence"),
        (">A one\nAC\n>A two\nAC\n", "line 3: sequences must have different names, got 'A', and 'A' on line 1"),
        (">A\nAC\n>\nAC\n", "line 3: a sequence must have a name"),
        (">A\nAC\n>B\nA\nC*\n", r"line 5: taxon 'B', site 3: unknown letter '\*'"),
        (">A\nAC\n>B\nAß\n", "line 4: taxon 'B', site 2: unknown letter 'ß'"),
        (">A\nAC\n>B\nA\n", "line 3: all taxa must have the same number of sites, but 'B' has 1 and 'A' has 2"),
        (">A\nAC\n", "must have at least 2 taxa, got 1"),
    ],
)
def test_what_fasta_refuses(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^PhyloTree: {tmp_path}/file.*{message}"):
        read(text, tmp_path)


def test_comments_of_fasta(tmp_path: Path) -> None:
    text = ";first\n>A x\n;a comment\nAC GT\n\n>B\nACGA\n"
    assert read(text, tmp_path) == {"A": "ACGT", "B": "ACGA"}


# ---------------------------------------------------------------------- the argument


@pytest.mark.parametrize(
    ("alignment", "message"),
    [
        ([("A", "ACGT"), ("B", "ACGA")], "alignment must be the path of a file, .* or a mapping .*, got list"),
        ({"A": list("ACGT"), "B": list("ACGA")}, "taxa and their sequences must be strings, got 'A': list"),
        ({1: "ACGT", 2: "ACGA"}, "taxa and their sequences must be strings, got 1: str"),
        (5, "alignment must be the path .* got int"),
    ],
)
def test_alignments_of_other_types_raise(alignment: object, message: str) -> None:
    with pytest.raises(TypeError, match=f"^PhyloTree: {message}"):
        PhyloTree(alignment)


def test_names_and_files_that_are_missing() -> None:
    with pytest.raises(ValueError, match="PhyloTree: a taxon must have a name, got ' '"):
        PhyloTree({" ": "A", "b": "C"})
    with pytest.raises(FileNotFoundError, match="PhyloTree: alignment 'DS9' is neither a file nor one of DS1, DS2"):
        PhyloTree("DS9")
