"""Other ways to write the attacks of attacks.py: the engine reads them as the same statement, a filter of text may not.

Made from a seed, so that a failure can be repeated.
"""
import random
import re

import attacks

# What the engine takes for a blank. Source: a trial of every code point (tests/integration/warehouse/engine_names_test.cpp).
BLANKS = (" ", "\t", "\n", "\r\n", "\f", "\v", "\u0085", "\u00a0", "\u180e", "\u2000", "\u2007", "\u200b", "\u200d", "\u2028", "\u2029",
          "\u202f", "\u205f", "\u2060", "\u3000", "\ufeff")
COMMENTS = ("/**/", "/* ' */", "/* /* */ ' */", "/*/**/*/", "-- it's\n", "#! `\n", "# \"\n", "/* file( */", "--\n")
# Names whose case the engine does not mind, and which may be quoted.
NAMES = ("file", "url", "remote", "mysql", "postgresql", "redis", "mongodb", "s3", "hdfs")

TOKEN = re.compile(r"'(?:[^'\\]|\\.|'')*'|\$\$.*?\$\$|`[^`]*`|\"[^\"]*\"|[A-Za-z_@][A-Za-z0-9_@]*|\d+|\s+|.", re.DOTALL)


def _pause(random_source):
    return "".join(random_source.choice(BLANKS + COMMENTS) for _ in range(random_source.randint(1, 3)))


def _cased(random_source, text):
    return "".join(random_source.choice((c.upper(), c.lower())) for c in text)


def _rewritten(random_source, statement):
    """Other blanks, comments between tokens, keywords and names in another case, names quoted, texts as heredocs."""
    written = []
    tokens = TOKEN.findall(statement)
    for at, token in enumerate(tokens):
        behind = "".join(tokens[at + 1:at + 2])
        if token.isspace():
            written.append(_pause(random_source))
            continue
        if token.lower() in NAMES and behind == "(":
            if random_source.random() < 0.3:
                token = random_source.choice((f"`{token}`", f'"{token}"', f'"{token[:-1]}\\x{ord(token[-1]):02x}"'))
            written.append(token + (_pause(random_source) if random_source.random() < 0.7 else ""))
            continue
        if token.startswith("'") and "\\" not in token and "''" not in token and random_source.random() < 0.3:
            tag = random_source.choice(("$$", "$t$", "$1_a$"))
            token = tag + token[1:-1] + tag
        elif token.upper() in ("SELECT", "FROM", "INSERT", "INTO", "FUNCTION", "CREATE", "TABLE", "ENGINE", "SOURCE", "DICTIONARY", "WHERE",
                               "FORMAT", "VALUES", "LAYOUT"):
            token = _cased(random_source, token)
        written.append(token)
        if token in "(,=" and random_source.random() < 0.3:
            written.append(_pause(random_source))
    return "".join(written)


def _wrapped(random_source, statement):
    """The same query somewhere inside of another one."""
    if not statement.lstrip().upper().startswith("SELECT") or " OUTFILE " in statement:
        return statement
    for _ in range(random_source.randint(0, 4)):
        statement = random_source.choice((
            "SELECT * FROM ({})", "WITH q AS ({}) SELECT * FROM q", "SELECT 1 UNION ALL SELECT toString(count()) FROM ({})", "SELECT * FROM (({}))",
            "SELECT * FROM view({})", "SELECT * FROM numbers(1) AS n CROSS JOIN ({}) AS m",
            "SELECT (SELECT any(toString(tuple(*))) FROM ({}))", "SELECT 1 FROM numbers(1) WHERE 1 IN (SELECT length(toString(tuple(*))) FROM ({}))",
        )).format(statement)
    return random_source.choice(("{}", "EXPLAIN PLAN {}", "({})")).format(statement)


def made(count, seed):
    """`count` attacks; each is one of attacks.ATTACKS that works, with its last step written in another way."""
    random_source = random.Random(seed)
    # A variant of a dialect or of a byte sequence is another statement.
    able = [attack for attack in attacks.ATTACKS if attack.works and "behind" not in attack.name and "comments" not in attack.name]
    for number in range(count):
        attack = able[number % len(able)]
        steps = [*attack.steps]
        at = random_source.randrange(len(steps)) if attack.breach == attacks.COMMAND else len(steps) - 1
        for index in {at, 0}:
            step = steps[index]
            inner = step.statement if " FORMAT " in step.statement or " SETTINGS " in step.statement else _wrapped(random_source, step.statement)
            steps[index] = attacks.Step(_rewritten(random_source, inner), step.parameters, step.method)
        yield attacks.Attack(f"variant {number} of {attack.name}", attack.breach, tuple(steps), attack.works, attack.may_end)
