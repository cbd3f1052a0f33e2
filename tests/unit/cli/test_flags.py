"""The command line parser: pflag's rules and podman 4.3.1's messages."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypod.cli.flags.parser import Command, Flag, UsageError, parse, usage
from pypod.cli.flags.values import split_csv
from pypod.cli.go.strconv import parse_bool, parse_float, parse_int, parse_uint

FEW = settings(max_examples=60, deadline=None, database=None)

RUN = Command(
    path="pypod run",
    summary="Run a command in a new container",
    synopsis="[options] IMAGE [COMMAND [ARG...]]",
    interspersed=False,
    min_args=1,
    flags=(
        Flag(name="annotation", kind="strings"),
        Flag(name="cpus", kind="float"),
        Flag(name="detach", kind="bool", short="d"),
        Flag(name="env", kind="stringArray", short="e", default=("TERM=xterm",)),
        Flag(name="hostname", short="h"),
        Flag(name="http-proxy", kind="bool", default=True),
        Flag(name="interactive", kind="bool", short="i"),
        Flag(name="name"),
        Flag(name="network", kind="stringArray", aliases=("net",)),
        Flag(name="pids-limit", kind="int", default=2048),
        Flag(name="publish", kind="strings", short="p"),
        Flag(name="rm", kind="bool"),
        Flag(name="tty", kind="bool", short="t"),
    ),
)
STOP = Command(
    path="pypod stop",
    flags=(
        Flag(name="all", kind="bool", short="a"),
        Flag(name="sort", choices=("id", "names")),
        Flag(name="time", kind="uint", short="t", default=10, aliases=("timeout",)),
    ),
)


@pytest.mark.parametrize(
    ("words", "expected", "positionals"),
    [
        (["-dit", "img"], {"detach": True, "interactive": True, "tty": True}, ["img"]),
        (["-eFOO=bar", "img"], {"env": ["FOO=bar"]}, ["img"]),
        (["-e", "FOO=bar", "img"], {"env": ["FOO=bar"]}, ["img"]),
        (["-e=FOO=bar", "img"], {"env": ["FOO=bar"]}, ["img"]),
        (["-itehello", "img"], {"interactive": True, "tty": True, "env": ["hello"]}, ["img"]),
        (["-ite", "-x", "img"], {"interactive": True, "tty": True, "env": ["-x"]}, ["img"]),
        (["--env", "A=1,2", "--env=B", "img"], {"env": ["A=1,2", "B"]}, ["img"]),
        (["--annotation", "a=1,b=2", "--annotation=c", "img"], {"annotation": ["a=1", "b=2", "c"]}, ["img"]),
        (["--annotation", '"a=1,b",c', "img"], {"annotation": ["a=1,b", "c"]}, ["img"]),
        (["--annotation=", "img"], {"annotation": []}, ["img"]),
        (["--name=x=y", "img"], {"name": "x=y"}, ["img"]),
        (["--name", "--rm", "img"], {"name": "--rm"}, ["img"]),
        (["--name", "a", "--name", "b", "img"], {"name": "b"}, ["img"]),
        (["--name=", "img"], {"name": ""}, ["img"]),
        (["--rm", "false"], {"rm": True}, ["false"]),
        (["--rm=false", "img"], {"rm": False}, ["img"]),
        (["-t=false", "img"], {"tty": False}, ["img"]),
        (["-it=F", "img"], {"interactive": True, "tty": False}, ["img"]),
        (["-p=", "img"], {"publish": ["="]}, ["img"]),
        (["--net", "host", "--network=x", "img"], {"network": ["host", "x"]}, ["img"]),
        (["-h", "box", "img"], {"hostname": "box"}, ["img"]),
        (["--cpus", "1.5", "img"], {"cpus": 1.5}, ["img"]),
        (["--pids-limit=-1", "img"], {"pids-limit": -1}, ["img"]),
        (["img", "--rm", "-x"], {}, ["img", "--rm", "-x"]),
        (["--", "--rm", "--"], {}, ["--rm", "--"]),
        (["-", "-d"], {}, ["-", "-d"]),
        (["", "-d"], {}, ["", "-d"]),
    ],
)
def test_words_become_values(words: list[str], expected: dict[str, object], positionals: list[str]) -> None:
    parsed = parse(RUN, words)
    given_flags = {flag.name: parsed[flag.name] for flag in RUN.flags if parsed.changed(flag.name)}
    assert (expected, positionals) == (given_flags, parsed.positionals)


def test_what_is_not_named_has_its_default() -> None:
    parsed = parse(RUN, ["img"])
    names = ("annotation", "cpus", "detach", "env", "http-proxy", "name", "pids-limit")
    assert [parsed[name] for name in names] == [[], 0.0, False, ["TERM=xterm"], True, "", 2048]
    assert not any(parsed.changed(name) for name in names)
    assert not parsed.help


def test_a_default_can_be_named_and_lists_are_never_shared() -> None:
    assert parse(STOP, ["--time=10"]).changed("time")
    parse(RUN, ["img"])["env"].append("X")
    parse(RUN, ["img"])["annotation"].append("X")
    again = parse(RUN, ["img"])
    assert (again["env"], again["annotation"]) == (["TERM=xterm"], [])


@pytest.mark.parametrize("name", ["net", "nonsense"])
def test_only_names_of_the_table_can_be_asked_for(name: str) -> None:
    parsed = parse(RUN, ["--net=host", "img"])
    with pytest.raises(KeyError):
        parsed[name]
    with pytest.raises(KeyError):
        parsed.changed(name)


def test_flags_stand_anywhere_unless_a_command_follows() -> None:
    parsed = parse(STOP, ["one", "-a", "two", "--time", "3", "--", "-b", "--"])
    assert (parsed["all"], parsed["time"], parsed.positionals) == (True, 3, ["one", "two", "-b", "--"])


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["--help"], True),
        (["-h"], True),
        (["x", "-ah"], True),
        (["--help=false"], False),
        (["--", "--help"], False),
    ],
)
def test_help_is_known_to_every_command(words: list[str], asked: bool) -> None:
    assert parse(STOP, words).help is asked


def test_help_asks_for_no_positionals_and_a_table_may_take_its_letter() -> None:
    assert parse(RUN, ["--help"]).help
    shown = Command(path="pypod x", flags=(Flag(name="help", kind="bool"), Flag(name="host", short="h")))
    parsed = parse(shown, ["-h", "a", "--help"])
    assert (parsed.help, parsed["host"]) == (True, "a")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--foo"], "unknown flag: --foo"),
        (["--foo=1"], "unknown flag: --foo"),
        (["-Zx"], "unknown shorthand flag: 'Z' in -Zx"),
        (["-itZq"], "unknown shorthand flag: 'Z' in -Zq"),
        (["-t="], "unknown shorthand flag: '=' in -="),
        (["-é"], "unknown shorthand flag: 'Ã' in -é"),
        (["--name"], "flag needs an argument: --name"),
        (["--net"], "flag needs an argument: --net"),
        (["-e"], "flag needs an argument: 'e' in -e"),
        (["-ite"], "flag needs an argument: 'e' in -e"),
        (["--=x"], "bad flag syntax: --=x"),
        (["---x"], "bad flag syntax: ---x"),
        (["--rm=xx"], 'invalid argument "xx" for "--rm" flag: strconv.ParseBool: parsing "xx": invalid syntax'),
        (["-it=x"], 'invalid argument "x" for "-t, --tty" flag: strconv.ParseBool: parsing "x": invalid syntax'),
        (["--cpus", "x"], 'invalid argument "x" for "--cpus" flag: strconv.ParseFloat: parsing "x": invalid syntax'),
        (
            ["--pids-limit", "9223372036854775808"],
            'invalid argument "9223372036854775808" for "--pids-limit" flag: '
            'strconv.ParseInt: parsing "9223372036854775808": value out of range',
        ),
        (
            ["--annotation", 'a"b'],
            'invalid argument "a\\"b" for "--annotation" flag: '
            'parse error on line 1, column 2: bare " in non-quoted-field',
        ),
        (["--rm", "--help", "--foo"], "unknown flag: --foo"),
    ],
)
def test_what_is_wrong_is_said_in_podmans_words(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(RUN, words)
    assert str(caught.value) == f"{message}\nSee 'pypod run --help'"
    assert caught.value.command == "pypod run"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-t", "x"], 'invalid argument "x" for "-t, --time" flag: strconv.ParseUint: parsing "x": invalid syntax'),
        (
            ["--timeout=-1"],
            'invalid argument "-1" for "-t, --time" flag: strconv.ParseUint: parsing "-1": invalid syntax',
        ),
        (
            ["--sort", "x"],
            'invalid argument "x" for "--sort" flag: "x" is not a valid value.  Choose from: "id, names"',
        ),
    ],
)
def test_an_alias_is_named_by_its_flag(words: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(STOP, words)
    assert str(caught.value) == f"{message}\nSee 'pypod stop --help'"


@pytest.mark.parametrize(
    ("least", "most", "count", "message"),
    [
        (1, None, 0, "requires at least 1 arg(s), only received 0"),
        (2, None, 1, "requires at least 2 arg(s), only received 1"),
        (0, 1, 2, "accepts at most 1 arg(s), received 2"),
        (1, 1, 2, "accepts 1 arg(s), received 2"),
        (2, 2, 1, "accepts 2 arg(s), received 1"),
        (1, 2, 0, "accepts between 1 and 2 arg(s), received 0"),
        (1, 2, 3, "accepts between 1 and 2 arg(s), received 3"),
        (0, 0, 1, "`pypod x` takes no arguments"),
        (0, 0, 0, None),
        (0, None, 9, None),
        (1, 2, 1, None),
        (1, 2, 2, None),
    ],
)
def test_positionals_are_counted(least: int, most: int | None, count: int, message: str | None) -> None:
    command = Command(path="pypod x", min_args=least, max_args=most)
    words = ["word"] * count
    if message is None:
        assert parse(command, words).positionals == words
        return
    with pytest.raises(UsageError) as caught:
        parse(command, words)
    assert str(caught.value) == message


def test_a_usage_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(UsageError("pypod run", "no")))  # noqa: S301
    assert (error.command, str(error)) == ("pypod run", "no")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        (",", ["", ""]),
        ("a b, c", ["a b", " c"]),
        ('"a,b"', ["a,b"]),
        ('"a,b",c', ["a,b", "c"]),
        ('""', [""]),
        ('"a""b"', ['a"b']),
        ('a,"",b', ["a", "", "b"]),
        ('"a\nb",c', ["a\nb", "c"]),
        ("a\nb", ["a"]),
        ("\n\na", ["a"]),
        ("a\r", ["a"]),
        ('a\n"', ["a"]),
        ('"a\r\nb"\r\n', ["a\nb"]),
        ('"a"\nb', ["a"]),
        ('x,"a"', ["x", "a"]),
        (',"a"', ["", "a"]),
    ],
)
def test_commas_split_unless_quoted(text: str, expected: list[str]) -> None:
    assert expected == split_csv(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a"b', 'parse error on line 1, column 2: bare " in non-quoted-field'),
        ('é"b', 'parse error on line 1, column 3: bare " in non-quoted-field'),
        ('"b', 'parse error on line 1, column 3: extraneous or missing " in quoted-field'),
        ('a,"b', 'parse error on line 1, column 5: extraneous or missing " in quoted-field'),
        ('"a"b,c', 'parse error on line 1, column 3: extraneous or missing " in quoted-field'),
        (
            '"x\n\ny',
            'record on line 1; parse error on line 3, column 2: extraneous or missing " in quoted-field',
        ),
        ("\n", "EOF"),
        ('"x\ny"z', 'record on line 1; parse error on line 2, column 2: extraneous or missing " in quoted-field'),
        ('a,é,b"', 'parse error on line 1, column 7: bare " in non-quoted-field'),
    ],
)
def test_bad_quotes_are_an_error(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        split_csv(text)
    assert message == str(caught.value)


@FEW
@given(st.lists(st.text(st.characters(blacklist_characters="\r", blacklist_categories=["Cs"])), min_size=1))
def test_quoted_fields_come_back(fields: list[str]) -> None:
    line = ",".join('"{}"'.format(field.replace('"', '""')) for field in fields)
    assert fields == split_csv(line)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("+5", 5),
        ("-5", -5),
        ("0x1F", 31),
        ("0X1f", 31),
        ("0o17", 15),
        ("017", 15),
        ("0_7", 7),
        ("00", 0),
        ("0b11", 3),
        ("1_000", 1000),
        ("-0x8000000000000000", -(1 << 63)),
        ("9223372036854775807", (1 << 63) - 1),
    ],
)
def test_integers_are_gos(text: str, expected: int) -> None:
    assert expected == parse_int(text)


@pytest.mark.parametrize(
    "text", ["", "x", "08", "0x", "1_", "_1", "1__0", " 5", "5 ", "\uff15", "1.0", "--1", "0b1_", "+", "1\n", "٣", "²"]
)
def test_what_go_calls_no_integer_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"strconv\.ParseInt: parsing .*: invalid syntax"):
        parse_int(text)


@pytest.mark.parametrize("text", ["18446744073709551616", "1" * 5000, "0x10000000000000000"])
def test_integers_have_64_bits(text: str) -> None:
    for parser in (parse_int, parse_uint):
        with pytest.raises(ValueError, match="value out of range"):
            parser(text)
    assert parse_uint("18446744073709551615") == (1 << 64) - 1


@pytest.mark.parametrize("text", ["+1", "-1"])
def test_unsigned_means_no_sign(text: str) -> None:
    with pytest.raises(ValueError, match=r"strconv.ParseUint: parsing \"[+-]1\": invalid syntax"):
        parse_uint(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1.0),
        ("1e3", 1000.0),
        ("1_000", 1000.0),
        ("0x1p-2", 0.25),
        ("0x_1p1", 2.0),
        ("-1", -1.0),
        ("-inf", float("-inf")),
        ("Infinity", float("inf")),
    ],
)
def test_floats_are_gos(text: str, expected: float) -> None:
    assert expected == parse_float(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "invalid syntax"),
        (" 1", "invalid syntax"),
        ("1e", "invalid syntax"),
        ("infx", "invalid syntax"),
        ("1p1", "invalid syntax"),
        ("0x1", "invalid syntax"),
        ("1__0", "invalid syntax"),
        ("\uff11", "invalid syntax"),
        ("1e999", "value out of range"),
        ("-1e999", "value out of range"),
        ("0x1p99999", "value out of range"),
    ],
)
def test_what_go_calls_no_float_is_none(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"strconv.ParseFloat: parsing .*: {problem}"):
        parse_float(text)


def test_bools_are_gos() -> None:
    assert [parse_bool(text) for text in ("1", "t", "T", "true", "TRUE", "True")] == [True] * 6
    assert [parse_bool(text) for text in ("0", "f", "F", "false", "FALSE", "False")] == [False] * 6
    for text in ("", "yes", "tRUE", " true", "2"):
        with pytest.raises(ValueError, match="ParseBool"):
            parse_bool(text)


WORDS = st.one_of(
    st.text(),
    st.sampled_from(["--", "-", "-e", "--env", "-dit", "--rm=", "--pids-limit", "--cpus=0x", "-p", "--annotation"]),
    st.builds(
        "{}{}".format, st.sampled_from(["-", "--", "-p", "--annotation=", "--cpus=", "--pids-limit="]), st.text()
    ),
)


@FEW
@given(st.lists(WORDS, max_size=6))
def test_any_words_are_understood_or_a_usage_error(words: list[str]) -> None:
    for command in (RUN, STOP):
        try:
            parsed = parse(command, words)
        except UsageError:
            continue
        # Words that were not read as flags are kept in their order.
        left = iter(words)
        assert all(word in left for word in parsed.positionals)


HELP = """\
Stop one or more containers

