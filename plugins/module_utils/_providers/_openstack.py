# Copyright (c) 2026, Restorable Backups contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: no promise of stability is made to others.
"""Where the token and the addresses of an OpenStack cloud come from: one token request for a whole run.

What a request brought is noted in the run's own private folder, where the processes of the other hosts find it. They
need no OpenStack library then, which takes longer to load than a list of backups takes to arrive.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import threading
import time
import traceback
import warnings
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import chain
from typing import Optional
from urllib.parse import urlsplit

from .._errors import ApiError, AuthError, BackupError, MissingLibraryError, OptionError, UnavailableError
from .._http import HttpClient, check_url, patience, retry_after
from .._options import secrets_in

# A token is renewed when less than this is left of it; downloads want more, as they go on for a while.
MARGIN = 60
# A refused credential is not tried again within this time: services lock accounts for that.
_REFUSED_FOR = 60
_ENVIRONMENT_LOCK = threading.Lock()


@dataclass(frozen=True)
class Grant:
    """What one token request brings, with all that later calls need. Times are seconds of this machine's clock.

    ``catalog`` holds dicts of type, region, interface and url; ``overrides`` addresses by service type that stand in
    for it. ``region`` and ``interface`` are those wanted of the endpoints, None for any region and the public ones.
    """

    token: str
    expires: float
    obtained: float
    catalog: list
    region: Optional[str] = None
    interface: Optional[str] = None
    overrides: dict = field(default_factory=dict)
    validate_certs: bool = True
    ca_path: Optional[str] = None
    client_cert: Optional[list] = None

    def usable(self, seconds, now):
        """Whether it is good for that long; of tokens that never live so long, half of their life is enough."""
        return now < self.expires - min(seconds, (self.expires - self.obtained) / 2)


def endpoint_of(grant, service_type):
    """The address of a service. Raises ApiError where the catalog has none, OptionError where it has several."""
    if service_type in grant.overrides:
        return grant.overrides[service_type].rstrip("/")
    interface = grant.interface or "public"
    entries = [entry for entry in grant.catalog if entry["type"] == service_type]
    found = {
        entry["region"]: entry["url"]
        for entry in entries
        if entry["interface"] == interface and grant.region in (None, entry["region"])
    }
    if len(found) == 1:
        return next(iter(found.values())).rstrip("/")
    if found:
        regions = ", ".join(sorted(map(str, found)))
        raise OptionError(
            "region_name", "the catalog has %s in several regions, name one: %s" % (service_type, regions)
        )
    if entries:
        instead = "it has this service as: " + ", ".join("%s in %s" % (e["interface"], e["region"]) for e in entries)
    elif grant.catalog:
        instead = "it has: " + ", ".join(sorted({entry["type"] for entry in grant.catalog}))
    else:
        instead = "it is empty: is a project named?"
    raise ApiError(
        "The catalog of the cloud has no endpoint of type %s, interface %s, region %s; %s"
        % (service_type, interface, grant.region or "any", instead),
        code="no_endpoint",
    )


class CloudAccess:
    """The credential of HttpClient for the services of one account, and where these are. Asks nothing until it must.

    ``identity`` tells what account this is and asks for a token: its ``key`` is a text that differs between accounts
    and ways to ask, its ``log_in()`` gives a Grant or raises a BackupError. Several threads may share one object.
    """

    header_name = "X-Auth-Token"

    def __init__(self, identity, params, around, sleep=time.sleep):
        self._identity, self._params, self._hide, self._sleep = identity, params, around.hide, sleep
        self._lock = threading.Lock()
        self._grant = None
        self._shared = None
        if around.private_dir is not None:
            name = hashlib.sha256(identity.key.encode("utf-8")).hexdigest()
            self._shared = _SharedNote(os.path.join(around.private_dir, "tokens"), name)

    def header(self):
        """The header that carries the token."""
        return self.header_name, self.grant().token

    def renew(self, stale):
        """Have another token than ``stale``, which a service refused; False where there is none."""
        return self.grant(stale=stale).token != stale

    def endpoint(self, service_type):
        """The address of a service, without a slash at its end."""
        url = endpoint_of(self.grant(), service_type)
        check_url("allow_http", url, self._params["allow_http"])
        return url

    def client(self, service_type, problem_of):
        """An HttpClient for a service, with this token and the TLS settings that go with it."""
        grant = self.grant()
        return HttpClient(
            self.endpoint(service_type),
            self,
            timeout=self._params["api_timeout"],
            retries=self._params["api_retries"],
            validate_certs=grant.validate_certs,
            ca_path=grant.ca_path,
            client_cert=grant.client_cert and tuple(grant.client_cert),
            problem_of=problem_of,
            sleep=self._sleep,
        )

    def grant(self, seconds=MARGIN, stale=None):
        """The Grant of this run, asked for where there is none good for ``seconds``, or only the ``stale`` one."""

        def good(grant):
            return grant is not None and grant.token != stale and grant.usable(seconds, time.time())

        with self._lock:
            if not good(self._grant):
                obtain = self._log_in if self._shared is None else lambda: self._shared.find(good, self._log_in)
                self._grant = obtain()
                self._hide(self._grant.token)
            return self._grant

    def _log_in(self):
        """Ask for a token. To ask again is safe, as this changes nothing."""
        retries = self._params["api_retries"]
        for attempt in range(retries + 1):
            try:
                return self._identity.log_in()
            except UnavailableError as error:
                if attempt == retries:
                    raise
                self._sleep(patience(error, error.details.get("retry_after"), attempt))


class _SharedNote:
    """The Grant, or why there is none, in a file that the processes of a run share.

    It saves token requests, and no more: where the folder cannot be used, each process asks for a token of its own.
    """

    def __init__(self, folder, name):
        self._folder, self._path = folder, os.path.join(folder, name + ".json")

    def find(self, good, log_in):
        """The noted Grant if it is ``good``, else a new one; of processes that come at once, one asks for it."""
        grant = self._read()[0]
        if good(grant):
            return grant
        came = time.time()
        with self._locked():
            grant, failure, when = self._read()
            if good(grant):
                return grant
            # Somebody asked while we waited here, or has just been refused.
            patience = _REFUSED_FOR if isinstance(failure, AuthError) else 0
            if failure and when >= came - patience:
                raise failure
            try:
                grant = log_in()
            except (AuthError, UnavailableError) as error:
                self._write({"failure": dict(error.to_failure(), kind=type(error).__name__), "when": time.time()})
                raise
            self._write({"grant": asdict(grant), "when": time.time()})
            return grant

    @contextmanager
    def _locked(self):
        import fcntl

        with ExitStack() as stack:
            with suppress(OSError):
                os.makedirs(self._folder, mode=0o700, exist_ok=True)
                handle = os.open(self._path + ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
                stack.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _read(self):
        """(Grant or None, error or None, when it was noted). What cannot be read is as good as nothing."""
        try:
            with open(self._path, encoding="utf-8") as handle:
                noted = json.load(handle)
            if "grant" in noted:
                return Grant(**noted["grant"]), None, noted["when"]
            failure = noted["failure"]
            kind = {"AuthError": AuthError, "UnavailableError": UnavailableError}[failure["kind"]]
            return None, kind(failure["message"], code=failure["code"], **failure["details"]), noted["when"]
        except (OSError, ValueError, KeyError, TypeError):
            return None, None, 0.0

    def _write(self, noted):
        temporary = "%s.%d" % (self._path, os.getpid())
        try:
            handle = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(noted, file)
            os.replace(temporary, self._path)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary)


class OpenStackIdentity:
    """Keystone, as openstacksdk's configuration describes it: options, clouds.yaml and OS_* variables."""

    # The service types whose addresses clouds.yaml may override.
    services = ("database", "object-store")

    def __init__(self, params, around):
        self._params = params
        self._environment = around.environment
        self._hide = around.hide
        # The cloud as a whole, None where it is known by its name or by options and variables.
        self._whole = params["cloud"] if isinstance(params["cloud"], dict) else None
        if self._whole is not None:
            for option in ("auth", "auth_type"):
                if params[option] is not None:
                    raise OptionError(option, "is part of cloud already, which is given as a dict: put it there")
            self._hide_secrets(self._whole)
        elif params["cloud"] is not None and not isinstance(params["cloud"], str):
            raise OptionError("cloud", "must be the name of a cloud in clouds.yaml, or a dict as it stands there")
        self._hide_secrets({name: text for name, text in around.environment.items() if name.startswith("OS_")})

    @property
    def key(self):
        """Everything that chooses the account, and how it is asked for."""
        options = ["cloud", "auth", "auth_type", "region_name", "interface"]
        options += ["validate_certs", "ca_path", "client_cert", "client_key"]
        files = []
        for path in chain(*config_files(self._environment)):
            try:
                about = os.stat(path)
            except OSError:
                continue
            files.append((path, about.st_mtime_ns, about.st_size))
        variables = sorted(item for item in self._environment.items() if item[0].startswith("OS_"))
        given = [self._params[name] for name in options]
        return json.dumps([given, variables, files], sort_keys=True, default=str)

    @property
    def address(self):
        """What tells this account from another, as far as it is known without asking; no secret."""
        cloud = self._params["cloud"]
        if cloud is None and self._params["auth"] is None:
            cloud = self._environment.get("OS_CLOUD") or None
        if isinstance(cloud, str):
            place = "cloud:" + cloud
        else:
            auth = self._params["auth"] if cloud is None else cloud.get("auth")
            place = _place(auth or {}, self._environment if cloud is None else {})
        region = self._params["region_name"] or (cloud.get("region_name") if isinstance(cloud, dict) else None)
        return "openstack#%s#%s" % (place, region or self._environment.get("OS_REGION_NAME") or "")

    def log_in(self):
        with _quiet():
            cloud = self._configuration()
            auth = cloud.get_auth()
            verify, cert = cloud.get_requests_verify_args()
            option = "auth" if self._params["cloud"] is None else "cloud"
            auth_url = str((cloud.config.get("auth") or {}).get("auth_url") or "")
            if auth_url:
                check_url(option, auth_url, self._params["allow_http"])
            if not hasattr(auth, "get_access"):
                raise OptionError("auth_type", "%s gives no catalog of services" % cloud.config.get("auth_type"))
            for path in (verify, *((cert,) if isinstance(cert, str) else cert or ())):
                if isinstance(path, str) and not os.path.exists(path):
                    raise OptionError(option, "it names %s, which does not exist on the controller" % path)
            access = ask_keystone(auth, verify, cert, self._params, option, auth_url)
        interface = cloud.get_interface(self.services[0])
        overrides = {kind: cloud.get_endpoint(kind) for kind in self.services}
        return Grant(
            region=cloud.get_region_name(self.services[0]) or None,
            interface=interface if isinstance(interface, str) else next(iter(interface or ()), None),
            overrides={kind: url for kind, url in overrides.items() if url},
            validate_certs=bool(verify),
            ca_path=verify if isinstance(verify, str) else None,
            client_cert=None if not cert else [cert, None] if isinstance(cert, str) else list(cert),
            **granted(access),
        )

    def _configuration(self):
        """openstacksdk's CloudRegion: what the options, the files and the environment say of the cloud."""
        try:
            import yaml
            from keystoneauth1 import exceptions as keystone_errors
            from openstack import exceptions as sdk_errors
            from openstack.config import OpenStackConfig
        except ImportError:
            raise MissingLibraryError("openstacksdk", traceback.format_exc(), feature="provider trove")
        params = self._params
        named = self._whole is None
        wanted = {
            "auth": params["auth"],
            "auth_type": params["auth_type"],
            "region_name": params["region_name"],
            "interface": params["interface"],
            # Not to verify is said by whoever turns it off; else clouds.yaml may.
            "verify": None if params["validate_certs"] else False,
            "cacert": params["ca_path"],
            "cert": params["client_cert"],
            "key": params["client_key"],
        }
        wanted = {**(self._whole or {}), **{option: value for option, value in wanted.items() if value is not None}}
        clouds, secure = config_files(self._environment)
        with _environ(self._environment):
            try:
                config = OpenStackConfig(
                    config_files=clouds, secure_files=secure, load_yaml_config=named, load_envvars=named
                )
                if named:
                    wanted["cloud"] = params["cloud"] or config.default_cloud
                    if wanted["cloud"] is not None and wanted["cloud"] not in config.get_cloud_names():
                        raise _unreadable(clouds + secure) or _unknown_cloud(wanted["cloud"], config)
                cloud = config.get_one(**wanted)
            except keystone_errors.MissingRequiredOptions as error:
                missing = ", ".join(option.dest for option in error.options)
                raise OptionError(
                    "auth", "%s is not given: set cloud, auth, OS_CLOUD or other OS_* variables" % missing
                )
            except keystone_errors.NoMatchingPlugin as error:
                raise OptionError("auth_type", "keystoneauth knows no %s" % error.name)
            except yaml.YAMLError:
                raise _unreadable(clouds + secure)
            except (sdk_errors.ConfigException, keystone_errors.AuthPluginException) as error:
                raise OptionError("cloud" if params["cloud"] else "auth", " ".join(str(error).split()))
        self._hide_secrets(cloud.config)
        return cloud

    def _hide_secrets(self, settings):
        for secret in secrets_in(settings):
            self._hide(secret)


