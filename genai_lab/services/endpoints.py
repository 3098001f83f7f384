"""What is asked before an endpoint is added: the name of its model, and whether its host may have the key."""

from typing import TYPE_CHECKING

from genai_lab.errors import ModelError
from genai_lab.models import BACKENDS, Source
from storage import models as queries

if TYPE_CHECKING:
    from genai_lab.context import LabContext


def remote_name(lab: "LabContext", source: Source) -> str:
    """The name of the only model that the server lists; raises ModelError where there are others or none."""
    from genai_lab.models.endpoint import listed_models

    names = sorted(listed_models(source, lab.options))
    if len(names) == 1:
        return names[0]
    listing = f"It lists: {', '.join(names[:8])}." if names else "It keeps no list of its models."
    raise ModelError(f"Say which model of {source.location[:200]} is meant (its remote name). {listing}")


def check_key_host(lab: "LabContext", source: Source, confirmed: bool) -> None:
    """Raises ModelError where a key would go to another host than those that it was used at, unless `confirmed`."""
    if confirmed or not BACKENDS.get(source.backend).served or not source.key_env:
        return
    from genai_lab.models.connections import host_of

    with lab.database.reading() as session:
        rows = [row for archived in (False, True) for row in queries.all_models(session, archived=archived)]
    hosts = {_host(row.source) for row in rows if row.source.get("key_env") == source.key_env}
    host = host_of(source.location)
    if hosts and host not in hosts:
        raise ModelError(
            f"The key in {source.key_env} was used at {', '.join(sorted(hosts))} and would now be sent to {host}; "
            "confirm that it may be (--new-host, or the box on the page)."
        )


def _host(source: dict[str, str]) -> str:
    from genai_lab.models.connections import host_of
    from genai_lab.models.hub import endpoint

    return host_of(endpoint() if BACKENDS.get(source["backend"]).downloads else source["location"])
