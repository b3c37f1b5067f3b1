"""Completion scripts for shells, written whole from the command tree: pressing TAB starts no program of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import click

_BASH = """\
_mutuals() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} path=mutuals words= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path ${{COMP_WORDS[i]}}" in
      {paths}) path="$path ${{COMP_WORDS[i]}}" ;;
    esac
  done
  case "$path" in
{words}
  esac
  # Where an argument is wanted, the shell offers files.
  [[ -n $words ]] && COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o bashdefault -o default -F _mutuals mutuals
"""

_ZSH = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"

_FISH = """\
function __mutuals_at
  set -l path mutuals
  for word in (commandline -opc)[2..-1]
    switch "$path $word"
      case {paths}
        set path "$path $word"
    end
  end
  test "$path" = "$argv[1]"
end
{lines}
"""


def script(shell: str, root: click.Command) -> str:
    """What ``shell`` (bash, zsh, fish) is to read for the commands under ``root``."""
    return _SHELLS[shell](list(_tree(root, "mutuals")))


_Node = tuple[str, click.Command]


def _tree(command: click.Command, path: str) -> Iterator[_Node]:
    yield path, command
    if isinstance(command, click.Group):
        for name, found in command.commands.items():
            if not found.hidden:
                yield from _tree(found, f"{path} {name}")


def _options(command: click.Command) -> list[tuple[str, str]]:
    """The long options with their help."""
    found = command.get_params(click.Context(command))
    return [
        (name, option.help or "")
        for option in found
        if isinstance(option, click.Option)
        for name in option.opts
        if name.startswith("--")
    ]


def _bash(nodes: list[_Node]) -> str:
    paths = "|".join(f'"{path}"' for path, _ in nodes[1:])
    lines = []
    for path, command in nodes:
        options = " ".join(name for name, _ in _options(command))
        names = " ".join(command.commands) if isinstance(command, click.Group) else ""
        lines.append(
            f'    "{path}") if [[ $current == -* ]]; then words="{options}"; else words="{names}"; fi ;;'
        )
    return _BASH.format(paths=paths, words="\n".join(lines))


def _fish(nodes: list[_Node]) -> str:
    lines = []
    for path, command in nodes:
        at = f"complete -c mutuals -n \"__mutuals_at '{path}'\""
        if isinstance(command, click.Group):
            lines += [
                f"{at} -f -a {name} -d {_quoted(found.get_short_help_str(70))}"
                for name, found in command.commands.items()
            ]
        lines += [f"{at} -l {name[2:]} -d {_quoted(text)}" for name, text in _options(command)]
    return _FISH.format(paths=" ".join(f"'{path}'" for path, _ in nodes[1:]), lines="\n".join(lines))


def _quoted(text: str) -> str:
    """For fish, where a backslash counts inside single quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SHELLS: dict[str, Callable[[list[_Node]], str]] = {
    "bash": _bash,
    "zsh": lambda nodes: _ZSH + _bash(nodes),
    "fish": _fish,
}
SHELLS = tuple(_SHELLS)
