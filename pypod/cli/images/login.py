"""login and logout."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.cli.render.asking import hidden_line, shown_line
from pypod.errors import InvalidSpec, PypodError, RegistryError, Unauthorized

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pypod import Registries
    from pypod.cli.flags.parser import Parsed

_AUTHFILE = Flag(
    name="authfile",
    help="path of the authentication file. Use REGISTRY_AUTH_FILE environment variable to override",
)
_COMPAT_AUTHFILE = Flag(
    name="compat-auth-file", help="path of a Docker-compatible config file to update instead of the authentication file"
)
LOGIN = Command(
    path="pypod login",
    summary="Login to a container registry",
    description="Login to a container registry on a specified server.",
    synopsis="[options] [REGISTRY]",
    flags=(
        _AUTHFILE,
        _COMPAT_AUTHFILE,
        Flag(name="cert-dir", help="use certificates at the specified path to access the registry"),
        Flag(name="get-login", kind="bool", help="Return the current login user for the registry"),
        Flag(name="password", short="p", help="Password for registry"),
        Flag(name="password-stdin", kind="bool", help="Take the password from stdin"),
        Flag(name="secret", help="Retrieve password from a podman secret"),
        Flag(
            name="tls-verify",
            kind="bool",
            help="Require HTTPS and verify certificates when contacting registries",
        ),
        Flag(name="username", short="u", help="Username for registry"),
        Flag(name="verbose", short="v", kind="bool", help="Write more detailed information to stdout"),
    ),
    examples=(
        "pypod login quay.io",
        "pypod login -u user --password-stdin quay.io < secret",
        "pypod login quay.io/team",
    ),
    max_args=1,
)
LOGOUT = Command(
    path="pypod logout",
    summary="Logout of a container registry",
    description="Remove the cached username and password for the registry.",
    synopsis="[options] [REGISTRY]",
    flags=(
        Flag(
            name="all",
            short="a",
            kind="bool",
            help="Remove the cached credentials for all registries in the auth file",
        ),
        _AUTHFILE,
        _COMPAT_AUTHFILE,
    ),
    examples=("pypod logout quay.io", "pypod logout --authfile dir/auth.json quay.io", "pypod logout --all"),
    max_args=1,
)


def run_login(options: Parsed, root: str | None) -> int:
    """Carry out ``pypod login``."""
    from pypod import Registries
    from pypod.cli.flags.registry import access_with

    access = access_with(options, cert_dir=options["cert-dir"]).replace(retries=0, **_file(options))
    registries = Registries(access)
    key = _key(options.positionals, registries)
    stored = registries.credentials(key)
    user, password = ("", "") if stored is None else (stored.user, stored.password)
    if options["get-login"]:
        if not user:
            raise InvalidSpec("registry", f"not logged into {key}")
        print(user)
        return 0
    if stored is not None and stored.identity_token:
        raise InvalidSpec("registry", "currently logged in, auth file contains an Identity token")
    given = _password_from_stdin(options) if options["password-stdin"] else options["password"]
    name = options["username"]
    if options["secret"]:
        given, name = _password_from_secret(options, root), name or options["secret"]
    if not name and not given and user and password and _still_valid(registries, key, user, password):
        return 0
    user, password = _ask(name, given, known=user)
    try:
        where = registries.login(key, user, password)
    except Unauthorized as error:
        raise InvalidSpec("registry", f'logging into "{key}": invalid username/password') from error
    except RegistryError as error:
        error.message = f'authenticating creds for "{key}": {error.message}'
        raise
    if options["verbose"]:
        print("Used: ", where)
    print("Login Succeeded!")
    return 0


def run_logout(options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod logout``."""
    from pypod import Access, Registries

    registries = Registries(Access(**_file(options)))
    registries.require_authfile()
    if options["all"]:
        if options.positionals:
            raise UsageError("pypod logout", "--all takes no arguments")
        registries.logout_all()
        print("Removed login credentials for all registries")
        return 0
    key = _key(options.positionals, registries)
    if not registries.logout(key):
        other = registries.credentials(key, exact=True)
        hint = "another tool's file has credentials for it: use that tool's logout" if other is not None else ""
        raise InvalidSpec("registry", f"not logged into {key}", hint=hint)
    print(f"Removed login credentials for {key}")
    return 0


def _file(options: Parsed) -> dict[str, Any]:
    """Return the options of ``Access`` for the file that logins are stored in."""
    other = options["compat-auth-file"]
    if other and options["authfile"]:
        words = "options for paths to the credential file and to the Docker-compatible credential file"
        raise InvalidSpec("--compat-auth-file", f"{words} can not be set simultaneously")
    return {"authfile": other or options["authfile"], "docker_form": bool(other)}


def _key(positionals: list[str], registries: Registries) -> str:
    """Return the name under which credentials are stored: a host, or a namespace on it."""
    from pypod.model.images.reference import check_domain, parse

    if not positionals:
        if not registries.unqualified:
            raise InvalidSpec("registry", "no registries found in registries.conf, a registry must be provided")
        return registries.unqualified[0]
    text = positionals[0]
    bare = text.removeprefix("https://").removeprefix("http://")
    if bare != text:  # a URL, whose path is not a namespace
        bare = bare.partition("/")[0]
    domain, slash, _ = bare.partition("/")
    check_domain(domain)
    if slash:
        try:
            reference = parse(bare)
        except InvalidSpec as error:
            form = "invalid reference format"
            reason = error.message if error.message == form else f"{form}: {error.message}"
            raise InvalidSpec("registry", f'parse reference from "{bare}": {reason}') from error
        if reference.tag or reference.digest:
            raise InvalidSpec("registry", f"key {bare} contains a tag or digest")
        if domain != reference.domain:
            raise InvalidSpec("registry", f"key {bare} registry mismatch: {domain} is not a registry")
    return bare


def _password_from_stdin(options: Parsed) -> str:
    if options["password"]:
        raise UsageError("pypod login", "Can't specify both --password-stdin and --password")
    if not options["username"]:
        raise UsageError("pypod login", "Must provide --username with --password-stdin")
    return "".join(line.rstrip("\r\n") for line in sys.stdin)


def _password_from_secret(options: Parsed, root: str | None) -> str:
    from pypod.api.engine import Engine

    for flag in ("password", "password-stdin"):
        if options[flag]:
            raise UsageError("pypod login", f"--{flag} can not be used with --secret options")
    with Engine(root) as engine:
        try:
            return engine.secrets.get(options["secret"]).content().decode()
        except UnicodeDecodeError as error:
            raise InvalidSpec("--secret", f"secret {options['secret']} is not text") from error


def _still_valid(registries: Registries, key: str, user: str, password: str) -> bool:
    print(f"Authenticating with existing credentials for {key}")
    try:
        registries.verify(key, user, password)
    except PypodError:
        print("Existing credentials are invalid, please enter valid username and password")
        return False
    print(f"Existing credentials are valid. Already logged in to {key.partition('/')[0]}")
    return True


def _ask(user: str, password: str, *, known: str) -> tuple[str, str]:
    """Return user name and password; prompt for missing ones. Raises InvalidSpec when there is no answer."""
    failure = "getting username and password: reading"
    if not user:
        prompt = f"Username ({known}): " if known else "Username: "
        user = shown_line(prompt, "username", f"{failure} username") or known
    if not password:
        password = hidden_line("Password: ", "password", f"{failure} password")
    return user.strip(), password
