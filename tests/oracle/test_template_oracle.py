"""Our Go templates against Go's own, which podman runs on its default network: the same output, the same errors."""

from __future__ import annotations

import io
import json
import shutil
import subprocess

import pytest

from pypod.cli.go.values import Struct, TemplateError
from pypod.cli.render.output import compile_format, header_map, is_json, write_format
from tests.oracle.podman import only_4, words_of_go_1_19

pytestmark = pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed")

SEPARATOR = "<+>"


def podman(template: str) -> tuple[str, str]:
    """Return podman's output for a template on its default network, and the template part of its error."""
    done = subprocess.run(
        ["podman", "network", "inspect", "podman", "--format", template], capture_output=True, text=True, check=False
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    return done.stdout, errors[0][errors[0].index("template: ") :] if errors else ""


def ours(template: str, network: Struct) -> str:
    return compile_format(template, name="inspect")[1].render([network])


@pytest.fixture(scope="module")
def network() -> Struct:
    """The default network as podman's templates see it: a struct with scalars, maps and a list."""
    done = subprocess.run(["podman", "network", "inspect", "podman"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"podman has no default network: {done.stderr.strip()}")
    found = json.loads(done.stdout)[0]
    names = {
        "Name": "name",
        "ID": "id",
        "Driver": "driver",
        "NetworkInterface": "network_interface",
        "IPv6Enabled": "ipv6_enabled",
        "Internal": "internal",
        "DNSEnabled": "dns_enabled",
        "Labels": "labels",
        "Options": "options",
        "IPAMOptions": "ipam_options",
    }
    # Inspect passes its objects as interface{}, and errors say so.
    network = type("Network", (Struct,), {"type_name": "interface {}"})(
        {field: found.get(key) for field, key in names.items()}
    )
    network["Labels"] = network["Labels"] or {}
    network["Options"] = network["Options"] or {}
    return network


TEMPLATES = r"""
{{.Name}} {{ .Driver }} {{.Internal}} {{.IPAMOptions}} {{.Labels}}
{{.IPAMOptions.driver}} {{.IPAMOptions.foo}} {{.IPAMOptions.foo.bar}} {{index .IPAMOptions "driver"}}
{{index .IPAMOptions "foo"}}|{{index .Labels "foo"}}|{{.Labels.foo}}
{{range $k, $v := .IPAMOptions}}{{$k}}={{$v}};{{end}}{{range .Labels}}x{{else}}none{{end}}
{{range $i, $e := split "a,b,c" ","}}{{if $i}}, {{end}}{{$i}}:{{$e}}{{end}}
{{range split "a b c d" " "}}{{if eq . "b"}}{{continue}}{{end}}{{if eq . "d"}}{{break}}{{end}}{{.}}{{end}}
{{range $i, $e := split "a,b" ","}}{{range split "x,y" ","}}{{$i}}{{$e}}{{.}} {{end}}{{end}}
{{with .Name}}{{.}}{{end}}{{with .Labels}}x{{else}}empty{{end}}{{with $x := .Driver}}{{$x}}{{end}}
{{if .Internal}}a{{else if .DNSEnabled}}b{{else if eq .Driver "bridge"}}c{{else}}d{{end}}
{{$x := 1}}{{if true}}{{$x = 2}}{{$x := 3}}{{$x}}{{end}}{{$x}}
{{$y := .Name | upper}}{{$y}} {{(split .Name "d")}} {{(index (split "a,b" ",") 1) | printf "%s-%s" "x"}}
a {{- .Name -}}   b   {{- /* comment */ -}} c {{/* plain */}} d
{{"quoted \"string\" \t\u00e9\x41\101"}} {{`raw \n string`}} {{'a'}} {{'\n'}} {{'\''}}
{{1}} {{-2}} {{+3}} {{0x1F}} {{0b11}} {{0o17}} {{017}} {{1_000}} {{1.5}} {{1e3}} {{1e100}} {{.5}} {{0x1p-2}}
{{true}} {{false}} {{print nil}} {{.}}{{/* . differs */}}
{{len "héllo"}} {{len (split "a,b" ",")}} {{len .IPAMOptions}} {{slice "abcdef" 1 3}} {{slice "abc" 1}} {{slice "abc"}}
{{eq 1 1}} {{eq 1 2 1}} {{ne "a" "b"}} {{lt 1 2}} {{le 2 2}} {{gt 1.5 0.5}} {{ge "b" "a"}} {{eq true true}} {{eq nil nil}}
{{and 1 0}} {{and 1 "x"}} {{or 0 "" "y"}} {{or 0 ""}}| {{not 0}} {{not "a"}} {{and false (index "x" 9)}} {{1 | and 2}}
{{if and .Name (not .Internal)}}yes{{end}} {{if or .Internal .Labels}}no{{else}}else{{end}}
{{json .Name}} {{json .IPAMOptions}} {{json (split "a,b" ",")}} {{json 1.5}} {{json 1e21}} {{json 1e20}} {{json 0.0000001}}
{{json "<a>&\u2028\x7f\"\\/é\t"}} {{json nil}} {{json true}} {{json 100}} {{json .Labels.foo}}
{{join (split "a,b,c" ",") "+"}} {{upper "abc"}} {{lower "ABC"}} {{title "hello big-world foo_bar x.y"}} {{split "" ","}}
{{truncate "abcdef" 3}} {{truncate "ab" 3}} {{pad "x" 2 3}}| {{pad "" 2 3}}| {{split "abc" ""}}
{{print 1 2 "a" "b" 3 4.5 true nil}} {{print}} {{println 1 "a"}} {{print nil}} {{print "a" 1 "b"}} {{print 1 2}}
{{printf "%v|%v|%v|%v|%v|%v|%v|%v" 100000.0 1000000.0 20000000.0 123456789.0 1e20 1e-4 1e-5 1234567.5}}
{{printf "%5.2f|%q|%-10s|%x|%X|%t|%08b|%o|%c|%U|%e|%g|%v|%+d" 1.5 "a" "b" "hi" 255 true 5 8 97 97 1.5 1e21 1e20 3}}
{{printf "[%5d] [%-5d] [%05d] [%+.3d] [%x] [%X] [%#x] [%#o] [%b] [% d] [% x]" 42 42 42 7 -255 "hi" 255 8 -5 5 "abc"}}
{{printf "[%5s] [%.2s] [%5.1s] [%05s] [%-5s|] [%q] [%#q] [%+q] [%x] [%5t]" "ab" "abc" "xyz" "ab" "é" "a\"\n" "a`b" "é" "é" true}}
{{printf "%q %q %c %U %#U %d" 120 9731 9731 9731 9731 "x"}} {{printf "%q %+q %#q" "é\x7f\a\u200b" "é\U0001F600" "é"}}
{{printf "%[2]d %[1]d %[3]d %[x]d %[9]d" 1 2}} {{printf "%*d|%-*d|%.*f" 5 1 4 2 2 3.14159}} {{printf "%!"}} {{printf "a%"}}
{{printf "%z %d" 1}} {{printf "%d"}} {{printf "%d" 1 2}} {{printf "no" 1 "b" 1.5 nil}} {{printf "%v %s" 5}} {{printf "%d %s" "x" 1}}
{{printf "%5.1f|%e|%E|%g|%G|%6.2g|%+f|%08.3f|%f|%.0f|%#g|%g" 3.14159 1234.5 1234.5 1e-7 1e-7 1234.5 1.0 -3.14159 1e10 2.5 1.0 1e8}}
{{printf "%s %d %t %v" nil nil nil nil}} {{printf "%s %v %d %t" true true true "x"}} {{printf "%T %T %T %T" 1 "a" 1.5 true}}
{{printf "%d %x %s %v" 1.5 1.5 1.5 1.5}} {{printf "%6.2f%%|%-8q|%8q|%t" 99.5 "a" "b" 1}}
{{printf "%v %q %s %d %x %5s" (split "a,b" ",") (split "a,b" ",") (split "a,b" ",") (split "a,b" ",") (split "a,b" ",") (split "a,b" ",")}}
{{printf "%T %T" (split "a,b" ",") .IPAMOptions}} {{printf "%s %q %d" .IPAMOptions .IPAMOptions .IPAMOptions}}
{{printf "[%5d] [%05d] [%5v] [%5d] [%08d] [%08x] [%#08x] [%+08d] [% 08d] [%-08d] [%8.3d] [%08.3d] [%.0d] [%5.0d]" "x" "x" nil nil -5 -5 255 5 5 5 5 5 0 0}}
{{printf "[%5d] [%8v] [%08v] [%-8v] [%+v] [%+d] [%x] [%08.2f] [%+.1f] [% f] [%5t]" true 1.5 1.5 1.5 1.5 1.5 1.5 -1.5 1.5 1.5 "x"}}
{{printf "[%c] [%5c] [%-5c] [%05c] [%q] [%5q] [%U] [%10U] [%#U] [%#10U] [%c] [%U]" 65 65 65 65 39 65 65 65 65 65 -1 -1}}
{{printf "%5t|%-7t|%07t|%q" true false true true}} {{printf "%O %#b %#o %#o" 8 5 0 8}} {{printf "%6.3v|%6.3v|%.3v|%.1q" 3.14159 "abcdef" "abcdef" "abc"}}
{{printf "%#v %#v %#v %#v" 1 "a" true nil}} {{printf "%+v %+s %+q" "a" "b" 65}} {{printf "%.d|%.f|%.s" 3 2.5 "abc"}}
{{printf "%*d|%.*f" "x" 1 "y" 2.0}} {{printf "%*d|" 1000001 1}} {{printf "%.*f|" -1 2.0}} {{printf "%[1]*d" 5 1}}
{{printf "%[2]*[1]d|%[1]" 1 5}} {{printf "%[1]d %d" 1 2}} {{printf "%[0]d|%[-1]d|%[1d" 1}} {{printf "%[3]2d|%[1].2d" 1 2 3}}
{{printf "%  d|%+ d|%-05d|%0-5d|" 1 2 3 4}} {{printf "%é %w %p" 1 "a" "b"}} {{printf "%0*d|%-*d|%*d" 5 1 5 2 -5 3}}
{{.Name|printf "%s"}}{{  .Name  |  upper  }}{{(.Name)}}{{((.Name))}}{{(index (split "a" ",") 0)|len}}
{{printf "%x|%X|%x|%x" 1.0 255.5 0.0 1e-300}} {{0x1.8p1}} {{0x_Fp0}} {{1_0.5}} {{1e-2}} {{1E+2}} {{0B1}} {{0O7}} {{0X1f}} {{1.}}
{{range $x := split "a,b" ","}}{{$x}}{{end}}{{range $i, $x := .IPAMOptions}}{{$i}}{{end}}{{with split "a" ","}}{{index . 0}}{{end}}
{{range $i, $e := split "a,b" ","}}{{$i = 7}}{{$i}}{{end}} a {{-   1    -}} b {{eq 1 nil}} {{eq nil "a"}} {{with $a := "x"}}{{$a}}{{else}}{{$a}}{{end}}
""".strip().splitlines()  # noqa: E501


def test_output_is_what_go_prints(network: Struct) -> None:
    templates = [line.replace("{{.}}{{/* . differs */}}", "") for line in TEMPLATES]
    # One run of podman for all of them: a run takes a tenth of a second.
    theirs, error = podman(SEPARATOR.join(templates) + "{{/*\\n*/}}")
    assert error == ""
    expected = dict(zip(templates, theirs.rstrip("\n").split(SEPARATOR), strict=True))
    actual = {template: ours(template + "{{/*\\n*/}}", network).rstrip("\n") for template in templates}
    assert expected == actual


@words_of_go_1_19
def test_a_backspace_in_json(network: Struct) -> None:
    template = r'{{json "\b"}}'
    assert podman(template)[0].rstrip("\n") == ours(template, network).rstrip("\n")


@pytest.mark.parametrize(
    "template",
    [
        "{{.Foo}}",
        "{{.Name.Foo}}",
        "a\nb{{.Name}} {{.Driver.Foo.Bar}}",
        "é{{.Foo}}",
        "{{.Name",
        "{{.Name}",
        "{{",
        "{{}}",
        "{{end}}",
        "{{if}}a{{end}}",
        "{{if true}}",
        "{{if true}}a{{else}}b{{else}}c{{end}}",
        pytest.param("{{range 1}}a{{end}}", marks=words_of_go_1_19),
        "{{range $a, $b, $c := .}}{{end}}",
        "{{range $a, 1 := .}}{{end}}",
        "{{$a, $b := 1}}",
        "{{range .Name}}a{{end}}",
        "{{foo}}",
        "{{$x}}",
        "{{if true}}{{$x := 1}}{{end}}{{$x}}",
        "{{nil}}",
        "{{1 2}}",
        "{{.Name 1}}",
        "{{1 | 2}}",
        "{{1 | .Name}}",
        "{{1 || 2}}",
        "{{| 1}}",
        "{{1 | upper}}",
        "{{1 | (upper)}}",
        '{{"a}}',
        "{{`a}}",
        "{{'a}}",
        "{{'ab'}}",
        '{{"\\q"}}',
        "{{end}}{{break}}{{range .}}",
        "{{end}}{{if .}}{{continue}}{{end}}{{range .}}",
        "{{range .Labels}}{{break 1}}{{end}}",
        "{{upper 1}}",
        "{{upper}}",
        '{{upper "a" "b"}}',
        "{{upper nil}}",
        '{{truncate ($x := "abc") -1}}',
        pytest.param('{{$x := "a"}}{{truncate ($x = "abc" | upper) -1}}', marks=words_of_go_1_19),
        '{{truncate (print (.Name).Foo "a") -1}}',
        "{{truncate (.IPAMOptions).driver -1}}",
        "{{truncate $.Name -1}}",
        '{{1"abcdefghijklmnop"}}',
        "{{1e++3}}",
        "{{--1}}",
        "{{0x1.8p}}",
        "{{index .IPAMOptions nil}}",
        '{{with "abc"}}{{truncate . -1}}{{end}}',
        "{{index .IPAMOptions .Labels.x}}",
        '{{index "abc" nil}}',
        '{{print "a" | pad 1 2}}',
        '{{pad "x" 1 -1}}',
        "{{upper .Labels.foo}}",
        "{{upper .Internal}}",
        '{{join "a" ","}}',
        '{{join .Name ","}}',
        '{{truncate "abc" -1}}',
        '{{truncate "abc" "x"}}',
        '{{truncate "abc" 1.5}}',
        '{{truncate "abc"}}',
        '{{pad "x" -1 1}}',
        "{{printf 1}}",
        "{{printf}}",
        "{{len 3}}",
        "{{len nil}}",
        pytest.param('{{eq 1 "a"}}', marks=words_of_go_1_19),
        "{{eq 1}}",
        "{{eq}}",
        pytest.param("{{eq 1.0 1}}", marks=words_of_go_1_19),
        "{{eq .Labels .Labels}}",
        pytest.param("{{eq .Labels 1}}", marks=words_of_go_1_19),
        pytest.param('{{lt 1 "a"}}', marks=words_of_go_1_19),
        "{{lt true false}}",
        "{{lt nil 1}}",
        "{{not}}",
        "{{and}}",
        '{{index "abc" 3}}',
        '{{index "abc" -1}}',
        '{{index "abc" "a"}}',
        "{{index .IPAMOptions 1}}",
        "{{index 1 1}}",
        "{{index nil 1}}",
        '{{slice "abc" 2 1}}',
        '{{slice "abc" 4}}',
        "{{slice 1 1}}",
        '{{slice "abc" 1 2 3}}',
        "{{(1}}",
        pytest.param("{{1)}}", marks=words_of_go_1_19),
        "{{()}}",
        "{{(.Name).Foo}}",
        "{{nil.Foo}}",
        "{{1.Foo}}",
        '{{"a".Foo}}',
        "{{..}}",
        "{{.Name.}}",
        "{{.Name:1}}",
        "{{$x : 1}}",
        "{{1a}}",
        "{{0x}}",
        "{{1e400}}",
        "{{99999999999999999999}}",
        "{{1 + 2}}",
        "{{a%b}}",
        "{{%}}",
        "{{,}}",
        "{{\x01}}",
        "{{é}}",
        "{{/* a }}",
        "{{/* a */ b}}",
        "{{if .Name}}{{range}}{{end}}",
        "{{else if true}}",
        "{{range .Labels}}{{else if true}}{{end}}",
        "{{with}}{{end}}",
        "{{if true}}a\n{{else}}b\n{{foo",
        "{{\n\nfoo}}",
        "{{.Name\n\n\x01}}",
        '{{print (len 1 | printf "%d" | printf "%s %s abcdefghijklmnopqrst" 1 2) | upper}}',
        "{{$x = 1}}",
        "{{end }} {{ end}}",
        "{{true.x}}",
        "{{=}}",
        "{{:=}}",
        "{{$x :=}}",
        "{{if $x := }}{{end}}",
        "{{.Name | upper 1 | len}}",
        "{{json}}x",
    ],
)
def test_errors_are_gos(template: str, network: Struct) -> None:
    _, expected = podman(template)
    with pytest.raises(TemplateError) as caught:
        ours(template, network)
    assert expected == str(caught.value).splitlines()[0]


def listed(template: str, *options: str) -> str:
    """Return podman's output for its default network only; a machine may have others."""
    only = ("--filter", "name=^podman$")
    return subprocess.run(
        ["podman", "network", "ls", *only, *options, "--format", template], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("noheading", [False, True])
@pytest.mark.parametrize(
    "template",
    [
        "table {{.ID}} {{.Name}}",
        r"table {{.ID}}\t{{.Name}}\t{{.Driver}}",
        r"table {{.ID}}|{{.Name}}\n{{.Driver}}",
        r"table \t{{.ID}}",
        r"table {{.Name}}\t\t{{.Driver}}\t",
        r"table a\tlonger than twelve\tx\nb\ty\nplain\n123456789012345\tc\n",
        r"table a\té\nb",
        r"table one\ttwo\tthree\n1\n1\t2\t3\t4\n\t\t\n1\t2\n",
        only_4('table {{.Name}}{{"\\n"}}x'),
        "table {{.Name}} table {{.ID}}",
        "{{.ID}} {{.Name}}",
        "  table {{.ID}}",
        "table{{.ID}}",
        "TABLE {{.ID}}",
        "table",
        r"{{.ID}}\t{{.Name}}\n",
        r"a\\tb\qc",
        "{{range .}}{{.Name}}{{end}}",
        "{{range.}}{{.Name}};{{end -}} x",
        '{{printf "%q\\n" .Name}}',
        "{{upper .Name}}{{truncate .ID 3}}",
        "",
    ],
)
def test_format_lays_out_as_podman(template: str, noheading: bool, network: Struct) -> None:
    row = Struct(network, ID=network["ID"][:12])
    headers = header_map([*network], {"Name": "name", "ID": "network id"})
    stream = io.StringIO()
    write_format(template, [row], name="ls", headers=headers, stream=stream, noheading=noheading)
    assert listed(template, *(["--noheading"] if noheading else [])) == stream.getvalue()


@pytest.mark.parametrize(
    "template",
    ["json", " json", only_4("{{json .}}"), only_4("{{ json . }}"), "{{json}}", "{{json .ID}}", "{{json .}}x", "JSON"],
)
def test_the_ways_to_ask_for_json(template: str) -> None:
    assert is_json(template) is listed(template).startswith("[")
