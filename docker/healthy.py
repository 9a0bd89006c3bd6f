"""HEALTHCHECK of the image: exits with 0 if `/probe/healthy` returns 200 on the operations port, else with 1."""

from __future__ import annotations

import http.client
import os
import sys

from adapter import settings


def main() -> int:
    # A connection to 0.0.0.0 reaches this machine too. http.client ignores proxy variables, which are for SWR only.
    bind = settings.load(os.environ).operations_bind
    connection = http.client.HTTPConnection(bind.host, bind.port, timeout=4)
    try:
        connection.request("GET", "/probe/healthy")
        return 0 if connection.getresponse().status == http.HTTPStatus.OK else 1
    except (OSError, http.client.HTTPException) as error:
        print(error, file=sys.stderr)  # noqa: T201 - shown by `docker inspect`
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
