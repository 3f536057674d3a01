"""The accounts of a cluster in a folder: keys, credentials of its members, the server's part.

DIR/<name>.creds      for one member, to be brought to its machine
DIR/accounts.conf     for the server's configuration; holds no secret
DIR/owner/            keys that make members, and who was shut out; stays where it is
"""

import json
import os
import time
from collections.abc import Iterable, Mapping, Set
from pathlib import Path

from attrs import evolve, field, frozen

from callboard.cluster.errors import ClusterError
from callboard.cluster.identity import (
    Holder,
    Key,
    claim,
    credentials,
    new_key,
    read_identity,
    read_key,
)
from callboard.cluster.permissions import KINDS, Kind, covers, local, offered, permissions
from callboard.cluster.records import NAME

_ACCOUNTS = ("leaders", "workers", "users", "system")
_ACCOUNT_OF: Mapping[Kind, str] = {"leader": "leaders", "worker": "workers", "user": "users"}
_OWNER = "owner"
_CONFIGURATION = "accounts.conf"
_SHUT_OUT = "shut-out.json"
_MEMBER_LIMITS = dict.fromkeys(("subs", "data", "payload"), -1)
_UNLIMITED = ("subs", "data", "payload", "imports", "exports", "conn", "leaf")
_STORED = ("mem_storage", "disk_storage", "streams", "consumer")
_ANSWER_NS = 60 * 1_000_000_000
_OWN_NAME = "{{name()}}"
"""In the permissions of a kind, the server puts the member's name here."""


@frozen
class Made:
    """What was written.

    Attributes:
        members: The credentials files that are new, by the members' names.
        configuration: What the server's configuration includes.
        shut_out: The names of those whose credentials are void from now on.
    """

    members: Mapping[str, Path]
    configuration: Path
    shut_out: tuple[str, ...]


@frozen
class _Owner:
    """Who decides about the accounts.

    Attributes:
        operator: The key that the servers trust.
        accounts: The accounts' keys.
        kinds: The key with which members of each kind are made; what these may do is said of it
            in the account, so it may change without new credentials.
        shut_out: When members were shut out, by account and public key.
    """

    operator: Key
    accounts: Mapping[str, Key]
    kinds: Mapping[Kind, Key]
    shut_out: Mapping[str, Mapping[str, int]] = field(factory=dict[str, Mapping[str, int]])


def make_accounts(
    folder: Path,
    members: Iterable[tuple[Kind, str]],
    shut_out: Iterable[str] = (),
    *,
    at_s: int | None = None,
) -> Made:
    """Make accounts in a folder, or members of those that are there.

    Whoever is a member already stays as he is, so the same call may be given again.

    Args:
        folder: Is made when it isn't there.
        members: Kind and name of each.
        shut_out: Names of members whose credentials are to be void; another of the same name can
            be made later.
        at_s: Seconds of the calendar, for tests; now.

    Raises:
        ClusterError: A name can't be used, nobody has that name, or a file can't be written.
    """
    wanted = list(members)
    _check(wanted)
    now_s = int(time.time()) if at_s is None else at_s  # a date in signed claims, as NATS has it
    try:
        folder.mkdir(parents=True, exist_ok=True)
        owner = _open_owner(folder)
        gone = tuple(shut_out)
        owner = _shut_out(folder, owner, gone, now_s)
        made = dict(_make_members(folder, owner, wanted, now_s))
        configuration = folder / _CONFIGURATION
        _write(configuration, _configuration(owner, now_s), 0o644)
    except OSError as error:
        where = error.filename or folder
        text = f"the accounts can't be written: {where}: {error.strerror}"
        raise ClusterError("CB280", text, "name a folder that you may write to") from error
    return Made(made, configuration, gone)


def _check(members: Iterable[tuple[Kind, str]]) -> None:
    seen = set[str]()
    for _, name in members:
        if not NAME.fullmatch(name):
            text = f"{name!r} is no name of a member"
            raise ClusterError("CB280", text, "use letters, digits, `-` and `_`, at most 64")
        if name in seen:
            raise ClusterError("CB280", f"two members are called {name!r}", "call one otherwise")
        seen.add(name)


def _make_members(
    folder: Path, owner: _Owner, members: Iterable[tuple[Kind, str]], at_s: int
) -> Iterable[tuple[str, Path]]:
    for kind, name in members:
        path = folder / f"{name}.creds"
        if path.exists():
            _expect(path, kind)
            continue
        key = new_key("user")
        account = owner.accounts[_ACCOUNT_OF[kind]]
        about = {"type": "user", "tags": [kind], "issuer_account": account.public}
        claims = claim(owner.kinds[kind], key.public, name, about, at_s)
        _write(path, credentials(claims, key, name), 0o600)
        yield name, path


def _expect(path: Path, kind: Kind) -> None:
    """Raise ClusterError when the credentials that are there are of another kind."""
    found = read_identity(path)
    if found.kind != kind:
        text = f"{found.name} is a member already, and no {kind}"
        cure = f"call it otherwise, or shut it out first: --shut-out {found.name}"
        raise ClusterError("CB280", text, cure)


