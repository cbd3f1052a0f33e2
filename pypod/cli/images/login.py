"""login and logout."""

from __future__ import annotations

import sys

from pypod.cli.flags.parser import Command, Flag, UsageError
from pypod.cli.render.asking import hidden_line, shown_line
from pypod.errors import InvalidSpec, PypodError, RegistryError, Unauthorized

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pypod.cli.flags.parser import Parsed
    from pypod.images.config.registries import Registries
    from pypod.images.registry.access import Access
    from pypod.model.credentials import Credentials

_AUTHFILE = Flag(
    name="authfile",
    help="path of the authentication file. Use REGISTRY_AUTH_FILE environment variable to override",
)
LOGIN = Command(
    path="pypod login",
    summary="Login to a container registry",
    description="Login to a container registry on a specified server.",
    synopsis="[options] [REGISTRY]",
    flags=(
        _AUTHFILE,
        Flag(name="cert-dir", help="use certificates at the specified path to access the registry"),
        Flag(name="get-login", kind="bool", help="Return the current login user for the registry"),
        Flag(name="password", short="p", help="Password for registry"),
        Flag(name="password-stdin", kind="bool", help="Take the password from stdin"),
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
    ),
    examples=("pypod logout quay.io", "pypod logout --authfile dir/auth.json quay.io", "pypod logout --all"),
    max_args=1,
)


def run_login(options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod login``."""
    from pypod.cli.images.pull import access_with
    from pypod.images.config import credentials
    from pypod.images.config.registries import load
    from pypod.model.credentials import Credentials

    registries = load()
    key, domain = _key(options.positionals, registries)
    authfile = options["authfile"]
    stored = credentials.get(key, authfile)
    if options["get-login"]:
        if stored is None or not stored.user:
            raise InvalidSpec("registry", f"not logged into {key}")
        print(stored.user)
        return 0
    if stored is not None and stored.identity_token:
        raise InvalidSpec("registry", "currently logged in, auth file contains an Identity token")
    access = access_with(options, cert_dir=options["cert-dir"])
    password = _password_from_stdin(options) if options["password-stdin"] else options["password"]
    if not options["username"] and not password and _still_valid(key, domain, stored, access, registries):
        return 0
    user, password = _ask(options["username"], password, stored)
    try:
        _check(domain, user, password, access, registries)
    except Unauthorized as error:
        raise InvalidSpec("registry", f'logging into "{key}": invalid username/password') from error
    except RegistryError as error:
        error.message = f'authenticating creds for "{key}": {error.message}'
        raise
    where = credentials.login(key, Credentials(user=user, password=password), authfile)
    if options["verbose"]:
        print("Used: ", where)
    print("Login Succeeded!")
    return 0


def run_logout(options: Parsed, _root: str | None) -> int:
    """Carry out ``pypod logout``."""
    from pypod.images.config import credentials

    authfile = options["authfile"]
    credentials.check_authfile(authfile)
    if options["all"]:
        if options.positionals:
            raise UsageError("pypod logout", "--all takes no arguments")
        credentials.logout_all(authfile)
        print("Removed login credentials for all registries")
        return 0
    from pypod.images.config.registries import load

    key, _ = _key(options.positionals, load())
    if not credentials.logout(key, authfile):
        other = credentials.get(key, authfile, exact=True)
        hint = "another tool's file has credentials for it: use that tool's logout" if other is not None else ""
        raise InvalidSpec("registry", f"not logged into {key}", hint=hint)
    print(f"Removed login credentials for {key}")
    return 0


def _key(positionals: list[str], registries: Registries) -> tuple[str, str]:
    """Return the name under which credentials are kept (a host, or a namespace on it) and the host."""
    from pypod.model.reference import check_domain, parse

    if not positionals:
        if not registries.search:
            raise InvalidSpec("registry", "no registries found in registries.conf, a registry must be provided")
        return registries.search[0], registries.search[0]
    text = positionals[0]
    bare = text.removeprefix("https://").removeprefix("http://")
    if bare != text:  # an address, whose path is not a namespace
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
    return bare, domain


def _password_from_stdin(options: Parsed) -> str:
    if options["password"]:
        raise UsageError("pypod login", "Can't specify both --password-stdin and --password")
    if not options["username"]:
        raise UsageError("pypod login", "Must provide --username with --password-stdin")
    return "".join(line.rstrip("\r\n") for line in sys.stdin)


def _still_valid(key: str, domain: str, stored: Credentials | None, access: Access, registries: Registries) -> bool:
    if stored is None or not stored.user or not stored.password:
        return False
    print(f"Authenticating with existing credentials for {key}")
    try:
        _check(domain, stored.user, stored.password, access, registries)
    except PypodError:
        print("Existing credentials are invalid, please enter valid username and password")
        return False
    print(f"Existing credentials are valid. Already logged in to {domain}")
    return True


def _check(domain: str, user: str, password: str, access: Access, registries: Registries) -> None:
    from pypod.images.registry.catalogue import check_login

    check_login(domain, user, password, access, registries)


def _ask(user: str, password: str, stored: Credentials | None) -> tuple[str, str]:
    """Return user name and password, asked for where they are missing. Raises InvalidSpec when nobody answers."""
    known = stored.user if stored is not None else ""
    failure = "getting username and password: reading"
    if not user:
        prompt = f"Username ({known}): " if known else "Username: "
        user = shown_line(prompt, "username", f"{failure} username") or known
    if not password:
        password = hidden_line("Password: ", "password", f"{failure} password")
    return user.strip(), password