def config_files(environment):
    """(clouds.yaml and its like, secure.yaml and its like): where openstacksdk looks, best first.

    It reads its own list from the environment that its process has when it is loaded; ours is that of the task.
    """
    home = environment.get("HOME") or os.path.expanduser("~")
    own = environment.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    everyones = (environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    bases = [own, os.path.join(home, ".config")] + everyones + ["/etc"]
    folders = [os.getcwd()] + [os.path.join(base, "openstack") for base in bases]
    found = []
    for stem, variable in (("clouds", "OS_CLIENT_CONFIG_FILE"), ("secure", "OS_CLIENT_SECURE_FILE")):
        paths = [os.path.join(folder, stem + ending) for folder in folders for ending in (".yaml", ".yml", ".json")]
        found.append(([environment[variable]] if environment.get(variable) else []) + paths)
    return found[0], found[1]


def ask_keystone(auth, verify, cert, params, option, auth_url):
    """The AccessInfo that a keystoneauth1 plugin gets. Raises typed errors, which name ``option`` as the cause."""
    from keystoneauth1 import exceptions
    from keystoneauth1.session import Session

    session = Session(verify=verify, cert=cert, timeout=params["api_timeout"])
    # Else requests would add what ~/.netrc holds for this host. What the plugin itself wants to send is left alone.
    session.session.auth = lambda request: request
    plain = session.request

    def guarded(url, method, **about):
        # The identity service names its own further addresses. Neither they nor a redirect may lead a password astray.
        check_url(option, url, params["allow_http"])
        return plain(url, method, **{**about, "redirect": method == "GET"})

    session.request = guarded
    try:
        return auth.get_access(session)
    except (exceptions.ClientException, OSError) as error:
        raise _identity_problem(error, option, urlsplit(auth_url).netloc.rpartition("@")[2] or "the cloud")


def granted(access):
    """The fields of a Grant that an AccessInfo of keystoneauth1 tells."""
    now = time.time()
    expires = access.expires.timestamp()
    # Its clock may not be ours: what counts is how long the token lives.
    lifetime = expires - (access.issued.timestamp() if access.issued else now)
    catalog = access.service_catalog.normalize_catalog() if access.has_service_catalog() else ()
    return {
        "token": access.auth_token,
        "obtained": now,
        "expires": now + lifetime,
        "catalog": [
            {
                "type": service["type"],
                "region": endpoint.get("region_id") or endpoint.get("region"),
                "interface": endpoint["interface"],
                "url": endpoint["url"],
            }
            for service in catalog
            for endpoint in service["endpoints"]
        ],
    }


def _place(auth, environment):
    def said(name):
        return auth.get(name) or environment.get("OS_" + name.upper())

    names = ["project_id", "tenant_id", "project_name", "tenant_name", "project_domain_name", "project_domain_id"]
    names += ["application_credential_id", "application_credential_name", "username"]
    who = "/".join(str(said(name)) for name in names if said(name))
    return "%s#%s" % (str(said("auth_url") or "").rstrip("/").lower(), who)


def _unreadable(paths):
    """An OptionError for the first file that says nothing of clouds, None where all can be read."""
    import yaml

    for path in paths:
        try:
            with open(path, encoding="utf-8") as handle:
                yaml.safe_load(handle)
        except FileNotFoundError:
            continue
        except OSError as error:
            return OptionError("cloud", "%s cannot be read: %s" % (path, error.strerror))
        except (yaml.YAMLError, ValueError) as error:
            # What stands there may be a password: only its place is shown.
            mark = getattr(error, "problem_mark", None)
            return OptionError("cloud", "%s is not YAML%s" % (path, " (line %d)" % (mark.line + 1) if mark else ""))
    return None


def _unknown_cloud(name, config):
    if config.config_filename is None:
        return OptionError("cloud", "no clouds.yaml was found that could have a cloud named %s" % name)
    known = ", ".join(sorted(map(str, config.get_cloud_names()))) or "none"
    return OptionError("cloud", "%s has no cloud named %s; it has: %s" % (config.config_filename, name, known))


def _identity_problem(error, option, host):
    from keystoneauth1 import exceptions

    causes = []
    cause = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    # What came first is the cause; what came of it is that no version of the service was found.
    for cause in reversed(causes):
        if isinstance(cause, BackupError):
            return cause
        if isinstance(cause, exceptions.SSLError):
            reason = re.search(r"certificate verify failed: ([^(\[]+)", str(cause))
            return ApiError(
                "The TLS certificate of %s was not accepted (%s); give ca_path for a private authority"
                % (host, reason.group(1).strip() if reason else "handshake failed"),
                code="tls",
            )
        if isinstance(cause, exceptions.ConnectTimeout):
            return UnavailableError("The identity service at %s did not answer in time" % host)
        if isinstance(cause, exceptions.ConnectionError):
            return UnavailableError("No connection to the identity service at %s" % host)
    status = getattr(error, "http_status", None) or 0
    if status in (401, 403):
        text = "The identity service at %s does not accept the credentials (%d): check %s" % (host, status, option)
        return AuthError(text, status=status, option=option)
    headers = getattr(getattr(error, "response", None), "headers", {})
    # With Retry-After 413 means too many requests at a time.
    if status in (408, 429) or status >= 500 or (status == 413 and headers.get("Retry-After")):
        text = "The identity service at %s answered %d" % (host, status)
        return UnavailableError(text, status=status, retry_after=retry_after(headers))
    if status == 404 or isinstance(error, exceptions.DiscoveryFailure):
        text = "There is no identity service at %s: check auth_url in %s" % (host, option)
        return ApiError(text, code="no_identity", option=option)
    what = "answered %d" % status if status else "was not understood (%s)" % type(error).__name__
    return ApiError("The identity service at %s %s: check %s" % (host, what, option), code="identity", option=option)


@contextmanager
def _environ(wanted):
    """The process's environment as ``wanted``, for a library that reads nothing else."""
    with _ENVIRONMENT_LOCK:
        before = dict(os.environ)
        _set_environ(before, wanted)
        try:
            yield
        finally:
            _set_environ(wanted, before)


def _set_environ(before, after):
    for name in set(before) - set(after):
        os.environ.pop(name, None)
    os.environ.update({name: value for name, value in after.items() if before.get(name) != value})


@contextmanager
def _quiet():
    """The libraries' logs and warnings are not for the user, who gets one clear error, nor are they free of secrets."""
    loggers = [logging.getLogger(name) for name in ("keystoneauth", "openstack", "stevedore", "urllib3")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
