"""NEXUS as commands in blocks, with comments, quotes and semicolons parsed first.

Maddison, Swofford and Maddison 1997 (Syst. Biol. 46:590) define the format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple


class Token(NamedTuple):
    """A word of a NEXUS file.

    Attributes:
        text: the word without quotes.
        line: number of its line, from 1.
        quoted: True for a word in quotes.
        begins_line: True for the first word of a line.
    """

    text: str
    line: int
    quoted: bool = False
    begins_line: bool = False

    def __repr__(self) -> str:
        return repr(self.text if len(self.text) <= 40 else self.text[:40] + "...")


@dataclass
class Block:
    """A block: its name in capitals, its line, and its commands, each a list of tokens without the semicolon."""

    name: str
    line: int
    commands: list[list[Token]]

    def find(self, name: str) -> list[Token] | None:
        """The tokens after the name of a command; None if the block does not have it."""
        return next((command[1:] for command in self.commands if command[0].text.upper() == name), None)


#: A word ends at white space, a comment, a semicolon or an equals sign. A quote within a word is part of it.
_WORD = re.compile(r"[^\s\[\];=]+")
_COMMENT = re.compile(r"[\[\]]")
_QUOTES = {"'": re.compile(r"'((?:[^'\n]|'')*)'"), '"': re.compile(r'"([^"\n]*)"')}


def tokens(text: str, place: str) -> list[Token]:
    """The words of a NEXUS file after ``#NEXUS``, with ``;`` and ``=`` as separate words.

    Raises:
        ValueError: a comment or a quote does not end; the message has the line where it begins.
    """
    found: list[Token] = []
    at = text.index("#") + len("#NEXUS")
    line, begins_line = 1 + text.count("\n", 0, at), True
    while at < len(text):
        character = text[at]
        if character == "\n":
            line, begins_line, at = line + 1, True, at + 1
        elif character.isspace():
            at += 1
        elif character == "[":
            end = _end_of_comment(text, at, f"{place}, line {line}")
            line, at = line + text.count("\n", at, end), end
        elif character == "]":
            raise ValueError(f"{place}, line {line}: ] without a comment that begins with [")
        elif character in _QUOTES:
            match = _QUOTES[character].match(text, at)
            if match is None:
                raise ValueError(f"{place}, line {line}: a quote {character} does not end on its line")
            content = match[1].replace("''", "'") if character == "'" else match[1]
            found.append(Token(content, line, True, begins_line))
            begins_line, at = False, match.end()
        else:
            word = character if character in ";=" else _WORD.match(text, at)[0]  # type: ignore[index]
            found.append(Token(word, line, False, begins_line))
            begins_line, at = False, at + len(word)
    return found


def _end_of_comment(text: str, at: int, place: str) -> int:
    """Index after the comment that begins at ``at``. Comments can be nested."""
    depth = 0
    for match in _COMMENT.finditer(text, at):
        depth += 1 if match[0] == "[" else -1
        if not depth:
            return match.end()
    raise ValueError(f"{place}: a comment [ does not end")


def blocks(text: str, place: str) -> list[Block]:
    """The blocks of a NEXUS file.

    Raises:
        ValueError: a block or a command does not end, there is something between blocks, or :func:`tokens` raises it.
    """
    found: list[Block] = []
    block: Block | None = None
    for command in _commands(tokens(text, place), place):
        name, line = command[0].text.upper(), command[0].line
        if block is None:
            if name != "BEGIN" or len(command) != 2:
                raise ValueError(f"{place}, line {line}: expected BEGIN and the name of a block, got {command[0]!r}")
            block = Block(command[1].text.upper(), line, [])
            found.append(block)
        elif name in ("END", "ENDBLOCK"):
            block = None
        elif name == "BEGIN":
            raise ValueError(f"{place}, line {line}: the {block.name} block of line {block.line} does not end before")
        else:
            block.commands.append(command)
    if block is not None:
        raise ValueError(f"{place}: the {block.name} block of line {block.line} does not end")
    return found


def _commands(words: list[Token], place: str) -> list[list[Token]]:
    """Commands without their semicolons. Commands without words are left out."""
    found: list[list[Token]] = [[]]
    for word in words:
        if word.text == ";" and not word.quoted:
            found.append([])
        else:
            found[-1].append(word)
    if last := found.pop():
        raise ValueError(f"{place}, line {last[0].line}: the command {last[0]!r} does not end with a semicolon")
    return [command for command in found if command]


def options(words: list[Token], place: str) -> dict[str, Token]:
    """Options such as ``NTAX=3 INTERLEAVE`` by name in capitals. The value of one without ``=`` is an empty word.

    Raises:
        ValueError: an option has no name, no value after ``=``, or occurs twice.
    """
    found: dict[str, Token] = {}
    k = 0
    while k < len(words):
        name, value = words[k], Token("", words[k].line)
        k += 1
        if k < len(words) and words[k].text == "=" and not words[k].quoted:
            if k + 1 == len(words):
                raise ValueError(f"{place}, line {name.line}: {name!r} has no value")
            value, k = words[k + 1], k + 2
        if name.quoted or name.text == "=" or name.text.upper() in found:
            raise ValueError(f"{place}, line {name.line}: expected an option that is new, got {name!r}")
        found[name.text.upper()] = value
    return found
