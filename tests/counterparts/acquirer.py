"""iso8583sim's host on loopback, at a free port that it prints. Arguments: rules file, format, header, TPDU or "-"."""

import asyncio
import sys

from iso8583sim.net import Framing, MockHost, load_rules
from iso8583sim.wire import WireFormat


async def serve(rules, layout, header, tpdu):
    framing = Framing(header=header, tpdu=None if tpdu == "-" else bytes.fromhex(tpdu))
    host = MockHost(load_rules(rules), WireFormat.preset(layout), framing)
    await host.start("127.0.0.1", 0)
    print(f"listening {host.port}", flush=True)
    await asyncio.Event().wait()


asyncio.run(serve(*sys.argv[1:]))