def _scope(owner: _Owner, kind: Kind) -> dict[str, object]:
    """What all members of a kind may do."""
    may = permissions(kind, _OWN_NAME)
    template: dict[str, object] = {
        "pub": {"allow": list(may.publish)},
        "sub": {"allow": list(may.subscribe)},
        **_MEMBER_LIMITS,
    }
    if may.answers:
        template["resp"] = {"max": 1, "ttl": _ANSWER_NS}
    return {
        "kind": "user_scope",
        "key": owner.kinds[kind].public,
        "role": kind,
        "template": template,
    }


def _account(owner: _Owner, account: str) -> dict[str, object]:
    stores = account == "leaders"
    limits = {
        **dict.fromkeys(_UNLIMITED, -1),
        **dict.fromkeys(_STORED, -1 if stores else 0),
        "wildcards": True,
    }
    claims: dict[str, object] = {"type": "account", "limits": limits}
    if stores:
        claims["exports"] = list(_exports())
    for kind in (kind for kind, of in _ACCOUNT_OF.items() if of == account):
        claims["imports"] = list(_imports(kind, owner.accounts["leaders"].public))
        claims["signing_keys"] = [_scope(owner, kind)]
    if owner.shut_out.get(account):
        claims["revocations"] = dict(owner.shut_out[account])
    return claims


def _exports() -> Iterable[dict[str, object]]:
    taken = [offered(kind) for kind in KINDS]
    for subject in _widest({subject for each in taken for subject in each.requests}):
        # Some requests have many answers; the server forgets who asked once they have come.
        yield {"name": subject, "subject": subject, "type": "service", "response_type": "Stream"}
    for subject in _widest({subject for each in taken for subject in each.deliveries}):
        yield {"name": subject, "subject": subject, "type": "stream"}


def _widest(names: Set[str]) -> list[str]:
    """Those subjects that no other one covers: an account offers nothing twice."""
    return sorted(
        each for each in names if not any(covers(other, each) for other in names - {each})
    )


def _imports(kind: Kind, leaders: str) -> Iterable[dict[str, object]]:
    taken = offered(kind)
    for subject in taken.requests:
        yield {
            "name": subject,
            "subject": subject,
            "local_subject": local(subject),
            "account": leaders,
            "type": "service",
        }
    for subject in taken.deliveries:
        yield {"name": subject, "subject": subject, "account": leaders, "type": "stream"}


def _configuration(owner: _Owner, at_s: int) -> str:
    system = owner.accounts["system"].public
    operator = claim(
        owner.operator,
        owner.operator.public,
        "callboard",
        {"type": "operator", "system_account": system},
        at_s,
    )
    lines = [
        "# Made by `callboard cluster accounts`, which writes it anew; include it, don't edit it.",
        f'operator: "{operator}"',
        "resolver: MEMORY",
        "resolver_preload {",
    ]
    for name, key in owner.accounts.items():
        claims = claim(owner.operator, key.public, name, _account(owner, name), at_s)
        lines.append(f'  {key.public}: "{claims}" # {name}')
    return "\n".join([*lines, "}", ""])


def _open_owner(folder: Path) -> _Owner:
    private = folder / _OWNER
    private.mkdir(mode=0o700, exist_ok=True)
    operator = _open_key(private / "operator.seed", "operator")
    accounts = {name: _open_key(private / f"{name}.seed", "account") for name in _ACCOUNTS}
    kinds = {kind: _open_key(private / f"{kind}.seed", "account") for kind in KINDS}
    shut_out = private / _SHUT_OUT
    try:
        known = json.loads(shut_out.read_text()) if shut_out.exists() else {}
    except ValueError as error:
        text = f"{shut_out} can't be understood"
        raise ClusterError("CB280", text, "restore it, or make the accounts anew") from error
    return _Owner(operator, accounts, kinds, known)


def _open_key(path: Path, holder: Holder) -> Key:
    if not path.exists():
        key = new_key(holder)
        _write(path, key.seed + "\n", 0o600)
        return key
    try:
        return read_key(path.read_text().strip())
    except ValueError as error:
        text = f"{path} can't be understood: {error}"
        raise ClusterError("CB280", text, "restore it, or make the accounts anew") from error


def _shut_out(folder: Path, owner: _Owner, names: Iterable[str], at_s: int) -> _Owner:
    known = {account: dict(keys) for account, keys in owner.shut_out.items()}
    for name in names:
        path = folder / f"{name}.creds"
        if not NAME.fullmatch(name) or not path.exists():
            text = f"nobody here is called {name!r}: there is no {path}"
            raise ClusterError("CB280", text, "name a member whose credentials were made here")
        found = read_identity(path)
        if kind := found.kind:
            known.setdefault(_ACCOUNT_OF[kind], {})[found.public] = at_s
        _write(folder / _OWNER / _SHUT_OUT, json.dumps(known, indent=2) + "\n", 0o600)
        path.unlink()
    return evolve(owner, shut_out=known)


def _write(path: Path, text: str, mode: int) -> None:
    """Write a file whole or not at all, which nobody else could read for a moment."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
    beside.replace(path)
