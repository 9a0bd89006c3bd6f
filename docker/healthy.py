"""Ends with 0 when `/probe/healthy` answers 200 on the operations door of this container: the image's HEALTHCHECK."""

from __future__ import annotations

import http.client
import os
import sys

from adapter import settings


def main() -> int:
    # 0.0.0.0 leads to the machine itself too. Proxy variables are for the way to SWR: http.client knows none.
    bind = settings.load(os.environ).operations_bind
    connection = http.client.HTTPConnection(bind.host, bind.port, timeout=4)
    try:
        connection.request("GET", "/probe/healthy")
        return 0 if connection.getresponse().status == http.HTTPStatus.OK else 1
    except (OSError, http.client.HTTPException) as error:
        print(error, file=sys.stderr)  # noqa: T201 - `docker inspect` shows it
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
