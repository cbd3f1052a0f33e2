"""completion: scripts that let a shell ask ``pypod __complete`` what a word may become."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag
from pypod.errors import InvalidSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed

COMPLETION = Command(
    path="pypod completion",
    summary="Generate shell autocompletions",
    description="Generate shell autocompletions.\n  Valid arguments are bash, zsh, fish, and powershell.\n\n"
    "  bash, for this shell: source <(pypod completion bash)\n"
    "  bash, for all: pypod completion -f /etc/bash_completion.d/pypod bash\n"
    '  zsh: pypod completion -f "${fpath[1]}/_pypod" zsh\n'
    "  fish: pypod completion -f ~/.config/fish/completions/pypod.fish fish\n"
    "  powershell: pypod completion powershell | Out-String | Invoke-Expression",
    synopsis="[options] {bash|zsh|fish|powershell}",
    flags=(
        Flag(name="file", short="f", help="Output the completion to file rather than stdout"),
        Flag(name="no-desc", kind="bool", help="Don't include descriptions in the completion output"),
    ),
    examples=("pypod completion bash", "pypod completion zsh -f _pypod", "pypod completion fish --no-desc"),
    min_args=1,
    max_args=1,
)
# In each script, the last line of the answer is a colon and a sum: 2 no space follows, 4 no files are offered.
_BASH = """\
# bash completion for pypod                                    -*- shell-script -*-

_pypod()
{
    local cur answer line value shown directive last= words=() candidates=()
    COMPREPLY=()
    # bash has split the words at each "=" and ":": join them again
    for line in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        if [[ ${#words[@]} -gt 1 && ( $line == [=:]* || $last == *[=:] ) && $last != "" ]]; then
            words[-1]+=$line
        else
            words+=("$line")
        fi
        last=$line
    done
    cur=${words[-1]}
    unset 'words[-1]'
    answer=$(command "${words[0]/#\\~/$HOME}" @COMPLETE@ "${words[@]:1}" "$cur" 2>/dev/null) || return
    directive=${answer##*:}
    [[ $directive == [0-9] ]] || return
    # after "--flag=" only the value is completed; of a value with a colon only what follows it
    value=$cur
    [[ $value == -*=* ]] && value=${value#*=}
    local before=
    [[ $COMP_WORDBREAKS == *:* && $value == *:* ]] && before=${value%"${value##*:}"}
    [[ $COMP_WORDBREAKS == *=* && $value == *=* ]] && before=${value%"${value##*=}"}
    while IFS= read -r line; do
        [[ $line == :[0-9] || ${line%%$'\\t'*} != "$value"* ]] || candidates+=("${line#"$before"}")
    done <<< "$answer"
    for line in "${candidates[@]}"; do
        shown=${line%%$'\\t'*}
        # a list that is only shown, after a second tab, has the descriptions
        if [[ $COMP_TYPE == 63 && ${#candidates[@]} -gt 1 && $line == *$'\\t'* ]]; then
            shown="$shown  (${line#*$'\\t'})"
        fi
        COMPREPLY+=("$shown")
    done
    if (( directive & 2 )); then compopt -o nospace; fi
    if (( directive & 4 )); then compopt +o default; fi
}
complete -o default -F _pypod pypod
"""
_ZSH = """\
#compdef pypod
# zsh completion for pypod

_pypod()
{
    local answer line directive current
    local -a lines candidates options
    current=${words[CURRENT]}
    answer=$(${words[1]} @COMPLETE@ "${(@)words[2,CURRENT-1]}" "$current" 2>/dev/null) || return
    lines=("${(@f)answer}")
    directive=${lines[-1]#:}
    [[ $directive == <-> ]] || return
    lines[-1]=()
    for line in $lines; do
        if [[ $line == *$'\\t'* ]]; then
            candidates+=("${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}")
        else
            candidates+=("${line//:/\\\\:}")
        fi
    done
    [[ $current == -*=* ]] && compset -P '*='
    (( directive & 2 )) && options+=(-S '')
    if (( $#candidates )); then
        _describe -V 'pypod' candidates $options && return
    fi
    (( directive & 4 )) || _files
}

# sourced, or loaded from fpath
if [[ $funcstack[1] == _pypod ]]; then
    _pypod "$@"
else
    compdef _pypod pypod
fi
"""
_FISH = """\
# fish completion for pypod

function __pypod_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l answer (command $words[1] @COMPLETE@ $words[2..-1] "$current" 2>/dev/null)
    set -l directive (string replace -r '^:' '' -- $answer[-1])
    string match -qr '^[0-9]$' -- "$directive"; or return
    set -l flag ''
    if string match -qr '^-.*=' -- "$current"
        set flag (string replace -r '=.*' '=' -- "$current")
    end
    if test (count $answer) -gt 1
        for line in $answer[1..-2]
            echo -- $flag$line
        end
    else if test (math "floor($directive / 4) % 2") -eq 0
        __fish_complete_path "$current"
    end
end

complete -c pypod -e
complete -c pypod -f -a '(__pypod_complete)'
"""
_POWERSHELL = """\
# powershell completion for pypod

Register-ArgumentCompleter -Native -CommandName 'pypod' -ScriptBlock {
    param($WordToComplete, $CommandAst, $CursorPosition)
    $Words = @($CommandAst.CommandElements | Where-Object { $_.Extent.StartOffset -lt $CursorPosition } |
        ForEach-Object { $_.ToString() })
    $Program = $Words[0]
    $Before = @($Words | Select-Object -Skip 1)
    if ($WordToComplete -ne '' -and $Before.Count -gt 0) {
        $Before = @($Before | Select-Object -SkipLast 1)
    }
    $Answer = @(& $Program @COMPLETE@ @Before "$WordToComplete" 2>$null)
    if ($Answer.Count -lt 2) { return }
    $Directive = [int]($Answer[-1].Substring(1))
    $Flag = ''
    if ($WordToComplete -like '-*=*') {
        $Flag = $WordToComplete.Substring(0, $WordToComplete.IndexOf('=') + 1)
    }
    foreach ($Line in $Answer[0..($Answer.Count - 2)]) {
        $Value, $Text = $Line -split "`t", 2
        if (-not $Text) { $Text = $Value }
        $Space = ' '
        if ($Directive -band 2) { $Space = '' }
        [System.Management.Automation.CompletionResult]::new("$Flag$Value$Space", $Value, 'ParameterValue', $Text)
    }
}
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH, "powershell": _POWERSHELL}


def run_completion(options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod completion``."""
    shell = options.positionals[0]
    if shell not in _SCRIPTS:
        from pypod.cli.go.strconv import quote

        raise InvalidSpec("SHELL", f'invalid argument {quote(shell)} for "pypod completion"')
    script = _SCRIPTS[shell].replace("@COMPLETE@", "__completeNoDesc" if options["no-desc"] else "__complete")
    if not options["file"]:
        sys.stdout.write(script)
        return 0
    try:
        with open(options["file"], "w", encoding="utf-8") as file:
            file.write(script)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise InvalidSpec("--file", f"open {options['file']}: {reason}") from error
    return 0
