"""Names of amino acids in structure files."""

from __future__ import annotations

from gfn_envs.envs.proteins.peptide_classifier import AMINO_ACIDS

CODES = "ALA CYS ASP GLU PHE GLY HIS ILE LYS LEU MET ASN PRO GLN ARG SER THR VAL TRP TYR"
#: Letter of each of the 20 amino acids by its name of three letters.
THREE_LETTERS = dict(zip(CODES.split(), AMINO_ACIDS, strict=True))

#: Names of the 20 in other states of protonation or bonding, as Amber, CHARMM, GROMACS and others write them; and
#: selenomethionine, which replaces methionine to solve structures.
SYNONYMS = {
    **dict.fromkeys(("HID", "HIE", "HIP", "HSD", "HSE", "HSP", "HIN", "HISD", "HISE", "HISH", "HISA", "HISB"), "H"),
    **dict.fromkeys(("CYX", "CYM", "CYS2", "CYSH"), "C"),
    **dict.fromkeys(("ASH", "ASPH", "ASPP"), "D"),
    **dict.fromkeys(("GLH", "GLUH", "GLUP"), "E"),
    **dict.fromkeys(("LYN", "LYSH", "LSN"), "K"),
    "ARN": "R",
    "TYM": "Y",
    "MSE": "M",
}
LETTERS = THREE_LETTERS | SYNONYMS