Description:
  Stops one or more running containers.

Usage:
  pypod stop [options] CONTAINER [CONTAINER...]

Aliases:
  stop, halt

Examples:
  pypod stop ctrID
  pypod stop --latest

Options:
      --add-host strings     Add a custom mapping
  -e, --env stringArray      Set variables (default [A=b,C])
  -l, --latest               Act on the latest container
                             Not supported with the "--remote" flag
  -m, --memory <number>      Memory limit
      --proxy                Set proxy variables (default true)
      --quiet
      --ratio float          A ratio (default 0.5)
      --stop-signal string   A signal (default "a\\"b")
  -t, --time uint            Seconds to wait (default 10)

"""


def test_help_is_laid_out_as_podmans() -> None:
    command = Command(
        path="pypod stop",
        summary="Stop one or more containers",
        description="Stops one or more running containers.",
        synopsis="[options] CONTAINER [CONTAINER...]",
        aliases=("halt",),
        examples=("pypod stop ctrID", "pypod stop --latest"),
        flags=(
            Flag(name="time", kind="uint", short="t", default=10, help="Seconds to wait", aliases=("timeout",)),
            Flag(name="stop-signal", default='a"b', help="A signal"),
            Flag(name="secret", hidden=True),
            Flag(name="ratio", kind="float", default=0.5, help="A ratio"),
            Flag(name="proxy", kind="bool", default=True, help="Set proxy variables"),
            Flag(name="quiet", kind="bool"),
            Flag(name="memory", short="m", metavar="<number>", help="Memory limit"),
            Flag(
                name="latest",
                kind="bool",
                short="l",
                help='Act on the latest container\nNot supported with the "--remote" flag',
            ),
            Flag(name="env", kind="stringArray", short="e", default=("A=b", "C"), help="Set variables"),
            Flag(name="add-host", kind="strings", help="Add a custom mapping"),
        ),
    )
    # podman, too, leaves trailing spaces after a flag without help.
    assert "\n".join(line.rstrip() for line in usage(command).split("\n")) == HELP


def test_a_group_lists_its_commands() -> None:
    group = Command(
        path="pypod pod",
        summary="Manage pods",
        commands=(("start", "Start one or more pods"), ("create", "Create a new empty pod")),
    )
    assert usage(group) == (
        "Manage pods\n\nUsage:\n  pypod pod [command]\n\nAvailable Commands:\n"
        "  create      Create a new empty pod\n  start       Start one or more pods\n\n"
    )
