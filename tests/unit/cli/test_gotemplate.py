"""Go templates: their output and their errors; tests/oracle/test_template_oracle.py compares them with Go's."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pypod.cli.go.fmt import format_value, sprint, type_name
from pypod.cli.go.json import encode
from pypod.cli.go.printf import sprintf
from pypod.cli.go.strconv import quote, quote_rune, unquote
from pypod.cli.go.template import Template, compile, render
from pypod.cli.go.values import NO_VALUE, Duration, Struct, TemplateError

FEW = settings(max_examples=60, deadline=None, database=None)


class Container(Struct):
    type_name = "define.Container"

    def __missing__(self, name: str) -> object:
        if name != "Lazy":
            raise KeyError(name)
        return "computed"


BOX = Container(
    ID="0123456789ab",
    Names=["web", "www"],
    Labels={"b": "2", "a": "1"},
    State=Struct(Status="running", Pid=42, OOMKilled=False, Error=None),
    Ports=[Struct(Host=8080, Box=80), Struct(Host=8443, Box=443)],
    Size=1.5e6,
    Data=b"hi",
    Empty=[],
    Env={},
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("", ""),
        ("plain } }} text", "plain } }} text"),
        ("{{.ID}}", "0123456789ab"),
        ("{{ .ID }}\t{{\n.State.Pid}}|", "0123456789ab\t42|"),
        ("{{.State.OOMKilled}} {{.State.Error}} {{.Size}} {{.Data}}", "false <nil> 1.5e+06 [104 105]"),
        ("{{.Labels}} {{.Names}} {{.Env}} {{.Empty}}", "map[a:1 b:2] [web www] map[] []"),
        ("{{.Labels.a}} {{.Labels.z}} {{.Labels.z.y}}", "1 <no value> <no value>"),
        ("{{.State}} {{.Ports}}", "{running 42 false <nil>} [{8080 80} {8443 443}]"),
        ("{{.Lazy}} {{.Lazy | upper}}", "computed COMPUTED"),
        ('{{index .Labels "b"}}|{{index .Labels "z"}}|{{index .Names 1}}', "2||www"),
        ("{{(index .Ports 1).Host}} {{range .Ports}}{{.Host}}->{{.Box}} {{end}}", "8443 8080->80 8443->443 "),
        ("{{range $k, $v := .Labels}}{{$k}}={{$v}},{{end}}", "a=1,b=2,"),
        ("{{range $p := .Ports}}{{$p.Box}} {{$.ID}} {{end}}", "80 0123456789ab 443 0123456789ab "),
        ("{{range .Empty}}x{{else}}none{{end}}{{range .State.Error}}x{{else}}nil{{end}}", "nonenil"),
        ("{{range .Names}}{{if eq . `web`}}{{continue}}{{end}}{{.}}{{end}}", "www"),
        ("{{range .Names}}{{.}}{{with $}}{{break}}{{end}}{{end}}{{.ID}}", "web0123456789ab"),
        ("{{if .State.OOMKilled}}a{{else if .Empty}}b{{else if .Env}}c{{else}}d{{end}}", "d"),
        ("{{if .State}}struct{{end}}{{if .Labels.z}}no{{end}}{{if .Labels}}map{{end}}", "structmap"),
        ("{{with .State}}{{.Pid}}{{end}}{{.ID}}{{with .Empty}}x{{else}}{{.ID}}{{end}}", "420123456789ab0123456789ab"),
        ("{{with $s := .State}}{{$s.Pid}}{{end}}", "42"),
        ("{{$x := 1}}{{range .Names}}{{$x = .}}{{end}}{{$x}}", "www"),
        ("a {{- .ID -}} \n\t b", "a0123456789abb"),
        ("{{/* c */}}x{{- /* c */ -}} y", "xy"),
        ('{{`a\\n`}}{{"\\t\\"\\u00e9\\x41"}}{{\'a\'}}', 'a\\n\t"éA97'),
        ("{{1}} {{-0x10}} {{1e3}} {{1.5}} {{true}} {{print nil}}", "1 -16 1000 1.5 true <nil>"),
        (
            "{{eq 1 2 1}} {{ne 1 1}} {{lt 1 2}} {{le 2 1}} {{gt `b` `a`}} {{ge 1.5 1.5}}",
            "true false true false true true",
        ),
        ("{{and 0 1}} {{and 1 2}} {{or 0 3}} {{or 0 ``}}| {{not 1}}", "0 2 3 | false"),
        ("{{or .ID (index .Names 99)}} {{and .Empty (index .Names 99)}}", "0123456789ab []"),
        ("{{len .Names}} {{len .Labels}} {{len `é`}} {{slice .ID 0 4}} {{slice .Names 1}}", "2 2 2 0123 [www]"),
        (
            "{{join .Names `,`}} {{split `a,b` `,`}} {{upper `a`}} {{lower `A`}} {{title `a b-c d_e`}}",
            "web,www [a b] A a A B-C D_e",
        ),
        ("{{truncate .ID 4}} {{pad `x` 1 2}}| {{pad `` 1 2}}|", "0123  x  | |"),
        (
            "{{json .}}",
            '{"ID":"0123456789ab","Names":["web","www"],"Labels":{"a":"1","b":"2"},'
            '"State":{"Status":"running","Pid":42,"OOMKilled":false,"Error":null},'
            '"Ports":[{"Host":8080,"Box":80},{"Host":8443,"Box":443}],"Size":1500000,"Data":"aGk=","Empty":[],"Env":{}}',
        ),
        (
            "{{json .Labels}} {{json .ID}} {{.State | json}}",
            '{"a":"1","b":"2"} "0123456789ab" {"Status":"running","Pid":42,"OOMKilled":false,"Error":null}',
        ),
        (
            "{{printf `%-6s|%6.2f|%q|%d|%v` .State.Status .Size `a` .State.Pid .Names}}",
            'running|1500000.00|"a"|42|[web www]',
        ),
        ("{{printf `%+v %T` .State .}}", "{Status:running Pid:42 OOMKilled:false Error:<nil>} define.Container"),
        ("{{print 1 2 `a` 3}} {{println `a` 1}}", "1 2a3 a 1\n"),
        ("{{.ID | printf `%s-%s` `x` | len}}", "14"),
        ("{{eq .State nil}} {{eq nil .State}} {{eq .State .State}} {{ne .Labels.z nil}}", "false false true false"),
        ("{{eq 1 nil}} {{eq nil 1 `a`}} {{eq .Labels.z 1}}", "false false false"),
        ("a  {{-   .ID \n\t -}}  b", "a0123456789abb"),
        ("{{pad `x` 0 1}}| {{pad `x` 1 0}}| {{truncate `abc` 0}}|", "x |  x| |"),
        ("{{slice .Names 0 1}} {{slice .ID 12}}| {{slice `abc` 1 1}}|", "[web] | |"),
    ],
)
def test_templates_print(template: str, expected: str) -> None:
    assert expected == render(template, BOX)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{.Foo}}", 'template: ps:1:2: executing "ps" at <.Foo>: can\'t evaluate field Foo in type define.Container'),
        ("a\né{{.ID.Foo}}", 'template: ps:2:7: executing "ps" at <.ID.Foo>: can\'t evaluate field Foo in type string'),
        (
            "{{.State.Error.Foo}}",
            'template: ps:1:8: executing "ps" at <.State.Error.Foo>: nil pointer evaluating interface {}.Foo',
        ),
        ("{{foo}}", 'template: ps:1: function "foo" not defined'),
        ("{{if .ID}}", "template: ps:1: unexpected EOF"),
        ("{{else}}", "template: ps:1: unexpected {{else}}"),
        ("{{break}}", "template: ps:1: {{break}} outside {{range}}"),
        ("{{.ID", "template: ps:1: unclosed action"),
        ("{{.ID\n", "template: ps:2: unclosed action started at ps:1"),
        ("{{1i}}", 'template: ps:1: complex numbers are not supported: "1i"'),
        (
            '{{truncate "a" -1}}',
            'template: ps:1:2: executing "ps" at <truncate "a" -1>: error calling truncate: '
            "runtime error: slice bounds out of range [:-1]",
        ),
    ],
)
def test_errors_say_where(template: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile(template, name="ps").render(BOX)
    assert (message, "ps") == (str(caught.value), caught.value.name)


def test_what_cannot_be_parsed_fails_before_there_is_a_value() -> None:
    with pytest.raises(TemplateError):
        compile("{{.ID}")
    assert isinstance(compile("{{.Foo}}"), Template)


def test_an_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(TemplateError("ps", "ps:1: no")))  # noqa: S301
    assert (error.name, str(error)) == ("ps", "template: ps:1: no")


@pytest.mark.parametrize("template", ["{{.ID}} {{.Labels.a}}\n", "{{.ID | upper}} {{.Labels.a}}\n"])
def test_each_is_one_run_a_row(template: str) -> None:
    rows = [Struct(ID="x", Labels={"a": 1}), {"ID": "y", "Labels": {}}]
    body = compile(template, each=True)
    assert body.render(rows).lower() == "x 1\ny <no value>\n"
    assert body.render([]) == ""


@pytest.mark.parametrize(("template", "column"), [("{{.ID}}{{.Foo}}", 20), ("{{len .ID}}{{.Foo}}", 24)])
def test_each_fails_as_the_range_that_podman_puts_around_it(template: str, column: int) -> None:
    with pytest.raises(TemplateError) as caught:
        compile(template, name="ps", each=True).render([BOX])
    assert str(caught.value).startswith(f'template: ps:1:{column}: executing "ps" at <.Foo>: can\'t')


def test_functions_can_be_added_and_fail() -> None:
    functions = {"double": lambda value: value * 2, "fail": lambda: int("x")}
    assert render("{{double 4}} {{.ID | double}}", Struct(ID="a"), functions=functions) == "8 aa"
    with pytest.raises(TemplateError, match="error calling fail: invalid literal"):
        render("{{fail}}", None, functions=functions)
    with pytest.raises(TemplateError, match='function "double" not defined'):
        render("{{double 4}}", None)


def test_a_map_gives_the_zero_of_its_elements() -> None:
    maps = {"text": {"a": "b"}, "numbers": {"a": 1}, "mixed": {"a": 1, "b": "c"}, "lists": {"a": []}}
    template = "{{index .text `z`}}|{{index .numbers `z`}}|{{index .mixed `z`}}|{{index .lists `z`}}"
    assert render(template, maps) == "|0|<no value>|<no value>"


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    for template in ("{{" + "(" * 3000 + "1" + ")" * 3000 + "}}", "{{if 1}}" * 3000 + "{{end}}" * 3000):
        with pytest.raises(TemplateError, match="nested too deeply"):
            render(template, None)


PIECES = st.sampled_from(
    "{{ }} {{- -}} . .ID .Labels.a $ $x $x:= $i,$x:= = | ( ) if else end range with break continue nil true 1 -1.5 0x "
    "1e9 'a' \"b\" `c` index len slice eq lt and or not json join split printf print truncate pad upper /* */ , : "
    "%d %!v \\ é \x00 \n".split(" ")
)
TEXTS = st.one_of(
    st.text(),
    st.lists(PIECES).map(" ".join),
    st.lists(st.lists(PIECES).map(lambda words: "{{" + " ".join(words) + "}}")).map("".join),
)


@FEW
@given(TEXTS)
@example("{{printf `%s` (index .Labels nil)}}")
@example("{{slice .ID -1}}{{index .ID 1.5}}")
@example("{{$x = 1}}")
def test_any_text_is_a_template_or_a_template_error(text: str) -> None:
    for each, value in ((False, BOX), (True, [BOX, 1, None])):
        with contextlib.suppress(TemplateError):
            assert isinstance(compile(text, each=each).render(value), str)


NAMES = st.sampled_from(["ID", "Names", "Labels", "Labels.a", "Labels.z", "State.Pid", "Lazy", "Foo", "ID.Foo", ""])


@FEW
@given(st.lists(st.one_of(st.text("a {}\n"), NAMES.map(lambda name: f"{{{{.{name}}}}}"))).map("".join))
def test_the_fast_path_is_the_slow_path(text: str) -> None:
    results = []
    # A comment in front keeps a template off the fast path.
    for template in (text, "{{/**/}}" + text):
        try:
            results.append(compile(template).render(BOX))
        except TemplateError as error:
            results.append(str(error).partition(" at <")[2] or "parse")
    assert results[0] == results[1]


def test_the_fast_path_imports_nothing_more() -> None:
    code = (
        "import sys; from pypod.cli.go.template import compile; from pypod.cli.go.values import Struct;"
        "before = set(sys.modules);"
        "compile('{{.A}} {{.B.C}}\\n', each=True).render([Struct(A='x', B={'C': 1})]);"
        "print(sorted(set(sys.modules) - before), sorted({'re', 'json', 'enum', 'typing'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] []\n"


@pytest.mark.parametrize(
    ("value", "printed", "go_type"),
    [
        (None, "<nil>", "<nil>"),
        (True, "true", "bool"),
        (-3, "-3", "int"),
        (0.1, "0.1", "float64"),
        (-0.0, "-0", "float64"),
        (100000.0, "100000", "float64"),
        (1e6, "1e+06", "float64"),
        (123456789.0, "1.23456789e+08", "float64"),
        (0.0001, "0.0001", "float64"),
        (0.00001, "1e-05", "float64"),
        (5e-324, "5e-324", "float64"),
        (float("inf"), "+Inf", "float64"),
        (float("-inf"), "-Inf", "float64"),
        (float("nan"), "NaN", "float64"),
        ("a b", "a b", "string"),
        (b"ab", "[97 98]", "[]uint8"),
        (["a", "b"], "[a b]", "[]string"),
        ((1, None, "x"), "[1 <nil> x]", "[]interface {}"),
        ([], "[]", "[]interface {}"),
        ({"b": [1], "a": {"z": None}}, "map[a:map[z:<nil>] b:[1]]", "map[string]interface {}"),
        ({"a": "b"}, "map[a:b]", "map[string]string"),
        ({2: "b", 10: "c"}, "map[2:b 10:c]", "map[string]string"),
        ({1: 1, "a": 2}, "map[1:1 a:2]", "map[string]int"),
        (Struct(B=1, A="x"), "{1 x}", "Struct"),
        (BOX.__class__(), "{}", "define.Container"),
    ],
)
def test_values_print_as_in_go(value: object, printed: str, go_type: str) -> None:
    assert (printed, go_type) == (format_value(value), type_name(value))


def test_an_object_prints_as_its_str() -> None:
    class Seconds(int):
        def __str__(self) -> str:
            return f"{int(self)}s"

    assert format_value([Seconds(3)]) == "[3s]"
    assert sprintf("%v %s %d", [Seconds(3)] * 3) == "3s 3s 3"
    assert sprint([Seconds(3), 4, "a", 5]) == "3s 4a5"


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        (
            "%v %+v",
            [BOX["State"], BOX["State"]],
            "{running 42 false <nil>} {Status:running Pid:42 OOMKilled:false Error:<nil>}",
        ),
        ("%+v", [[Struct(A=1)]], "[{A:1}]"),
        ("%5d|%-5d|%05d|%x", [[1, 2], 3, -4, [10, 11]], "[    1     2]|3    |-0004|[a b]"),
        ("%s %q %x", [b"ab", b"ab", b"ab"], 'ab "ab" 6162'),
        ("%6.2f|%8v|%+.1f", [float("nan"), float("inf"), float("-inf")], "   NaN|    +Inf|-Inf"),
        ("%d %s", [{"a": 1}, {"a": 1}], "map[%!d(string=a):1] map[a:%!s(int=1)]"),
        ("%99999999d|", [1], "%!(NOVERB)%!(EXTRA int=1)"),
        ("%t %t", [True, 1], "true %!t(int=1)"),
    ],
)
def test_printf_takes_what_podman_has_no_constant_for(text: str, values: list[object], expected: str) -> None:
    assert expected == sprintf(text, values)


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary())
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3).map(Struct)),
    max_leaves=4,
)


@FEW
@given(st.text("%dvsqxXtTcUbeg+-# 0123[].*é"), st.lists(VALUES, max_size=4))
def test_printf_never_fails(text: str, values: list[object]) -> None:
    assert isinstance(sprintf(text, values), str)


@FEW
@given(st.text())
def test_quoting_is_undone_by_unquoting(text: str) -> None:
    assert text == unquote(quote(text))
    assert quote(text, ascii_only=True).isascii()
    assert text == unquote(quote(text, ascii_only=True))


@pytest.mark.parametrize(
    "literal", [r'"\q"', r'"\x4"', r'"\ud800"', r'"\U00110000"', r'"\400"', r'"\08"', '"\\', r"'\"'"]
)
def test_bad_escapes_are_refused(literal: str) -> None:
    with pytest.raises(ValueError, match="invalid syntax"):
        unquote(literal + '"' if literal == '"\\' else literal)


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("\a\b\t\n\v\f\r\\", r'"\a\b\t\n\v\f\r\\"'),
        (" !~", '" !~"'),
        ("\x1f\x7f\x80", r'"\x1f\x7f\u0080"'),
        ("\uffff\U0001f600\U0010ffff", '"\\uffff\U0001f600\\U0010ffff"'),
        ("'\"", r'"\'\""'.replace(r"\'", "'")),
    ],
)
def test_quotes_are_gos(text: str, literal: str) -> None:
    assert literal == quote(text)
    assert text == unquote(literal)


def test_octal_and_hex_escapes_end_where_go_ends_them() -> None:
    assert unquote(r'"\1012\x412\u00e92\U0001F6002"') == "A2A2é2\U0001f6002"
    assert unquote("`a\r\\n`") == "a\\n"


def test_bytes_that_are_no_utf8_keep_their_value() -> None:
    assert unquote(r'"\xff"') == "\udcff"
    assert quote("\udcff") == r'"\xff"'
    assert quote_rune(0x200B) == r"'\u200b'"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": [True, None, "x"]}, '{"a":[true,null,"x"],"b":1}'),
        (Struct(b=1, a={}), '{"b":1,"a":{}}'),
        ({2: "x", 10: "y"}, '{"10":"y","2":"x"}'),
        ([], "[]"),
        ([[]], "[[]]"),
        (
            '\x00\b\f\n\r\t"\\/\x7fé\u2028<&>\udc80',
            r'"\u0000\u0008\u000c\n\r\t\"\\/' + "\x7fé" + r"\u2028<&>\ufffd" + '"',
        ),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (0.1, "0.1"),
        (-1.5, "-1.5"),
        (-1e-9, "-1e-9"),
        (1e-10, "1e-10"),
        ("\u2027\u2028\u2029\u202a\ud7ff\ue000", '"\u2027\\u2028\\u2029\u202a\ud7ff\ue000"'),
        ("\ud800\udfff", r'"\ufffd\ufffd"'),
        (b"hi", '"aGk="'),
    ],
)
def test_json_is_gos(value: object, expected: str) -> None:
    assert expected == encode(value)


def test_json_can_be_indented_and_safe_for_html() -> None:
    value = Struct(Id="a<b", List=[1, {}], Empty=[])
    assert encode(value, indent="  ", escape_html=True) == (
        '{\n  "Id": "a\\u003cb",\n  "List": [\n    1,\n    {}\n  ],\n  "Empty": []\n}'
    )


def test_json_has_no_form_for_nan() -> None:
    with pytest.raises(ValueError, match="json: unsupported value: NaN"):
        encode([float("nan")])
    assert render("{{json .}}|", [float("nan")]) == "|"


@FEW
@given(VALUES)
def test_json_reads_back(value: object) -> None:
    import json

    try:
        text = encode(value)
    except ValueError:
        return
    assert encode(json.loads(text)) == encode(json.loads(encode(value, indent=" ")))


def test_no_value_prints_as_itself_only_at_the_end() -> None:
    assert str(NO_VALUE) == "<no value>"
    assert render("{{.a}} {{print .a}} {{printf `%v` .a}} {{eq .a nil}} {{len (print .a)}}", {}) == (
        "<no value> <nil> <nil> true 5"
    )


# from the documentation of Go's Duration.String, and its examples
@pytest.mark.parametrize(
    ("ns", "shown"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (2_200_000, "2.2ms"),
        (3_300_000_000, "3.3s"),
        (5_000_000_000, "5s"),
        (4 * 60 * 10**9 + 5 * 10**9, "4m5s"),
        (4 * 60 * 10**9 + 5_001_000_000, "4m5.001s"),
        (5 * 3600 * 10**9 + 6 * 60 * 10**9 + 7_001_000_000, "5h6m7.001s"),
        (3600 * 10**9, "1h0m0s"),
        (-90 * 10**9, "-1m30s"),
    ],
)
def test_durations_print_as_in_go(ns: int, shown: str) -> None:
    assert render("{{.}}", Duration(ns)) == shown
    assert encode(Duration(ns)) == str(ns)


def test_an_error_has_what_was_written_before_it() -> None:
    with pytest.raises(TemplateError) as caught:
        render("{{.A}} {{.B}}", Struct(A=1))
    assert caught.value.written == "1 "
