"""The alphabet of alignments: IUPAC codes of nucleotides, as sets of possible states."""

from __future__ import annotations

#: Possible nucleotides of each letter, with one bit each for A, C, G, T and a gap. IUPAC codes; N, X and ? match all.
STATES = {"A": 1, "C": 2, "G": 4, "T": 8, "U": 8, "-": 16, "N": 31, "X": 31, "?": 31}
STATES |= {"R": 5, "Y": 10, "S": 6, "W": 9, "K": 12, "M": 3, "B": 14, "D": 13, "H": 11, "V": 7}
#: With small letters. ``str.upper`` would turn other letters, such as the German sharp s, into nucleotides.
BITS = STATES | {letter.lower(): bits for letter, bits in STATES.items()}
ALLOWED = " ".join(sorted(STATES))

#: The letter of each set of nucleotides. A, C, G and T together are N, any of the four.
LETTERS = {bits: letter for letter, bits in reversed(STATES.items()) if letter not in "UX?"} | {15: "N", 31: "?"}


def letter_of_set(letters: str) -> str | None:
    """The IUPAC letter of a set of letters, such as R of "AG"; None if there is none, as for a nucleotide or a gap."""
    bits = 0
    for letter in letters:
        if letter not in BITS:
            return None
        bits |= BITS[letter]
    return LETTERS.get(bits)
